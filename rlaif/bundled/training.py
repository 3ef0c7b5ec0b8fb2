"""The training loop that the bundled policy and judge share: weighted next-token loss, one pass."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from rlaif.bundled.tokens import CONTEXT

BUCKET_BATCHES = 40
TYPICAL_TOKENS = 20


class HasIds(Protocol):
    """Anything made of token ids."""

    @property
    def ids(self) -> list[int]:
        """Return the token ids."""


T = TypeVar("T", bound=HasIds)


@dataclass(frozen=True)
class Sequence:
    """One text to learn from.

    Attributes:
        ids: Token ids.
        weights: For every token how much its prediction counts in the loss; 0 is not at all.
    """

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train: AdamW, linear warm-up, then a cosine down to a twentieth."""

    examples: int
    batch: int
    peak: float
    warm_up: int = 60
    weight_decay: float = 0.05
    clip: float = 1.0

    @property
    def steps(self) -> int:
        """Return the number of optimiser steps."""
        return math.ceil(self.examples / self.batch)

    def rate(self, step: int) -> float:
        """Return the learning rate at a step, counted from 0."""
        if step < self.warm_up:
            return self.peak * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def new_model(vocabulary: int, pad: int, end: int) -> LlamaForCausalLM:
    """Return an untrained Llama of about 1.5 million parameters."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=160,
        intermediate_size=432,
        num_hidden_layers=4,
        num_attention_heads=5,
        num_key_value_heads=5,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=pad,
        eos_token_id=end,
        bos_token_id=None,
        initializer_range=0.04,
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")
    return model


def bucketed(rng: np.random.Generator, texts: Iterable[T], batch: int) -> Iterator[list[T]]:
    """Yield batches of like length, in random order, from chunks of forty batches."""
    stream = iter(texts)
    while chunk := list(islice(stream, batch * BUCKET_BATCHES)):
        chunk.sort(key=lambda s: len(s.ids))
        batches = [chunk[i : i + batch] for i in range(0, len(chunk), batch)]
        for index in rng.permutation(len(batches)):
            yield batches[index]


def _padded(batch: list[Sequence], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and weights, each [B, T]; padding is on the right and weighs nothing."""
    width = max(len(s.ids) for s in batch)
    ids = [s.ids + [pad] * (width - len(s.ids)) for s in batch]
    weights = [s.weights + [0.0] * (width - len(s.weights)) for s in batch]
    return torch.tensor(ids), torch.tensor(weights)


def sequence_loss(model: LlamaForCausalLM, batch: list[Sequence]) -> torch.Tensor:
    """Return ``batch_loss`` of a list of sequences."""
    return batch_loss(model, *_padded(batch, int(model.config.pad_token_id or 0)))


def batch_loss(model: LlamaForCausalLM, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted cross-entropy in nats, over twenty times the number of texts.

    It is not divided by the tokens of the batch: batches hold texts of like length, so long texts
    would count less and the model would learn to be brief.

    Logits are made only where a token counts. No attention mask is needed: padding is on the
    right, so no real token sees it.

    Args:
        model: The model in training.
        ids: Token ids [B, T].
        weights: Weight of predicting each token [B, T].
    """
    wanted = weights[:, 1:] > 0
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state[wanted]
    losses = cross_entropy(model.lm_head(hidden).float(), ids[:, 1:][wanted], reduction="none")
    weight = weights[:, 1:][wanted]
    return (losses * weight).sum() / (TYPICAL_TOKENS * len(ids))


def fit(
    model: LlamaForCausalLM,
    texts: Iterable[T],
    loss_of: Callable[[LlamaForCausalLM, list[T]], torch.Tensor],
    schedule: Schedule,
    rng: np.random.Generator,
    say: Callable[[str], None],
) -> float:
    """Train ``model`` in place, in one pass over ``texts``.

    Weights stay in float32; products are taken in bfloat16, which with eager attention is 1.6
    times as fast on a CPU that has it.

    Returns:
        The mean loss over the last tenth of the steps, in nats per token.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.95), weight_decay=schedule.weight_decay, fused=True
    )
    losses: list[float] = []
    begun = time.monotonic()
    for step, batch in enumerate(bucketed(rng, texts, schedule.batch)):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(min(step, schedule.steps))
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimizer.step()
        losses.append(loss.item())
        if step % 100 == 99:
            seconds = time.monotonic() - begun
            say(
                f"step {step + 1}/{schedule.steps} loss {np.mean(losses[-100:]):.3f} {seconds:.0f}s"
            )
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))

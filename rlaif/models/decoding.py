"""Decoding for generation, judging and rollouts alike: batched, cached, finished rows leave."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlaif.errors import StageError
from rlaif.models.cache import growing_cache
from rlaif.models.loading import LanguageModel, check_context
from rlaif.models.padding import left_pad

COMPACT_BELOW = 0.8


class NonFiniteLogitsError(StageError):
    """A model's logits were NaN or infinite: its weights are broken."""


@dataclass(frozen=True)
class DecodeSettings:
    """How to decode.

    Attributes:
        max_tokens: Limit of new tokens, the end token counted.
        temperature: Logits are divided by it before sampling; 0 decodes greedily.
    """

    max_tokens: int
    temperature: float = 0.0


@dataclass(frozen=True)
class Decoded:
    """One decoded answer: tokens (the end token included), its text, and whether it ended."""

    token_ids: tuple[int, ...]
    text: str
    ended: bool


@torch.no_grad()
def decode(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    settings: DecodeSettings,
    generator: torch.Generator | None = None,
) -> list[Decoded]:
    """Decode one answer per prompt, all as one batch.

    The same prompts in the same order with a generator in the same state give the same tokens.

    Args:
        lm: The model.
        prompts: Token ids, none empty.
        settings: Limits and temperature.
        generator: Source of randomness; needed when sampling.

    Raises:
        ModelError: A prompt leaves no room in the context.
        NonFiniteLogitsError: The model gave logits that are not finite.
    """
    if not prompts:
        return []
    check_context(lm, max(map(len, prompts)), settings.max_tokens, "decoding")
    batch = _Batch(lm, prompts)
    for done in range(settings.max_tokens):
        logits = batch.step() if done else batch.prefill()
        tokens = _choose(logits, settings.temperature, generator)
        batch.append(tokens)
        if not batch.alive:
            break
    return batch.results()


class _Batch:
    """The rows still being decoded, with their cache; finished rows are dropped from it."""

    def __init__(self, lm: LanguageModel, prompts: Sequence[Sequence[int]]) -> None:
        self._lm = lm
        ids, mask = left_pad(prompts, lm.pad_id, lm.device)
        self._ids = ids
        self._mask = mask
        self._positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
        self._cache = growing_cache(lm.model.config)
        self._rows = list(range(len(prompts)))
        self._live = [True] * len(prompts)
        self._tokens: list[list[int]] = [[] for _ in prompts]
        self._ended = [False] * len(prompts)
        self._lengths: dict[int, int] = {}

    @property
    def alive(self) -> bool:
        return any(self._live)

    def prefill(self) -> Tensor:
        return self._forward(self._ids, self._positions)

    def step(self) -> Tensor:
        self._compact()
        last = [[self._tokens[row][-1]] for row in self._rows]
        ids = torch.tensor(last, device=self._lm.device)
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], dim=1)
        self._positions = self._positions[:, -1:] + 1
        return self._forward(ids, self._positions)

    def append(self, tokens: list[int]) -> None:
        """Append one token to every row that is in the batch, and see which rows finish."""
        for place, (row, token) in enumerate(zip(self._rows, tokens, strict=True)):
            if not self._live[place]:
                self._tokens[row].append(self._lm.pad_id)
                continue
            self._tokens[row].append(token)
            if token in self._lm.eos_ids:
                self._ended[row] = True
                self._finish(place, row)

    def results(self) -> list[Decoded]:
        tokenizer = self._lm.tokenizer
        rows = [ids[: self._lengths.get(row)] for row, ids in enumerate(self._tokens)]
        texts = [str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in rows]
        return [
            Decoded(tuple(ids), text, ended)
            for ids, text, ended in zip(rows, texts, self._ended, strict=True)
        ]

    def _finish(self, place: int, row: int) -> None:
        self._live[place] = False
        self._lengths[row] = len(self._tokens[row])

    def _compact(self) -> None:
        """Drop finished rows from the cache once enough of them have gathered."""
        keep = [place for place, live in enumerate(self._live) if live]
        if len(keep) > COMPACT_BELOW * len(self._live):
            return
        index = torch.tensor(keep, device=self._lm.device)
        self._cache.batch_select_indices(index)
        self._mask = self._mask[index]
        self._positions = self._positions[index]
        self._rows = [self._rows[place] for place in keep]
        self._live = [True] * len(keep)

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        output = self._lm.model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        if not torch.isfinite(logits).all():
            raise NonFiniteLogitsError(
                f"{self._lm.name} gave logits that are not finite",
                "finite logits",
                "check its weights; a policy that diverged should be rolled back",
            )
        return logits


def _choose(logits: Tensor, temperature: float, generator: torch.Generator | None) -> list[int]:
    if temperature == 0.0:
        chosen = logits.argmax(-1)
    else:
        probs = (logits.float() / temperature).softmax(-1)
        chosen = torch.multinomial(probs, 1, generator=generator).squeeze(-1)
    ids: list[int] = chosen.tolist()
    return ids

"""Trains ``policies/tiny`` on the mixed corpus, and samples from it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from rlaif.bundled.corpus import Example, Mixture, examples
from rlaif.bundled.tokens import question_text
from rlaif.bundled.training import Schedule, Sequence, fit, new_model, sequence_loss
from rlaif.seeds import derive_seed, numpy_generator, seed_everything

SCHEDULE = Schedule(examples=110_000, batch=48, peak=3e-3)
PROMPT_WEIGHT = 0.1
LONGEST = 76
NEW_TOKENS = 48


def policy_sequence(tokenizer: PreTrainedTokenizerBase, example: Example) -> Sequence:
    """Return the token ids and weights of one example; the prompt counts a tenth."""
    asked = tokenizer.encode(question_text(example.prompt.text), add_special_tokens=False)
    said = tokenizer.encode(example.completion, add_special_tokens=False)
    if example.ended:
        said.append(int(tokenizer.eos_token_id or 0))
    weights = [PROMPT_WEIGHT] * len(asked) + [1.0] * len(said)
    return Sequence((asked + said)[:LONGEST], weights[:LONGEST])


def train_policy(
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    say: Callable[[str], None],
    schedule: Schedule = SCHEDULE,
    mix: Mixture | None = None,
) -> LlamaForCausalLM:
    """Train a policy from nothing on ``schedule.examples`` drawn from the corpus."""
    seed_everything(derive_seed(seed, "policy", "weights"))
    model = new_model(len(tokenizer), int(tokenizer.pad_token_id), int(tokenizer.eos_token_id))
    rng = numpy_generator(derive_seed(seed, "policy", "corpus"))
    corpus = examples(rng, schedule.examples, mix or Mixture())
    sequences: Iterator[Sequence] = (policy_sequence(tokenizer, example) for example in corpus)
    order = numpy_generator(derive_seed(seed, "policy", "order"))
    fit(model.train(), sequences, sequence_loss, schedule, order, say)
    model.eval()
    return model


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a model in float16 with its tokenizer and generation settings."""
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.float()


def load_model(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Load a saved model in float32, with its tokenizer."""
    model = LlamaForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    return model, PreTrainedTokenizerFast.from_pretrained(folder)


@torch.inference_mode()
def sample(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
    new_tokens: int = NEW_TOKENS,
    batch: int = 128,
) -> list[tuple[str, bool]]:
    """Sample one answer to each prompt.

    Returns:
        For each prompt the text, and whether the end token came within ``new_tokens``.
    """
    order = np.argsort([len(prompt) for prompt in prompts], kind="stable")
    found: dict[int, tuple[str, bool]] = {}
    for start in range(0, len(order), batch):
        members = order[start : start + batch]
        texts = [question_text(prompts[i]) for i in members]
        asked = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        said = _sample_batch(model, asked, generator, temperature, new_tokens)
        for index, row in zip(members, said, strict=True):
            found[int(index)] = _answer(tokenizer, row)
    return [found[index] for index in range(len(prompts))]


def _sample_batch(
    model: LlamaForCausalLM,
    asked: dict[str, torch.Tensor],
    generator: torch.Generator,
    temperature: float,
    new_tokens: int,
) -> list[list[int]]:
    """Sample token ids for a left-padded batch [B, T]; temperature 0 is greedy."""
    mask = asked["attention_mask"]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    tokens, cache = asked["input_ids"], None
    end = int(torch.as_tensor(model.config.eos_token_id))
    done = torch.zeros(len(tokens), dtype=torch.bool)
    said: list[torch.Tensor] = []
    for _ in range(new_tokens):
        out = model(
            input_ids=tokens, attention_mask=mask, position_ids=positions, past_key_values=cache
        )
        cache, logits = out.past_key_values, out.logits[:, -1].float()
        chosen = _draw(logits, temperature, generator).masked_fill(done, end)
        said.append(chosen)
        done |= chosen == end
        if bool(done.all()):
            break
        tokens, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(tokens)], dim=1)
    rows: list[list[int]] = torch.stack(said, dim=1).tolist()
    return rows


def _draw(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    shares = torch.softmax(logits / temperature, dim=-1)
    return torch.multinomial(shares, 1, generator=generator)[:, 0]


def _answer(tokenizer: PreTrainedTokenizerBase, row: list[int]) -> tuple[str, bool]:
    end = int(tokenizer.eos_token_id or 0)
    ended = end in row
    kept = row[: row.index(end)] if ended else row
    return str(tokenizer.decode(kept, skip_special_tokens=True)).strip(), ended

"""Completions of a policy, unit by unit; a unit's members and order are fixed before it runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlaif.config import GenerationConfig
from rlaif.models.decoding import Decoded, DecodeSettings, decode
from rlaif.models.encoding import encode_conversation
from rlaif.models.loading import LanguageModel
from rlaif.records import Completion, Prompt, make_id
from rlaif.seeds import torch_generator
from rlaif.stages.pools import Encode, same_words_otherwise_ordered
from rlaif.text import normalised


@dataclass(frozen=True)
class GenerationUnit:
    """Some prompts whose completions are decoded as one batch.

    Attributes:
        name: The unit's name within its stage.
        prompts: In the order of the batch.
    """

    name: str
    prompts: tuple[Prompt, ...]


def plan_units(
    prompts: Sequence[Prompt], per_prompt: int, batch_size: int, label: str
) -> list[GenerationUnit]:
    """Cut prompts into units of at most ``batch_size`` completions."""
    size = max(1, batch_size // per_prompt)
    return [
        GenerationUnit(f"{label}-{number:04d}", tuple(prompts[start : start + size]))
        for number, start in enumerate(range(0, len(prompts), size))
    ]


def generate(
    policy: LanguageModel,
    unit: GenerationUnit,
    config: GenerationConfig,
    *,
    per_prompt: int,
    seed: int,
    names: tuple[str | int, ...],
    encode: Encode,
) -> list[Completion]:
    """Sample a unit's completions, prompt by prompt.

    Args:
        policy: Who answers.
        unit: Which prompts.
        config: Temperature, limits, and when two completions count as one.
        per_prompt: Completions per prompt.
        seed: The unit's seed.
        names: What tells these completions from others of the same policy (cycle, purpose).
        encode: Texts -> unit vectors, for near-duplicates.

    Raises:
        ModelError: A prompt does not fit the policy's context.
    """
    queries = [encode_conversation(policy, p.messages) for p in unit.prompts]
    answers = decode(
        policy,
        [query for query in queries for _ in range(per_prompt)],
        DecodeSettings(config.max_tokens, config.temperature),
        torch_generator(seed, str(policy.device)),
    )
    completions: list[Completion] = []
    for place, prompt in enumerate(unit.prompts):
        own = answers[place * per_prompt : (place + 1) * per_prompt]
        completions += _of_prompt(policy.digest, prompt, own, names, config, encode)
    return completions


def _of_prompt(
    policy: str,
    prompt: Prompt,
    answers: Sequence[Decoded],
    names: tuple[str | int, ...],
    config: GenerationConfig,
    encode: Encode,
) -> list[Completion]:
    twins = _twins([a.text for a in answers], config.duplicate_similarity, encode)
    ids = [make_id("completion", policy, *names, prompt.id, i) for i in range(len(answers))]
    return [
        Completion(
            id=ids[index],
            prompt_id=prompt.id,
            policy=policy,
            index=index,
            text=answer.text,
            length=len(answer.token_ids),
            ended=answer.ended,
            duplicate_of=None if twins[index] is None else ids[twins[index] or 0],
        )
        for index, answer in enumerate(answers)
    ]


def _twins(texts: Sequence[str], threshold: float, encode: Encode) -> list[int | None]:
    """For each text, the first earlier one that it repeats, or None.

    A text repeats another of the same normalised words, and one whose embedding is nearer than
    ``threshold`` unless the two are the same words in another order: "Hot is the opposite of
    cold" is no "cold is the opposite of hot", though an embedder may not tell them apart.
    """
    if len(texts) < 2:
        return [None] * len(texts)
    plain = [normalised(text) for text in texts]
    near = _near(texts, threshold, encode)
    twins: list[int | None] = []
    for index in range(len(texts)):
        earlier = np.flatnonzero(near[index, :index]).tolist()
        same = [j for j in range(index) if plain[j] == plain[index]]
        firsts = [j for j in sorted({*earlier, *same}) if twins[j] is None]
        twins.append(firsts[0] if firsts else None)
    return twins


def _near(texts: Sequence[str], threshold: float, encode: Encode) -> npt.NDArray[np.bool_]:
    """Tell which texts' embeddings are nearer than ``threshold``; 1 compares nothing."""
    if threshold >= 1.0:
        return np.zeros((len(texts), len(texts)), dtype=np.bool_)
    vectors = encode(list(texts))
    near: npt.NDArray[np.bool_] = vectors @ vectors.T > threshold
    return near & ~same_words_otherwise_ordered(texts)

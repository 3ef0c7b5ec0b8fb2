"""Which pairs meet in which optimiser step: fixed before training begins, from a seed.

All pairs of a prompt stay together, as in Ouyang et al. 2022 (section 3.5), so an answer that is
in several pairs runs through the model once per step.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlaif.records import Message
from rlaif.seeds import derive_seed, numpy_generator
from rlaif.stages.reward_model.job import RewardPair

Tokens = tuple[int, ...]
Draws = NDArray[np.int64]
Encode = Callable[[tuple[Message, ...], str, bool], Tokens]
_SUREST = 0.99


@dataclass(frozen=True)
class Comparison:
    """Answers that a loss compares: two with their soft label, or a list to be ranked.

    Attributes:
        prompt: Number of the prompt.
        answers: Tokens of prompt and answer, each.
        values: What is said of each: its probability to be better, or its strength in the list.
        pairs: Judged pairs that this stands for.
        weight: What its loss is multiplied by.
    """

    prompt: int
    answers: tuple[Tokens, ...]
    values: tuple[float, ...]
    pairs: int = 1
    weight: float = 1.0


def compare_pairs(pairs: Sequence[RewardPair], encode: Encode) -> list[Comparison]:
    """Turn pairs into comparisons of two, values being P(better), weights of mean 1."""
    mean = math.fsum(pair.weight for pair in pairs) / max(len(pairs), 1)
    numbers: dict[tuple[Message, ...], int] = {}
    return [
        Comparison(
            prompt=numbers.setdefault(pair.prompt, len(numbers)),
            answers=(
                encode(pair.prompt, pair.first, pair.first_ended),
                encode(pair.prompt, pair.second, pair.second_ended),
            ),
            values=(pair.label, 1.0 - pair.label),
            weight=pair.weight / mean,
        )
        for pair in pairs
    ]


def rank_lists(pairs: Iterable[Comparison]) -> list[Comparison]:
    """Join the pairs of each prompt into lists, one for each set of answers that pairs connect.

    Strengths are the least-squares fit s_i - s_j = logit P(i better than j) over the pairs (Jiang
    et al. 2011, "Statistical ranking and combinatorial Hodge theory"), labels held within 0.01 and
    0.99, each pair counted by its weight; equal strengths are ties. A list weighs the mean of its
    pairs.
    """
    by_prompt: dict[int, list[Comparison]] = {}
    for pair in pairs:
        by_prompt.setdefault(pair.prompt, []).append(pair)
    return [ranked for group in by_prompt.values() for ranked in _ranked(group)]


def plan_batches(
    comparisons: Sequence[Comparison], pairs_per_batch: int, epochs: int, seed: int
) -> list[list[Comparison]]:
    """Lay out every optimiser step of a training, prompts shuffled anew in each epoch.

    A batch is full when it holds ``pairs_per_batch`` pairs; a list is never split over two.
    """
    by_prompt = [list(group) for _, group in groupby(sorted(comparisons, key=_prompt), key=_prompt)]
    batches: list[list[Comparison]] = []
    for epoch in range(epochs):
        order = numpy_generator(derive_seed(seed, "epoch", epoch)).permutation(len(by_prompt))
        shuffled = [comparison for index in order for comparison in by_prompt[index]]
        batches += _filled(shuffled, pairs_per_batch)
    return batches


def draw_prompts(comparisons: Sequence[Comparison], members: int, seed: int) -> Draws:
    """Draw for each head of an ensemble how often it sees each prompt: a bootstrap sample.

    Counts are Poisson of mean 1, which is what drawing with replacement comes to (Oza and Russell
    2001, "Online bagging and boosting"). Heads that saw the same would end alike, for they read
    the same features; the trunk that they share sees every prompt that one of them sees. A single
    head sees every prompt once.

    Returns:
        Counts [members, prompts].
    """
    prompts = 1 + max(comparison.prompt for comparison in comparisons)
    if members == 1:
        return np.ones((1, prompts), dtype=np.int64)
    return numpy_generator(derive_seed(seed, "bootstrap")).poisson(size=(members, prompts))


def as_row(batch: Sequence[Comparison], draws: Draws) -> dict[str, Any]:
    """Write a batch as a data set's row: each different answer once, and who is compared.

    Args:
        batch: The comparisons.
        draws: How often each member sees each prompt [members, prompts].

    Returns:
        ``sequences``, the answers' tokens; ``places``, for each comparison the answers' indices
        in ``sequences``; ``values``, the same shape; ``weights``, one for each comparison;
        ``draws``, for each member how often each comparison counts.
    """
    index: dict[Tokens, int] = {}
    places = [[index.setdefault(a, len(index)) for a in c.answers] for c in batch]
    return {
        "sequences": [list(answer) for answer in index],
        "places": places,
        "values": [list(c.values) for c in batch],
        "weights": [c.weight for c in batch],
        "draws": draws[:, [c.prompt for c in batch]].tolist(),
    }


def _prompt(comparison: Comparison) -> int:
    return comparison.prompt


def _filled(comparisons: Iterable[Comparison], pairs: int) -> list[list[Comparison]]:
    batches: list[list[Comparison]] = [[]]
    room = pairs
    for comparison in comparisons:
        if room <= 0:
            batches.append([])
            room = pairs
        batches[-1].append(comparison)
        room -= comparison.pairs
    return batches


def _ranked(pairs: Sequence[Comparison]) -> list[Comparison]:
    index: dict[Tokens, int] = {}
    edges = [tuple(index.setdefault(a, len(index)) for a in pair.answers) for pair in pairs]
    answers = list(index)
    strengths = _strengths(len(answers), edges, pairs)
    lists = []
    for members in _connected(len(answers), edges):
        if len(members) > 1:
            weights = [p.weight for p, edge in zip(pairs, edges, strict=True) if edge[0] in members]
            lists.append(
                Comparison(
                    prompt=pairs[0].prompt,
                    answers=tuple(answers[m] for m in members),
                    values=tuple(strengths[m] for m in members),
                    pairs=len(weights),
                    weight=math.fsum(weights) / len(weights),
                )
            )
    return lists


def _strengths(
    answers: int, edges: Sequence[tuple[int, ...]], pairs: Sequence[Comparison]
) -> list[float]:
    contrast = np.zeros((len(edges), answers))
    for row, (first, second) in enumerate(edges):
        contrast[row, first] += 1.0
        contrast[row, second] -= 1.0
    sure = np.clip([pair.values[0] for pair in pairs], 1 - _SUREST, _SUREST)
    root = np.sqrt([pair.weight for pair in pairs])
    odds = np.log(sure / (1 - sure))
    fit = np.linalg.lstsq(contrast * root[:, None], odds * root, rcond=None)[0]
    return [round(float(strength), 6) for strength in fit]


def _connected(answers: int, edges: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Return the sets of answers that a path of pairs joins, each in order."""
    group = list(range(answers))
    for first, second in edges:
        kept, gone = group[first], group[second]
        group = [kept if g == gone else g for g in group]
    return [[a for a in range(answers) if group[a] == g] for g in sorted(set(group))]

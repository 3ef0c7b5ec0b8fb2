"""Pairs that humans judged as a whole: as they said it, and as their ratings imply."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from rlaif.judges.panel import ComparedItem
from rlaif.records import Completion, HumanLabel, Prompt
from rlaif.stages.last_words import same_value


class HumanPair(NamedTuple):
    """Two answers to a prompt with what a human said of them.

    Attributes:
        name: What tells it from every other pair of humans.
        prompt_id: The prompt.
        first_id: One answer.
        second_id: The other.
        p_first: P(first is better); 0.5 is a tie.
        weight: What it counts.
        frozen: Whether it only measures.
    """

    name: str
    prompt_id: str
    first_id: str
    second_id: str
    p_first: float
    weight: float
    frozen: bool


def compared_pairs(
    labels: Iterable[HumanLabel],
    prompts: Mapping[str, Prompt],
    answers: Mapping[str, Completion],
) -> list[ComparedItem]:
    """Return every pair that humans compared, once, however many of them did.

    Args:
        labels: What they said.
        prompts: By id.
        answers: By id.
    """
    pairs = {(x.first_id, x.second_id): x.prompt_id for x in labels}
    return [
        (prompts[prompt], answers[first], answers[second])
        for (first, second), prompt in pairs.items()
        if second is not None
    ]


def stated_pairs(labels: Iterable[HumanLabel]) -> list[HumanPair]:
    """Return the pairs on the whole that humans judged as pairs: compared, ranked or edited."""
    return [
        HumanPair(
            name=label.id,
            prompt_id=label.prompt_id,
            first_id=label.first_id,
            second_id=label.second_id,
            p_first=label.value,
            weight=label.weight,
            frozen=label.frozen,
        )
        for label in labels
        if label.second_id is not None and not label.criterion
    ]


def implied_pairs(labels: Iterable[HumanLabel]) -> list[HumanPair]:
    """Return the pairs that one rater's ratings of answers to one prompt imply, as a whole.

    The higher one is better, however little: a rater's scale is their own. So ratings without a
    rater, who may be two people, imply nothing. A pair counts as much as the rating that counts
    less.
    """
    rated: dict[tuple[str, str], list[HumanLabel]] = {}
    for label in labels:
        if label.second_id is None and not label.criterion and label.rater:
            rated.setdefault((label.prompt_id, label.rater), []).append(label)
    return [
        _implied(*sorted(both, key=lambda label: label.first_id))
        for own in rated.values()
        for both in combinations(own, 2)
        if both[0].first_id != both[1].first_id
    ]


def human_pairs(labels: Sequence[HumanLabel]) -> list[HumanPair]:
    """Return all pairs on the whole, stated and implied."""
    return stated_pairs(labels) + implied_pairs(labels)


def _implied(first: HumanLabel, second: HumanLabel) -> HumanPair:
    tied = same_value(first.value, second.value)
    return HumanPair(
        name=f"{first.id}+{second.id}",
        prompt_id=first.prompt_id,
        first_id=first.first_id,
        second_id=second.first_id,
        p_first=0.5 if tied else float(first.value > second.value),
        weight=min(first.weight, second.weight),
        frozen=first.frozen,
    )

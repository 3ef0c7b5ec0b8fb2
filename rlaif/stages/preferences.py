"""Which pairs to compare, and which pairs train with which label."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from rlaif.config import PreferencesConfig
from rlaif.judges import p_from_scores
from rlaif.judges.calibration import Calibration
from rlaif.records import (
    Completion,
    CompletionScore,
    PairVerdict,
    Preference,
    PreferenceOrigin,
    Revision,
    make_id,
)
from rlaif.seeds import numpy_generator
from rlaif.sides import is_tie
from rlaif.stages.human_pairs import HumanPair
from rlaif.stages.pools import stable_share

REUSE_PENALTY = 0.1


@dataclass(frozen=True)
class LabelledPair:
    """Two completions of a prompt with P(first is better), and where that came from.

    ``name`` tells apart what several people said of the same two; the judge says it once.
    """

    first_id: str
    second_id: str
    label: float
    origin: PreferenceOrigin
    weight: float = 1.0
    name: str = ""


def by_prompt(completions: Iterable[Completion]) -> dict[str, list[Completion]]:
    """Group completions by the id of their prompt, keeping their order."""
    found: dict[str, list[Completion]] = {}
    for completion in completions:
        found.setdefault(completion.prompt_id, []).append(completion)
    return found


def choose_pairs(
    completions: Sequence[Completion],
    scores: Mapping[str, CompletionScore],
    count: int,
    seed: int,
) -> list[tuple[Completion, Completion]]:
    """Choose the pairs of one prompt's completions that tell most.

    Greedy: the widest margin of scores first, less for each time that a completion is already in
    a chosen pair, so that labels spread over the completions. Duplicates and unscored completions
    are left out. Which of a pair comes first is drawn by chance.

    Args:
        completions: Of one prompt.
        scores: By completion id.
        count: Pairs wanted.
        seed: Source of ties and of the order within pairs.
    """
    usable = [c for c in completions if _usable_score(scores, c) is not None]
    generator = numpy_generator(seed)
    left = list(combinations(usable, 2))
    left = [left[i] for i in generator.permutation(len(left)).tolist()]
    uses: dict[str, int] = {}
    chosen: list[tuple[Completion, Completion]] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda pair: _worth(pair, scores, uses))
        left.remove(best)
        for completion in best:
            uses[completion.id] = uses.get(completion.id, 0) + 1
        chosen.append(best if generator.integers(2) else (best[1], best[0]))
    return chosen


def labels_of_comparisons(verdicts: Iterable[PairVerdict]) -> list[LabelledPair]:
    """Return the compared pairs that may train: neither unscored nor quarantined."""
    return [
        LabelledPair(v.first_id, v.second_id, v.p_first, "comparison")
        for v in verdicts
        if v.p_first is not None and v.quarantined is None
    ]


def labels_of_ratings(
    completions: Sequence[Completion],
    scores: Mapping[str, CompletionScore],
    compared: Iterable[PairVerdict],
    temperature: float,
) -> list[LabelledPair]:
    """Label every pair that was not compared from its two ratings alone.

    All K (K - 1) / 2 pairs of a prompt's K completions train (Ouyang et al. 2022, section 3.5): a
    reward model learns more from them than from the compared pairs alone, at hardly more cost,
    since each completion still runs through it once. Pairs that were compared are left out, those
    with an unscored or quarantined verdict too: what the judge said of the two together stands.

    Args:
        completions: Of any prompts; duplicates and those whose score is unscored or quarantined
            are left out.
        scores: By completion id.
        compared: Every verdict on two of them.
        temperature: T in P(first better) = sigmoid((score1 - score2) / T).
    """
    known = {frozenset((v.first_id, v.second_id)) for v in compared}
    labelled: list[LabelledPair] = []
    for own in by_prompt(completions).values():
        rated = [
            (c.id, s)
            for c in own
            if (s := _usable_score(scores, c)) is not None and scores[c.id].quarantined is None
        ]
        labelled += [
            LabelledPair(first, second, p_from_scores(mine, other, temperature), "ratings")
            for (first, mine), (second, other) in combinations(rated, 2)
            if frozenset((first, second)) not in known
        ]
    return labelled


def labels_of_humans(
    pairs: Iterable[HumanPair], train_weight: float, cycle: int
) -> list[LabelledPair]:
    """Return the pairs of humans that train, none where their weight is 0; frozen ones never.

    Args:
        pairs: What humans said of pairs.
        train_weight: What theirs weigh beside the judge's, times their own weight.
        cycle: Each cycle has rows of its own.
    """
    if train_weight == 0.0:
        return []
    return [
        LabelledPair(
            pair.first_id,
            pair.second_id,
            pair.p_first,
            "human",
            train_weight * pair.weight,
            f"human-{cycle}-{pair.name}",
        )
        for pair in pairs
        if not pair.frozen
    ]


def calibrated(
    pairs: Iterable[LabelledPair], by_origin: Mapping[PreferenceOrigin, Calibration]
) -> list[LabelledPair]:
    """Return pairs with their labels calibrated, where there is a calibration for their origin."""
    return [
        replace(pair, label=by_origin[pair.origin].apply(pair.label))
        if pair.origin in by_origin
        else pair
        for pair in pairs
    ]


def labels_of_revisions(revisions: Iterable[Revision]) -> list[LabelledPair]:
    """Return the confirmed revisions, each over the answer that it mends."""
    return [
        LabelledPair(r.completion_id, r.original_id, r.p_better, "revision")
        for r in revisions
        if r.rejected is None and r.completion_id is not None and r.p_better is not None
    ]


def make_preferences(
    pairs: Iterable[LabelledPair],
    prompt_of: Mapping[str, str],
    config: PreferencesConfig,
    rubric_hash: str,
) -> list[Preference]:
    """Turn labelled pairs into training data, ties dropped or kept as 0.5.

    Args:
        pairs: Pairs with their labels.
        prompt_of: Completion id -> prompt id.
        config: What counts as a tie, what to do with it, and the share that only measures.
        rubric_hash: What the labels were made under.
    """
    return [
        Preference(
            id=make_id("preference", rubric_hash, pair.first_id, pair.second_id, *_names(pair)),
            prompt_id=prompt_of[pair.first_id],
            first_id=pair.first_id,
            second_id=pair.second_id,
            label=_label(pair, config),
            split=preference_split(prompt_of[pair.first_id], config.heldout_share),
            rubric_hash=rubric_hash,
            origin=pair.origin,
            weight=pair.weight,
        )
        for pair in pairs
        if config.ties == "keep" or not _tied(pair, config)
    ]


def preference_split(prompt_id: str, heldout_share: float) -> Literal["train", "heldout"]:
    """Return the side of a prompt's preferences: ``heldout`` ones only measure."""
    return "heldout" if stable_share(f"heldout:{prompt_id}") < heldout_share else "train"


def _label(pair: LabelledPair, config: PreferencesConfig) -> float:
    if _tied(pair, config):
        return 0.5
    return pair.label if config.labels == "soft" else float(pair.label > 0.5)


def _names(pair: LabelledPair) -> tuple[str, ...]:
    return (pair.name,) if pair.name else ()


def _tied(pair: LabelledPair, config: PreferencesConfig) -> bool:
    return is_tie(pair.label, config.min_margin)


def _usable_score(scores: Mapping[str, CompletionScore], completion: Completion) -> float | None:
    """Return a completion's score; None for a duplicate, which was not judged, and an unscored."""
    found = scores.get(completion.id)
    return None if found is None or completion.duplicate_of is not None else found.score


def _worth(
    pair: tuple[Completion, Completion],
    scores: Mapping[str, CompletionScore],
    uses: Mapping[str, int],
) -> float:
    first, second = (_usable_score(scores, c) or 0.0 for c in pair)
    return abs(first - second) - REUSE_PENALTY * sum(uses.get(c.id, 0) for c in pair)

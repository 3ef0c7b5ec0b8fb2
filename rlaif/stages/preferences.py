"""Which pairs to compare, and which compared pairs train."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

from rlaif.config import PreferencesConfig
from rlaif.records import Completion, CompletionScore, PairVerdict, Preference, make_id
from rlaif.seeds import numpy_generator
from rlaif.stages.pools import stable_share

REUSE_PENALTY = 0.1


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
    usable = [c for c in completions if c.duplicate_of is None and _score(scores, c) is not None]
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


def make_preferences(
    verdicts: Sequence[PairVerdict],
    prompt_of: Mapping[str, str],
    config: PreferencesConfig,
    rubric_hash: str,
) -> list[Preference]:
    """Turn verdicts into training data; quarantined and unscored pairs give none.

    Args:
        verdicts: Of compared pairs.
        prompt_of: Completion id -> prompt id.
        config: What counts as a tie, what to do with it, and the share that only measures.
        rubric_hash: What the verdicts were made under.
    """
    preferences: list[Preference] = []
    for verdict in verdicts:
        label = verdict.p_first
        if label is None or verdict.quarantined is not None:
            continue
        if abs(label - 0.5) < config.min_margin:
            if config.ties == "drop":
                continue
            label = 0.5
        prompt_id = prompt_of[verdict.first_id]
        preferences.append(
            Preference(
                id=make_id("preference", rubric_hash, verdict.first_id, verdict.second_id),
                prompt_id=prompt_id,
                first_id=verdict.first_id,
                second_id=verdict.second_id,
                label=label,
                split=preference_split(prompt_id, config.heldout_share),
                rubric_hash=rubric_hash,
            )
        )
    return preferences


def preference_split(prompt_id: str, heldout_share: float) -> Literal["train", "heldout"]:
    """Return the side of a prompt's preferences: ``heldout`` ones only measure."""
    return "heldout" if stable_share(f"heldout:{prompt_id}") < heldout_share else "train"


def _score(scores: Mapping[str, CompletionScore], completion: Completion) -> float | None:
    found = scores.get(completion.id)
    return None if found is None else found.score


def _worth(
    pair: tuple[Completion, Completion],
    scores: Mapping[str, CompletionScore],
    uses: Mapping[str, int],
) -> float:
    first, second = (_score(scores, c) or 0.0 for c in pair)
    return abs(first - second) - REUSE_PENALTY * sum(uses.get(c.id, 0) for c in pair)

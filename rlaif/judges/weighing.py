"""What the judge says of a pair, weighed against the two answers' scores; pure arithmetic.

    P = (1 - w) * sigmoid((score_1 - score_2) / T) + w * P_judge

See ``aggregation`` for what ``P_judge`` is of compared pairs, ``lists`` for those of ranked lists.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rlaif.config import JudgingConfig
from rlaif.intervals import clipped
from rlaif.judges.combining import Combine, Outlier
from rlaif.judges.rubric import JudgeCriterion, Rubric
from rlaif.records import Completion, CompletionScore, JudgementKind, PairVerdict

# Nearer to one half than this is even: fits of worths end within it.
EVEN = 1e-6


@dataclass(frozen=True)
class VerdictSettings:
    """How verdicts become labels; see the settings of those names."""

    pairwise_weight: float
    score_temperature: float
    flip_threshold: float
    clamp: float = 0.0
    combine: Combine = "mean"
    max_disagreement: float = 1.0
    max_rating_distance: float = 1.0
    outlier_distance: float = 1.0
    compare: Literal["pairs", "lists"] = "pairs"
    list_size: int = 5
    list_orders: int = 2
    list_min_tau: float = 0.2

    @classmethod
    def from_config(cls, judging: JudgingConfig) -> "VerdictSettings":
        """Take the settings out of a project's configuration."""
        return cls(
            pairwise_weight=judging.pairwise_weight,
            score_temperature=judging.score_temperature,
            flip_threshold=judging.flip_threshold,
            clamp=judging.clamp,
            combine=judging.combine,
            max_disagreement=judging.max_disagreement,
            max_rating_distance=judging.max_rating_distance,
            outlier_distance=judging.outlier_distance,
            compare=judging.compare,
            list_size=judging.list_size,
            list_orders=judging.list_orders,
            list_min_tau=judging.list_min_tau,
        )

    def learns_of(self, jurors: int) -> bool:
        """Whether what so many jurors are worth is learned from what is judged together."""
        return self.combine == "dawid_skene" and jurors > 1

    def for_hashing(self, jurors: int, *, compares: bool) -> dict[str, float | str]:
        """Return what can change a label: settings that change nothing here are left out.

        Args:
            jurors: How many judge; with one there is nothing to combine, and of two none is alone.
            compares: Whether anything is compared; else labels come of ratings alone.
        """
        found = asdict(self)
        if not compares:
            for name in ("pairwise_weight", "flip_threshold"):
                del found[name]
        if not (self.clamp and compares):
            del found["clamp"]
        if jurors < 2:
            del found["combine"], found["max_disagreement"], found["max_rating_distance"]
        if jurors < 3 or self.outlier_distance == 1.0:
            del found["outlier_distance"]
        if self.compare == "pairs" or not compares:
            for name in ("compare", "list_size", "list_orders", "list_min_tau"):
                del found[name]
        return found


@dataclass(frozen=True)
class JudgedPair:
    """What the judge itself says of a pair, ratings apart.

    Attributes:
        p_first: P(first is better), over all orders.
        p_forward: The same by the orders in which the first is shown first; None where unknown.
        p_backward: By those in which it is shown second.
        doubt: Why it is not to be trusted, if so.
        unscored: Why it says nothing, if so.
    """

    p_first: float = 0.5
    p_forward: float | None = None
    p_backward: float | None = None
    doubt: str | None = None
    unscored: tuple[str, ...] = ()


def criteria_to_compare(rubric: Rubric, settings: VerdictSettings) -> tuple[JudgeCriterion, ...]:
    """Return the judge criteria that a pair is compared on: those that can change its label."""
    if settings.pairwise_weight == 0.0:
        return ()
    return tuple(c for c in rubric.judge_criteria if c.weight > 0.0)


def kinds_to_ask(rubric: Rubric, settings: VerdictSettings) -> tuple[JudgementKind, ...]:
    """Return the messages that ask for verdicts; a list's probes and duels are pairs."""
    if not criteria_to_compare(rubric, settings):
        return ("pointwise",)
    lists: tuple[JudgementKind, ...] = ("listwise",) if settings.compare == "lists" else ()
    return ("pointwise", "pairwise", *lists)


def weigh(
    rubric: Rubric,
    settings: VerdictSettings,
    completions: tuple[Completion, Completion],
    scores: tuple[CompletionScore, CompletionScore],
    judged: JudgedPair | None,
    disagreement: float | None = None,
) -> PairVerdict:
    """Weigh what the judge says of a pair against the two scores.

    Beside a quarantined score the judge's own word counts alone. It cannot tell whether a veto is
    broken, so under a rubric with a veto that a judge rates such a pair is quarantined too; so is
    one that scores alone decide.

    Args:
        rubric: The rubric.
        settings: Weights and temperature.
        completions: First and second.
        scores: Their scores.
        judged: What the judge says, None where it has no say.
        disagreement: How far the jurors were apart on the pair, in bits.
    """
    first, second = completions
    reasons = [reason for score in scores for reason in _without_score(score)]
    reasons += judged.unscored if judged else ()
    if reasons:
        unscored = "; ".join(reasons)
        return PairVerdict(
            first_id=first.id,
            second_id=second.id,
            p_first=None,
            unscored=unscored,
            quarantined="; ".join(judged.unscored) or None if judged else None,
            disagreement=disagreement,
        )
    decided = (scores[0].vetoed_by is None) != (scores[1].vetoed_by is None)
    weight = settings.pairwise_weight if judged and not decided else 0.0
    doubted = _doubt_of(scores)
    if weight > 0.0 and doubted is not None:
        weight = 1.0
    judged = judged or JudgedPair()
    doubts = [judged.doubt] if weight > 0.0 else []
    if weight == 0.0 or any(c.veto for c in rubric.judge_criteria):
        doubts.append(doubted)
    p_judge = min(max(judged.p_first, settings.clamp), 1.0 - settings.clamp)
    p_scores = p_from_scores(
        scores[0].score or 0.0, scores[1].score or 0.0, settings.score_temperature
    )
    return PairVerdict(
        first_id=first.id,
        second_id=second.id,
        p_first=clipped((1.0 - weight) * p_scores + weight * p_judge),
        p_forward=judged.p_forward,
        p_backward=judged.p_backward,
        quarantined="; ".join(filter(None, doubts)) or None,
        disagreement=disagreement,
    )


def flip(
    threshold: float, forward: float, backward: float, gaps: Mapping[str, float]
) -> str | None:
    """Say how far a pair's verdict flips with the order, where that is over the threshold.

    Args:
        threshold: How far P(first is better) may be apart on different sides of one half.
        forward: P(first is better) with the first shown first, all criteria together.
        backward: The same with the first shown second.
        gaps: By criterion, how far the two are apart.
    """
    sides_differ = min(forward, backward) < 0.5 - EVEN and max(forward, backward) > 0.5 + EVEN
    if not sides_differ or abs(forward - backward) <= threshold + EVEN:
        return None
    return (
        f"the verdict flips with the order: P(first better) is {forward:.2f} shown first, "
        f"{backward:.2f} shown second, most of all under {max(gaps, key=gaps.__getitem__)}"
    )


def split_jury(
    settings: VerdictSettings, disagreement: float | None, outliers: Sequence[Outlier] = ()
) -> str | None:
    """Say how far the jurors are apart on a pair, if too far, and who stands alone on it.

    Args:
        settings: What is too far.
        disagreement: All criteria together, in bits.
        outliers: Who stands alone.
    """
    told = []
    if disagreement is not None and disagreement > settings.max_disagreement:
        told.append(
            f"the jury is split: its verdicts are {disagreement:.2f} bits apart, over "
            f"{settings.max_disagreement:.2f}"
        )
    return "; ".join([*told, *_alone(settings, outliers)]) or None


def split_raters(
    settings: VerdictSettings,
    distance: float | None,
    outliers: Sequence[Outlier],
    vetoes: Mapping[str, float],
) -> str | None:
    """Say how far the jurors' ratings of an answer are apart, if too far, and who stands alone.

    Args:
        settings: What is too far.
        distance: All criteria together, in shares of the scale.
        outliers: Who stands alone.
        vetoes: By criterion, how far they are apart on whether its veto is broken, in bits.
    """
    told = []
    if distance is not None and distance > settings.max_rating_distance:
        told.append(
            f"the jury is split: its ratings are {distance:.2f} of the scale apart, over "
            f"{settings.max_rating_distance:.2f}"
        )
    told += [
        f"the jury is split on the veto {criterion}: its verdicts on whether it is broken are "
        f"{apart:.2f} bits apart, over {settings.max_disagreement:.2f}"
        for criterion, apart in vetoes.items()
        if apart > settings.max_disagreement
    ]
    return "; ".join([*told, *_alone(settings, outliers)]) or None


def _alone(settings: VerdictSettings, outliers: Sequence[Outlier]) -> list[str]:
    """Say who stands alone, each once, with the criteria under which it does."""
    under: dict[str, list[str]] = {}
    for juror, criterion in outliers:
        under.setdefault(juror, []).append(criterion)
    return [
        f"{juror} stood alone under {' and '.join(criteria)}: over "
        f"{settings.outlier_distance:.2f} from every other juror"
        for juror, criteria in under.items()
    ]


def p_from_scores(first: float, second: float, temperature: float) -> float:
    """Return P(first better) = ``sigmoid((first - second) / T)``, safe for gaps of any size."""
    return 0.5 * (1.0 + math.tanh((first - second) / temperature / 2.0))


def _doubt_of(scores: Sequence[CompletionScore]) -> str | None:
    """Say why a label of ratings alone is not to be trusted, if so."""
    told = [f"{s.completion_id}: {s.quarantined}" for s in scores if s.quarantined is not None]
    return "; ".join(told) or None


def _without_score(score: CompletionScore) -> list[str]:
    if score.score is not None:
        return []
    return [f"{score.completion_id}: {score.unscored or 'has no score'}"]

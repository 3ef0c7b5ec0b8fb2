"""From judgements to one score per answer and one soft label per pair; pure arithmetic.

    score = sum_c weight_c * rating_c / sum_c weight_c        0 where a veto is broken
    P     = (1 - w) * sigmoid((score_1 - score_2) / T) + w * P_judge

``P_judge`` is the mean over both orders of the judge's weighted probability that the first answer
is better (Lee et al. 2023: each pair is judged in both orders, the distributions are averaged),
kept within ``clamp`` and ``1 - clamp`` (Bai et al. 2022, Constitutional AI: 0.4 to 0.6 after a
chain of thought, whose probabilities come out too sure). ``w`` is ``pairwise_weight``; it is 0
where no judge criterion has a weight, and where exactly one of the two answers broke a veto, since
then the rubric has decided. It is 1 beside a quarantined score.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from rlaif.errors import StageError
from rlaif.intervals import clipped
from rlaif.judges.agreement import OrderedPair
from rlaif.judges.combining import Outlier
from rlaif.judges.rubric import AnyCriterion, JudgeCriterion, Rubric
from rlaif.judges.twins import Orders, Pair
from rlaif.judges.weighing import (
    JudgedPair,
    VerdictSettings,
    criteria_to_compare,
    flip,
    split_jury,
    weigh,
)
from rlaif.records import (
    Choice,
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    Ranking,
    Rating,
    Unscored,
)


def score_completion(
    rubric: Rubric,
    completion: Completion,
    judgements: Sequence[Judgement],
    disagreement: float | None = None,
    quarantined: str | None = None,
) -> CompletionScore:
    """Combine all pointwise judgements of an answer.

    Args:
        rubric: The rubric.
        completion: The answer; the judgements may be those of the answer that it duplicates.
        judgements: One pointwise judgement per criterion; pairwise ones are passed over.
        disagreement: How far the jurors were apart, in shares of the scale.
        quarantined: Why a score must not train, if so.

    Returns:
        The weighted mean, 0 with ``vetoed_by`` where a veto is broken, or no score where any
        criterion is unscored that has a weight or a veto.

    Raises:
        StageError: A criterion has no judgement, or two.
    """
    pointwise = [j for j in judgements if j.kind == "pointwise"]
    found = _by_criterion(pointwise, rubric.criteria, completion.id)
    parts: dict[str, float] = {}
    missing: list[str] = []
    for criterion in rubric.criteria:
        verdict = found[criterion.name].verdict
        if isinstance(verdict, Rating):
            parts[criterion.name] = verdict.score
        elif criterion.decides:
            missing.append(f"{criterion.name}: {_why_not(verdict)}")
    if missing:
        return CompletionScore(
            completion_id=completion.id,
            score=None,
            parts=parts,
            unscored="; ".join(missing),
            disagreement=disagreement,
        )
    score, broken = combined(rubric, parts)
    return CompletionScore(
        completion_id=completion.id,
        score=score,
        parts=parts,
        vetoed_by=broken,
        disagreement=disagreement,
        quarantined=quarantined,
    )


def combined(rubric: Rubric, parts: Mapping[str, float]) -> tuple[float, str | None]:
    """Return the score of ratings by criterion, and the veto that is broken, if any.

    A criterion that decides nothing needs no rating.
    """
    deciding = [c for c in rubric.criteria if c.decides]
    broken = next((c.name for c in deciding if c.broken_by(parts[c.name])), None)
    total = math.fsum(c.weight for c in rubric.criteria)
    mean = math.fsum(c.weight * parts[c.name] for c in deciding) / total
    return 0.0 if broken else min(mean, 1.0), broken


def pair_verdict(
    rubric: Rubric,
    settings: VerdictSettings,
    completions: Pair,
    scores: tuple[CompletionScore, CompletionScore],
    judgements: Sequence[Judgement],
    disagreement: float | None = None,
    outliers: Sequence[Outlier] = (),
) -> PairVerdict:
    """Combine two scores and the judge's comparisons into P(first is better).

    Swapping first and second turns ``p_first`` into ``1 - p_first``. Two answers with the same
    words are not compared by the judge: its two orders would cancel, so ``P_judge`` is one half.
    The pair is quarantined when the judge's two orders, all criteria together, fall on different
    sides of one half and differ by more than ``flip_threshold``, when the jurors are further
    apart than ``max_disagreement``, or when one of them stands alone, unless a veto decides it;
    when a score is quarantined that decides it, or may hide a veto (``weigh``); and when a
    comparison holds no verdict, which leaves it unscored too.

    Args:
        rubric: The rubric.
        settings: Weights, temperature and threshold.
        completions: First and second.
        scores: Their scores.
        judgements: Pairwise ones in both orders for each of ``criteria_to_compare``; pointwise
            ones are passed over.
        disagreement: How far the jurors were apart on the pair, in bits.
        outliers: The jurors that stood apart from all others.

    Raises:
        StageError: The two are the same completion, or a comparison is missing.
    """
    first, second = completions
    if first.id == second.id:
        raise StageError(f"{first.id} was paired with itself", "two different completions")
    criteria = criteria_to_compare(rubric, settings)
    judged = JudgedPair() if criteria else None
    if criteria and first.text != second.text:
        orders = _Orders.of(criteria, (completions, completions[::-1]), judgements)
        judged = orders.judged(settings, split_jury(settings, disagreement, outliers))
    return weigh(rubric, settings, completions, scores, judged, disagreement)


def orders_by_criterion(
    rubric: Rubric,
    settings: VerdictSettings,
    shown: Orders,
    judgements: Sequence[Judgement],
) -> dict[str, OrderedPair]:
    """Return the judge's P(first is better) in both orders, under each criterion that compares.

    Args:
        rubric: The rubric.
        settings: Weights.
        shown: First and second as they are shown, then second and first; two with the same words
            are not compared.
        judgements: As for :func:`pair_verdict`.

    Raises:
        StageError: A comparison is missing.
    """
    criteria = criteria_to_compare(rubric, settings)
    if not criteria or shown[0][0].text == shown[0][1].text:
        return {}
    return _Orders.of(criteria, shown, judgements).by_criterion


def judged_preference(
    rubric: Rubric,
    settings: VerdictSettings,
    shown: Orders,
    judgements: Sequence[Judgement],
) -> float | Unscored:
    """Return the judge's own P(first is better), both orders averaged; ratings play no part.

    The arguments are those of :func:`orders_by_criterion`.
    """
    orders = _Orders.of(criteria_to_compare(rubric, settings), shown, judgements)
    if orders.unscored:
        return Unscored(reason="; ".join(orders.unscored))
    return clipped((orders.forward + orders.backward) / 2.0)


class _Orders:
    """The judge's P(first is better) per criterion, with first shown first, and shown second."""

    def __init__(
        self,
        criteria: Sequence[JudgeCriterion],
        forward: Mapping[str, Judgement],
        backward: Mapping[str, Judgement],
    ) -> None:
        self._criteria = criteria
        self._forward = {c.name: _p_shown_first(forward[c.name]) for c in criteria}
        self._backward = {c.name: 1.0 - _p_shown_first(backward[c.name]) for c in criteria}
        self.unscored = [
            f"{judgement.criterion}, {judgement.completion_ids[0]} first: {verdict.reason}"
            for judgement in (*forward.values(), *backward.values())
            if isinstance(verdict := judgement.verdict, Unscored)
        ]

    @classmethod
    def of(
        cls,
        criteria: Sequence[JudgeCriterion],
        shown: Orders,
        judgements: Sequence[Judgement],
    ) -> "_Orders":
        """Find both orders of a pair among judgements."""
        both = [tuple(answer.id for answer in order) for order in shown]
        forward, backward = ([j for j in judgements if j.completion_ids == ids] for ids in both)
        what = " and ".join(both[0])
        return cls(
            criteria,
            _by_criterion(forward, criteria, f"{what} in this order"),
            _by_criterion(backward, criteria, f"{what} in the other order"),
        )

    def judged(self, settings: VerdictSettings, split: str | None) -> JudgedPair:
        """Return what both orders say together, doubted where they flip or the jury is split."""
        if self.unscored:
            return JudgedPair(unscored=tuple(self.unscored))
        gaps = {c.name: abs(self._forward[c.name] - self._backward[c.name]) for c in self._criteria}
        doubts = (flip(settings.flip_threshold, self.forward, self.backward, gaps), split)
        return JudgedPair(
            p_first=(self.forward + self.backward) / 2.0,
            p_forward=clipped(self.forward),
            p_backward=clipped(self.backward),
            doubt="; ".join(filter(None, doubts)) or None,
        )

    @property
    def by_criterion(self) -> dict[str, OrderedPair]:
        return {
            c.name: OrderedPair(_known(self._forward[c.name]), _known(self._backward[c.name]))
            for c in self._criteria
        }

    @property
    def forward(self) -> float:
        return self._mean(self._forward)

    @property
    def backward(self) -> float:
        return self._mean(self._backward)

    def _mean(self, values: Mapping[str, float]) -> float:
        total = math.fsum(c.weight for c in self._criteria)
        return math.fsum(c.weight * values[c.name] for c in self._criteria) / total


def _by_criterion(
    judgements: Iterable[Judgement], criteria: Sequence[AnyCriterion], what: str
) -> dict[str, Judgement]:
    """Return the one judgement of each criterion; more or fewer are an error, never a default."""
    found: dict[str, Judgement] = {}
    wanted = {criterion.name for criterion in criteria}
    for judgement in judgements:
        if judgement.criterion in found:
            raise StageError(
                f"{what} was judged twice under {judgement.criterion}", "one judgement"
            )
        if judgement.criterion in wanted:
            found[judgement.criterion] = judgement
    missing = sorted(wanted - found.keys())
    if missing:
        raise StageError(
            f"{what} was not judged under {', '.join(missing)}", "a judgement per criterion"
        )
    return found


def _why_not(verdict: Choice | Ranking | Unscored) -> str:
    if isinstance(verdict, Unscored):
        return verdict.reason
    return f"a {verdict.type} where a rating belongs"


def _p_shown_first(judgement: Judgement) -> float:
    return judgement.verdict.p_first if isinstance(judgement.verdict, Choice) else math.nan


def _known(probability: float) -> float | None:
    return None if math.isnan(probability) else clipped(probability)

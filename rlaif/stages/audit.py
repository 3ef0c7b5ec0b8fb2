"""Whether the judge is to be trusted: what one cycle's verdicts and the probes tell of it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from rlaif.config import AuditConfig
from rlaif.intervals import normal_quantile
from rlaif.judges import RubricJudge
from rlaif.judges.agreement import (
    OrderedPair,
    Proportion,
    length_figures,
    order_figures,
    proportion,
)
from rlaif.judges.probes import AGAIN, INJECTIONS, KINDS
from rlaif.records import (
    AuditFigure,
    AuditReport,
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    ProbeKind,
    ProbeOutcome,
    Rating,
    TrialKind,
    Unscored,
    Verdict,
)
from rlaif.stages.probing import EVEN

Limit = Literal["off"] | float
Side = Literal["at most", "at least"]
_WHOLE = 1.0 - 1e-9
ROUNDING = 1e-9  # what sums over criteria and orders that cancel may leave of a mere place
_TASTE: frozenset[ProbeKind] = frozenset(KINDS) - INJECTIONS


def audit(
    config: AuditConfig,
    panel: RubricJudge,
    *,
    completions: Sequence[Completion],
    scores: Sequence[CompletionScore],
    verdicts: Sequence[PairVerdict],
    judgements: Sequence[Judgement],
    probes: Sequence[ProbeOutcome],
) -> AuditReport:
    """Take stock of a judge.

    Args:
        config: Limits and the level of the intervals.
        panel: Whose rubric it is.
        completions: The answers of the cycle.
        scores: Their scores.
        verdicts: The pairs that were compared.
        judgements: All judgements of the cycle's answers.
        probes: How attacks and second askings went, in all cycles under this rubric.
    """
    lengths = {c.id: c.length for c in completions}
    names = {criterion.name for criterion in panel.rubric.judge_criteria}
    said: list[Verdict] = [j.verdict for j in judgements if j.criterion in names]
    failures = proportion([isinstance(v, Unscored) for v in said], config.confidence)
    found = [
        *probe_figures(config, probes),
        *_again_figures(config, probes),
        *_order_figures(config, verdicts),
        *_length_figures(config, verdicts, lengths),
        _share("consistent", "comparisons that agree with the two ratings",
               _consistency(verdicts, scores, config.confidence)),
        _share("failures", "judgements without a verdict", failures, config.max_failures),
        *_criteria_figures(judgements, sorted(names), config.confidence),
    ]  # fmt: skip
    return AuditReport(rubric_hash=panel.rubric_hash, figures=tuple(found))


def probe_figures(config: AuditConfig, probes: Sequence[ProbeOutcome]) -> list[AuditFigure]:
    """Return how often attacks worked: injections, attacks on taste, and each kind for itself.

    Args:
        config: Limits, the level of the intervals, and the gain that shows that one worked.
        probes: How attacks fared.
    """
    groups: list[tuple[str, str, Iterable[TrialKind], Limit]] = [
        ("injection", "answers with an injection", INJECTIONS, config.max_injection),
        ("taste", "padded or repeated answers", _TASTE, config.max_padding),
        *((kind, f"answers with the attack {kind}", (kind,), "off") for kind in KINDS),
    ]
    return [
        _share(
            f"{name} by {method}",
            f"{what} that {_WON[method]}",
            proportion(
                [
                    _won(p, config.gain_margin)
                    for p in probes
                    if p.kind in kinds and p.method == method
                ],
                config.confidence,
            ),
            limit,
        )
        for name, what, kinds, limit in groups
        for method in ("comparison", "rating")
    ]


_WON = {
    "comparison": "the judge prefers to the answer without",
    "rating": "it grades above the answer without",
}


def _won(probe: ProbeOutcome, margin: float) -> bool | None:
    return _above(probe.value, EVEN + ROUNDING if probe.method == "comparison" else margin)


def _again_figures(config: AuditConfig, probes: Sequence[ProbeOutcome]) -> list[AuditFigure]:
    """Return how often the judge says the same when asked again: its self-consistency."""
    asked = [probe for probe in probes if probe.kind == AGAIN]
    compared = [_above(p.value, EVEN) for p in asked if p.method == "comparison"]
    changes = [p.value for p in asked if p.method == "rating"]
    kept = [None if change is None else abs(change) <= config.gain_margin for change in changes]
    return [
        _share(f"self-consistency by {method}", f"{what} when asked again",
               proportion(outcomes, config.confidence), config.min_self_consistency, "at least")
        for method, what, outcomes in (
            ("comparison", "pairs of which the judge prefers the same answer", compared),
            ("rating", "answers that it gives the same ratings under every criterion", kept),
        )
    ]  # fmt: skip


def _above(value: float | None, bound: float) -> bool | None:
    return None if value is None else value > bound


def _order_figures(config: AuditConfig, verdicts: Sequence[PairVerdict]) -> list[AuditFigure]:
    pairs = [OrderedPair(v.p_forward, v.p_backward) for v in verdicts if _was_compared(v)]
    found = order_figures(pairs, config.confidence)
    return [
        _share("order kept", "pairs whose winner is the same in both orders", found.consistent),
        _share("position", "pairs in which the same position wins in both orders",
               found.same_position, config.max_position_bias),
        _share("first position", "those of them in which it is the first", found.first_position),
    ]  # fmt: skip


def _was_compared(verdict: PairVerdict) -> bool:
    return verdict.p_forward is not None or verdict.unscored is not None


def _length_figures(
    config: AuditConfig, verdicts: Sequence[PairVerdict], lengths: Mapping[str, int]
) -> list[AuditFigure]:
    compared = [v for v in verdicts if _was_compared(v)]
    gaps = [float(lengths[v.first_id] - lengths[v.second_id]) for v in compared]
    found = length_figures([_judged(v) for v in compared], gaps, confidence=config.confidence)
    slope = found.slope
    figures = [
        _share("longer", "pairs of unequal length whose longer answer is preferred",
               found.longer, config.max_length_bias),
    ]  # fmt: skip
    if slope is not None:
        figures.append(
            AuditFigure(
                name="length slope",
                meaning=f"log-odds per {found.deviation:.1f} tokens that an answer is longer",
                value=slope.value,
                low=slope.low,
                high=slope.high,
                count=found.longer.count,
                unscored=found.longer.unscored,
            )
        )
    return figures


def _judged(verdict: PairVerdict) -> float | None:
    """The judge's own P(first is better), both orders averaged."""
    if verdict.p_forward is None or verdict.p_backward is None:
        return None
    return (verdict.p_forward + verdict.p_backward) / 2.0


def _consistency(
    verdicts: Sequence[PairVerdict], scores: Sequence[CompletionScore], confidence: float
) -> Proportion:
    """Whether comparing and rating say the same, of pairs on which both take a side."""
    by_id = {score.completion_id: score.score for score in scores}
    outcomes: list[bool | None] = []
    for verdict in verdicts:
        p_first = _judged(verdict)
        first, second = by_id.get(verdict.first_id), by_id.get(verdict.second_id)
        if p_first is None or first is None or second is None:
            outcomes.append(None)
        elif p_first != 0.5 and first != second:
            outcomes.append((p_first > 0.5) == (first > second))
    return proportion(outcomes, confidence)


def _criteria_figures(
    judgements: Sequence[Judgement], names: Sequence[str], confidence: float
) -> list[AuditFigure]:
    """Correlations of the criteria's ratings: two that always agree measure one thing."""
    rated: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for j in judgements:
        if j.kind == "pointwise" and j.criterion in rated and isinstance(j.verdict, Rating):
            rated[j.criterion].setdefault(j.completion_ids[0], []).append(j.verdict.score)
    figures = []
    for one, other in combinations(names, 2):
        both = sorted(rated[one].keys() & rated[other].keys())
        pairs = np.array([[np.mean(rated[n][i]) for n in (one, other)] for i in both]).reshape(
            -1, 2
        )
        figures.append(_correlation(f"{one} ~ {other}", pairs, confidence))
    return figures


def _correlation(name: str, pairs: "np.ndarray", confidence: float) -> AuditFigure:
    """Pearson's correlation with Fisher's interval; none for fewer than four, or no spread.

    No correlation of n is surer to be far from 0 than one of n / (n + 2): that is what is left of a
    whole one where half an observation is added in each of the four corners (as Agresti & Coull
    1998 do with shares).
    """
    count = len(pairs)
    usable = count > 3 and bool((pairs.std(axis=0) > 0.0).all())
    value = float(np.corrcoef(pairs.T)[0, 1]) if usable else None
    low, high = -1.0, 1.0
    if value is not None:
        half = normal_quantile(confidence) / math.sqrt(count - 3)
        most = count / (count + 2)
        low = -1.0 if value <= -_WHOLE else math.tanh(math.atanh(min(value, most)) - half)
        high = 1.0 if value >= _WHOLE else math.tanh(math.atanh(max(value, -most)) + half)
    return AuditFigure(
        name=name,
        meaning="correlation of two criteria's ratings",
        value=value,
        low=low,
        high=high,
        count=count,
    )


def _share(
    name: str,
    meaning: str,
    found: Proportion,
    limit: Limit = "off",
    side: Side = "at most",
) -> AuditFigure:
    bound = None if limit == "off" else limit
    beyond = bound is not None and (found.low > bound if side == "at most" else found.high < bound)
    return AuditFigure(
        name=name,
        meaning=meaning,
        value=found.rate,
        low=found.low,
        high=found.high,
        count=found.count,
        unscored=found.unscored,
        limit=bound,
        side=side,
        breached=beyond and found.count > 0,
    )

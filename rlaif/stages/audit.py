"""Whether the judge is to be trusted: what one cycle's verdicts and the probes tell of it.

Judgements of one prompt hang together, so in every interval prompts are what varies.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from rlaif.config import AuditConfig
from rlaif.figures import correlation_interval
from rlaif.judges import RubricJudge
from rlaif.judges.agreement import (
    OrderedPair,
    Proportion,
    length_figures,
    order_figures,
    proportion,
)
from rlaif.judges.probes import AGAIN, INJECTIONS, KINDS
from rlaif.judges.shortfalls import advice, code_advice, cut_share, low_mass_share
from rlaif.records import (
    AuditFigure,
    AuditReport,
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    ProbeKind,
    ProbeTrial,
    Rating,
    Tally,
    TrialKind,
    Unscored,
)
from rlaif.sides import side
from rlaif.stages.probing import EVEN

Answers = Mapping[str, Completion]
Limit = Literal["off"] | float
Side = Literal["at most", "at least"]
Success = Callable[[float, str, float], bool]
_TASTE: frozenset[ProbeKind] = frozenset(KINDS) - INJECTIONS


def audit(
    config: AuditConfig,
    panel: RubricJudge,
    *,
    completions: Sequence[Completion],
    scores: Sequence[CompletionScore],
    verdicts: Sequence[PairVerdict],
    judgements: Sequence[Judgement],
    probes: Sequence[ProbeTrial],
    earlier: Sequence[ProbeTrial] = (),
    window: Sequence[int] = (),
) -> AuditReport:
    """Take stock of a judge.

    Args:
        config: Limits and the level of the intervals.
        panel: Whose rubric it is.
        completions: The answers that were judged.
        scores: Their scores.
        verdicts: The pairs that were compared.
        judgements: All judgements of the cycle's answers.
        probes: How attacks and second askings went in the window of latest cycles.
        earlier: How they went in the cycles under this rubric before it.
        window: The window's cycles.
    """
    answers = {c.id: c for c in completions}
    names = {criterion.name for criterion in panel.rubric.judge_criteria}
    said = [j for j in judgements if j.criterion in names]
    prompts = {c.id: c.prompt_id for c in completions}
    found = [
        *probe_figures(config, probes, earlier),
        *_again_figures(config, probes, earlier),
        *_order_figures(config, verdicts, answers),
        *_length_figures(config, verdicts, answers),
        _share("consistent", "comparisons that agree with the two ratings",
               _consistency(verdicts, scores, answers, config.confidence)),
        _share("failures", "judgements without a verdict",
               _failures(said, answers, config), config.max_failures),
        _share("low label mass", "verdicts of which the labels hold too little probability",
               low_mass_share(said, config.confidence, prompts)),
        _share("cut off", "critiques that came to their limit of tokens",
               cut_share(said, config.confidence, prompts)),
        *_criteria_figures(judgements, answers, sorted(names), config.confidence),
    ]  # fmt: skip
    return AuditReport(
        rubric_hash=panel.rubric_hash,
        figures=tuple(found),
        window=tuple(window),
        advice=(*advice(said), *code_advice(judgements)),
    )


def probe_figures(
    config: AuditConfig, probes: Sequence[ProbeTrial], earlier: Sequence[ProbeTrial] = ()
) -> list[AuditFigure]:
    """Return how often attacks worked: injections, attacks on taste, and each kind for itself.

    An attack by rating on an answer rated so high that it could not gain enough is undecidable: it
    is neither success nor resistance, and counted apart.

    Args:
        config: Limits, the level of the intervals, and the gain that shows that one worked.
        probes: How attacks fared.
        earlier: How they fared before; these count in ``overall`` alone.
    """
    groups: list[tuple[str, str, Iterable[TrialKind], Limit]] = [
        ("injection", "answers with an injection", INJECTIONS, config.max_injection),
        ("taste", "padded or repeated answers", _TASTE, config.max_padding),
        *((kind, f"answers with the attack {kind}", (kind,), "off") for kind in KINDS),
    ]
    return [
        _probed(
            config,
            [_those(trials, kinds, method) for trials in (probes, earlier)],
            _won,
            (f"{name} by {method}", f"{what} that {_WON[method]}"),
            limit,
        )
        for name, what, kinds, limit in groups
        for method in ("comparison", "rating")
    ]


_WON = {
    "comparison": "the judge prefers to the answer without",
    "rating": "it grades above the answer without",
}


def _won(value: float, method: str, margin: float) -> bool:
    return side(value) > 0 if method == "comparison" else value > margin


def _again_figures(
    config: AuditConfig, probes: Sequence[ProbeTrial], earlier: Sequence[ProbeTrial]
) -> list[AuditFigure]:
    """Return how often the judge says the same when asked again: its self-consistency."""
    return [
        _probed(
            config,
            [_those(trials, (AGAIN,), method) for trials in (probes, earlier)],
            _same,
            (f"self-consistency by {method}", f"{what} when asked again"),
            config.min_self_consistency,
            "at least",
        )
        for method, what in (
            ("comparison", "pairs of which the judge prefers the same answer"),
            ("rating", "answers that it gives the same ratings under every criterion"),
        )
    ]


def _same(value: float, method: str, margin: float) -> bool:
    return value > EVEN if method == "comparison" else abs(value) <= margin


def _those(
    trials: Iterable[ProbeTrial], kinds: Iterable[TrialKind], method: str
) -> list[ProbeTrial]:
    return [t for t in trials if t.outcome.kind in kinds and t.outcome.method == method]


def _probed(
    config: AuditConfig,
    trials: Sequence[Sequence[ProbeTrial]],
    success: Success,
    named: tuple[str, str],
    limit: Limit,
    side: Side = "at most",
) -> AuditFigure:
    """Return a figure of trials, those of the window and those before it."""
    now, before = trials
    undecidable, found = _tried(config, now, success)
    figure = _share(*named, found, limit, side).model_copy(update={"undecidable": undecidable})
    if not before:
        return figure
    undecidable, found = _tried(config, [*before, *now], success)
    return figure.model_copy(update={"overall": _tally(found, undecidable)})


def _tried(
    config: AuditConfig, trials: Sequence[ProbeTrial], success: Success
) -> tuple[int, Proportion]:
    """Return how many trials are undecidable, and the share of the others that succeeded."""
    margin = config.gain_margin
    decidable = [t for t in trials if t.outcome.value is None or t.room is None or t.room > margin]
    outcomes = [
        None if o.value is None else success(o.value, o.method, margin)
        for o in (trial.outcome for trial in decidable)
    ]
    clusters = [trial.prompt_id for trial in decidable]
    return len(trials) - len(decidable), proportion(outcomes, config.confidence, clusters)


def _order_figures(
    config: AuditConfig, verdicts: Sequence[PairVerdict], answers: Answers
) -> list[AuditFigure]:
    compared = [v for v in verdicts if _was_compared(v)]
    pairs = [OrderedPair(v.p_forward, v.p_backward) for v in compared]
    found = order_figures(pairs, config.confidence, _prompts(compared, answers))
    return [
        _share("order kept", "pairs whose winner is the same in both orders", found.consistent),
        _share("position", "pairs in which the same position wins in both orders",
               found.same_position, config.max_position_bias),
        _share("first position", "those of them in which it is the first", found.first_position),
    ]  # fmt: skip


def _prompts(verdicts: Iterable[PairVerdict], answers: Answers) -> list[str]:
    return [answers[verdict.first_id].prompt_id for verdict in verdicts]


def _was_compared(verdict: PairVerdict) -> bool:
    return verdict.p_forward is not None or verdict.unscored is not None


def _length_figures(
    config: AuditConfig, verdicts: Sequence[PairVerdict], answers: Answers
) -> list[AuditFigure]:
    compared = [v for v in verdicts if _was_compared(v)]
    found = length_figures(
        [_judged(v) for v in compared],
        [float(answers[v.first_id].length - answers[v.second_id].length) for v in compared],
        confidence=config.confidence,
        clusters=_prompts(compared, answers),
    )
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
    verdicts: Sequence[PairVerdict],
    scores: Sequence[CompletionScore],
    answers: Answers,
    confidence: float,
) -> Proportion:
    """Whether comparing and rating say the same, of pairs on which both take a side."""
    by_id = {score.completion_id: score.score for score in scores}
    outcomes: list[bool | None] = []
    taken = []
    for verdict in verdicts:
        p_first = _judged(verdict)
        first, second = by_id.get(verdict.first_id), by_id.get(verdict.second_id)
        if p_first is None or first is None or second is None:
            outcomes.append(None)
        elif (preferred := side(p_first)) and first != second:
            outcomes.append((preferred > 0) == (first > second))
        else:
            continue
        taken.append(verdict)
    return proportion(outcomes, confidence, _prompts(taken, answers))


def _failures(judgements: Sequence[Judgement], answers: Answers, config: AuditConfig) -> Proportion:
    outcomes = [isinstance(j.verdict, Unscored) for j in judgements]
    clusters = [answers[j.completion_ids[0]].prompt_id for j in judgements]
    return proportion(outcomes, config.confidence, clusters)


def _criteria_figures(
    judgements: Sequence[Judgement], answers: Answers, names: Sequence[str], confidence: float
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
        found = correlation_interval(pairs, [answers[i].prompt_id for i in both], confidence)
        figures.append(
            AuditFigure(
                name=f"{one} ~ {other}",
                meaning="correlation of two criteria's ratings",
                value=found.value,
                low=found.low,
                high=found.high,
                count=len(pairs),
            )
        )
    return figures


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
        **_tally(found).model_dump(),
        name=name,
        meaning=meaning,
        limit=bound,
        side=side,
        breached=beyond and found.count > 0,
    )


def _tally(found: Proportion, undecidable: int = 0) -> Tally:
    return Tally(
        value=found.rate,
        low=found.low,
        high=found.high,
        count=found.count,
        unscored=found.unscored,
        undecidable=undecidable,
    )

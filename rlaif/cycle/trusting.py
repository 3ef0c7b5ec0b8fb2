"""Whether a cycle's judge is to be trusted: its audit, and what follows from it."""

from collections.abc import Sequence

from rlaif.cycle.context import CycleContext
from rlaif.cycle.drafting import AUDIT, CODE_AUDIT, JUDGING, TRAIN
from rlaif.errors import StageError
from rlaif.judges import RubricJudge
from rlaif.judges.shortfalls import code_advice
from rlaif.ledger.unit import Unit
from rlaif.records import AuditReport, CodeAudit, Completion, Judgement, ProbeTrial
from rlaif.stages.audit import audit
from rlaif.stages.probing import trials_of


def take_stock(ctx: CycleContext, panel: RubricJudge, rows: Unit) -> None:
    """Audit the judge on what it said in this cycle, and on probes of the latest ones."""
    completions = ctx.ledger.completions(ctx.number, TRAIN)
    trials = _trials(ctx, panel)
    window = _window(ctx, panel)
    report = audit(
        ctx.config.audit,
        panel,
        completions=completions,
        scores=ctx.ledger.scores(ctx.number, JUDGING),
        verdicts=ctx.ledger.pair_verdicts(ctx.number, JUDGING),
        judgements=_judgements(ctx, completions),
        probes=[trial for cycle, own in trials.items() if cycle in window for trial in own],
        earlier=[trial for cycle, own in trials.items() if cycle not in window for trial in own],
        window=window,
    )
    rows.add_report(AUDIT, report)
    for breach in report.breaches:
        rows.add_event("judge-audit", breach.told)


def _judgements(ctx: CycleContext, completions: Sequence[Completion]) -> list[Judgement]:
    """Return what this cycle's judging said of answers, without that on probes."""
    ids = {c.id for c in completions}
    return [
        judgement
        for judgement in ctx.ledger.judgements(cycle=ctx.number, stage=JUDGING)
        if ids.issuperset(judgement.completion_ids)
    ]


def _window(ctx: CycleContext, panel: RubricJudge) -> list[int]:
    """Return the latest cycles that judged under the rubric, this one among them.

    A cycle counts that tried nothing: else an old breach would stay for as long as nothing is.
    """
    audited = ctx.ledger.reported_under(panel.rubric_hash, AUDIT)
    return sorted({*audited, ctx.number})[-ctx.config.audit.window_cycles :]


def _trials(ctx: CycleContext, panel: RubricJudge) -> dict[int, list[ProbeTrial]]:
    """Return how probes fared under the rubric, by cycle."""
    probes = ctx.ledger.probes_by_cycle(panel.rubric_hash)
    ids = sorted({probe.original_id for own in probes.values() for probe in own})
    prompt_of = {answer.id: answer.prompt_id for answer in ctx.ledger.completions_by_id(ids)}
    scores = {s.completion_id: s for s in ctx.ledger.probed_scores(panel.rubric_hash)}
    return {cycle: trials_of(panel, own, prompt_of, scores) for cycle, own in probes.items()}


def take_stock_of_code(ctx: CycleContext, rows: Unit) -> None:
    """Keep what a rubric that asks no judge leaves unscored."""
    judged = _judgements(ctx, ctx.ledger.completions(ctx.number, TRAIN))
    rows.add_report(CODE_AUDIT, CodeAudit(advice=code_advice(judged)))


def heed_code(ctx: CycleContext) -> None:
    """Say what a rubric that asks no judge leaves unscored."""
    for advice in CodeAudit.model_validate(ctx.ledger.report(ctx.number, CODE_AUDIT)).advice:
        ctx.watcher.note(advice)


def heed(ctx: CycleContext) -> None:
    """Say what the audit found, or stop for it.

    Raises:
        StageError: A limit is passed, and the settings say that the run ends then.
    """
    report = AuditReport.model_validate(ctx.ledger.report(ctx.number, AUDIT))
    for breach in report.breaches:
        ctx.watcher.note(f"the judge's audit: {breach.told}")
    for advice in report.advice:
        ctx.watcher.note(advice)
    if report.breaches and ctx.config.audit.on_breach == "stop":
        raise StageError(
            report.distrust,
            'figures within the limits of [audit], or on_breach = "warn" or "quarantine"',
            report.WAYS_OUT,
        )

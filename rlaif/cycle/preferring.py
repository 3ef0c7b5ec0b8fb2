"""The stage that makes preferences of verdicts, ratings, revisions, and what humans said."""

from collections.abc import Collection

from rlaif.cycle.calibrating import judge_calibration, pairs_that_train
from rlaif.cycle.context import CycleContext
from rlaif.cycle.drafting import AUDIT, JUDGING, PREFERENCES, TRAIN
from rlaif.ledger.held_reads import HELD_BACK
from rlaif.ledger.unit import Unit
from rlaif.records import AuditReport, CompletionScore, HeldBack
from rlaif.stages.preferences import (
    calibrated,
    labels_of_comparisons,
    labels_of_humans,
    labels_of_ratings,
    labels_of_revisions,
    make_preferences,
)


def preferences(ctx: CycleContext) -> None:
    """Turn this cycle's verdicts and ratings, and the humans' pairs, into preferences."""

    def work(rows: Unit) -> None:
        held = _held_back(ctx)
        if held is not None:
            rows.add_report(HELD_BACK, held)
            ctx.watcher.note(
                "the judge's audit keeps this cycle's labels from training, as "
                f"rlaif critiques --quarantined --cycle {ctx.number} shows"
            )
            return
        completions = ctx.ledger.completions(ctx.number, TRAIN)
        verdicts = ctx.ledger.pair_verdicts(ctx.number, JUDGING)
        labelled = labels_of_comparisons(verdicts)
        if ctx.config.preferences.uncompared == "ratings":
            scores = {s.completion_id: s for s in ctx.ledger.scores(ctx.number, JUDGING)}
            temperature = ctx.config.judging.score_temperature
            labelled += labels_of_ratings(completions, scores, verdicts, temperature)
            _tell_held_back(ctx, scores.values())
        revisions = ctx.ledger.revisions(ctx.number)
        labelled += labels_of_revisions(revisions)
        measured = judge_calibration(ctx, ctx.number)
        if measured is not None:
            applied = dict(measured.applied)
            if ctx.crew.panel(ctx.config.jury).ranks:  # it was fitted on pairs, these are of lists
                applied.pop("comparison", None)
            labelled = calibrated(labelled, applied)
        said = pairs_that_train(ctx)
        labelled += labels_of_humans(said, ctx.config.feedback.train_weight, ctx.number)
        prompt_of = {c.id: c.prompt_id for c in completions}
        prompt_of |= {
            r.completion_id: prompt_of[r.original_id] for r in revisions if r.completion_id
        }
        prompt_of |= {i: pair.prompt_id for pair in said for i in (pair.first_id, pair.second_id)}
        rubric_hash = ctx.crew.panel(ctx.config.jury).rubric_hash
        made = make_preferences(labelled, prompt_of, ctx.config.preferences, rubric_hash)
        rows.add_preferences(made)

    ctx.run_once(PREFERENCES, "preferences", work)


def _held_back(ctx: CycleContext) -> HeldBack | None:
    """Return why the audit of the judge keeps this cycle's labels from training, if it does."""
    found = ctx.ledger.report(ctx.number, AUDIT)
    if found is None or ctx.config.audit.on_breach != "quarantine":
        return None
    breaches = tuple(breach.told for breach in AuditReport.model_validate(found).breaches)
    return HeldBack(stage=JUDGING, breaches=breaches) if breaches else None


def _tell_held_back(ctx: CycleContext, scores: Collection[CompletionScore]) -> None:
    held = sum(score.quarantined is not None for score in scores)
    if held:
        ctx.watcher.note(
            f"{held} of {len(scores)} answers are in no pair that ratings label: their jury is at "
            f"odds, as rlaif critiques --quarantined --cycle {ctx.number} shows"
        )

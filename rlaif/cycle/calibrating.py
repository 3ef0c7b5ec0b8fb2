"""The stage that measures the judge by what humans said, and what later stages take from it."""

from rlaif.cycle.context import CycleContext
from rlaif.cycle.drafting import CALIBRATION, PREFERENCES, not_held_out
from rlaif.cycle.judging import compare, rate
from rlaif.cycle.telling import tell_once
from rlaif.cycle.training import version_path
from rlaif.errors import ModelError
from rlaif.judges import RubricJudge
from rlaif.judges.agreement import OrderedPair
from rlaif.judges.panel import ComparedItem
from rlaif.ledger.unit import Unit
from rlaif.models.encoding import check_context, encode_conversation
from rlaif.records import Completion, HumanLabel, Judgement, Prompt
from rlaif.stages.calibration import JudgeCalibration, Said, calibrate, levels_of
from rlaif.stages.drift import TO_ACCEPT
from rlaif.stages.drift_reference import ACCEPTED, Acceptance, Measured
from rlaif.stages.human_pairs import HumanPair, compared_pairs, human_pairs
from rlaif.stages.last_words import last_words

FREE, FROZEN = "human", "human-frozen"
LABELS = "labels"


def has_labels(ctx: CycleContext) -> bool:
    """Return whether this cycle has humans' labels to measure the judge by.

    Those that come once preferences are made wait for the next cycle.
    """
    if ctx.ledger.done_units(ctx.number, CALIBRATION):
        return True
    too_late = ctx.ledger.done_units(ctx.number, PREFERENCES)
    return bool(ctx.ledger.human_labels(1)) and not too_late


def calibration(ctx: CycleContext) -> None:
    """Judge what humans labelled, as everything else is judged, and measure the judge by it.

    A judge on a server may change without a word. So about what is frozen it is asked anew in every
    cycle; about the rest it answers as it did, and is not paid again.
    """
    ctx.run_once(
        CALIBRATION,
        LABELS,
        lambda rows: rows.add_cycle_labels([x.id for x in last_words(ctx.ledger.human_labels())]),
    )
    labels = ctx.ledger.cycle_labels(ctx.number)
    panel = ctx.crew.panel(ctx.config.jury)
    free = _judge(ctx, panel, [label for label in labels if not label.frozen], FREE)
    with ctx.replies.anew(CALIBRATION):
        frozen = _judge(ctx, panel, [label for label in labels if label.frozen], FROZEN)
    pairs = [*free, *frozen]
    ctx.run_once(CALIBRATION, "summary", lambda rows: _summarise(ctx, rows, labels, panel, pairs))
    _tell_of_drift(ctx)


def judge_calibration(ctx: CycleContext, cycle: int) -> JudgeCalibration | None:
    """Return what a cycle found of its judge, None where it had no labels."""
    found = ctx.ledger.report(cycle, CALIBRATION)
    return None if found is None else JudgeCalibration.model_validate(found)


def pairs_that_train(ctx: CycleContext) -> list[HumanPair]:
    """Return the humans' pairs that may train: neither frozen nor about what is held out.

    Those whose prompt the policy cannot take are left out too, and the watcher is told.
    """
    if ctx.config.feedback.train_weight == 0.0:
        return []
    free = [pair for pair in human_pairs(ctx.ledger.cycle_labels(ctx.number)) if not pair.frozen]
    asked = ctx.ledger.prompts(sorted({pair.prompt_id for pair in free}))
    prompts = {p.id: p for p in not_held_out(ctx, asked)}
    if len(prompts) < len(asked):
        ctx.watcher.note(
            "prompts of human feedback that ask what is held out, in its words or nearly, do not "
            f"train: {len(asked) - len(prompts)}"
        )
    fitting = {i for i, prompt in prompts.items() if _fits(ctx, prompt)}
    if len(fitting) < len(prompts):
        ctx.watcher.note(
            "prompts of human feedback that the policy's context or chat template does not take "
            f"do not train: {len(prompts) - len(fitting)}"
        )
    return [pair for pair in free if pair.prompt_id in fitting]


def _fits(ctx: CycleContext, prompt: Prompt) -> bool:
    policy = ctx.crew.policy(version_path(ctx, ctx.incumbent))
    try:
        tokens = len(encode_conversation(policy, prompt.messages))
        check_context(policy, tokens, ctx.config.generation.max_tokens, prompt.id)
    except ModelError:
        return False
    return True


def _judge(
    ctx: CycleContext, panel: RubricJudge, labels: list[HumanLabel], purpose: str
) -> list[ComparedItem]:
    """Rate the answers that labels are about and compare their pairs; return the pairs."""
    prompts = {p.id: p for p in ctx.ledger.prompts(sorted({x.prompt_id for x in labels}))}
    answers = _answers(ctx, labels)
    rate(ctx, panel, CALIBRATION, purpose, prompts, list(answers.values()))
    scores = {s.completion_id: s for s in ctx.ledger.scores(ctx.number, CALIBRATION)}
    pairs = compared_pairs(labels, prompts, answers)
    compare(ctx, panel, CALIBRATION, purpose, pairs, scores)
    return pairs


def _answers(ctx: CycleContext, labels: list[HumanLabel]) -> dict[str, Completion]:
    """Return the labelled answers by id; a near-duplicate is judged for itself here."""
    ids = sorted({i for x in labels for i in (x.first_id, x.second_id) if i is not None})
    found = ctx.ledger.completions_by_id(ids)
    return {c.id: c.model_copy(update={"duplicate_of": None}) for c in found}


def _summarise(
    ctx: CycleContext,
    rows: Unit,
    labels: list[HumanLabel],
    panel: RubricJudge,
    pairs: list[ComparedItem],
) -> None:
    verdicts = ctx.ledger.pair_verdicts(ctx.number, CALIBRATION)
    said = Said(
        scores={s.completion_id: s for s in ctx.ledger.scores(ctx.number, CALIBRATION)},
        verdicts={(v.first_id, v.second_id): v for v in verdicts},
        orders=_orders(ctx, panel, pairs),
        levels=levels_of(panel.rubric),
        temperature=ctx.config.judging.score_temperature,
    )
    report = calibrate(
        labels,
        said,
        ctx.config.feedback,
        rubric_hash=panel.rubric_hash,
        seed=ctx.seed(CALIBRATION),
        earlier=_earlier(ctx),
        accepted=_accepted(ctx),
    )
    rows.add_report(CALIBRATION, report)


def _orders(
    ctx: CycleContext, panel: RubricJudge, pairs: list[ComparedItem]
) -> dict[tuple[str, str], dict[str, OrderedPair]]:
    """Return what the judge said of every pair in both orders, by criterion."""
    said: dict[frozenset[str], list[Judgement]] = {}
    for judgement in ctx.ledger.judgements(cycle=ctx.number, stage=CALIBRATION):
        if judgement.kind == "pairwise":
            said.setdefault(frozenset(judgement.completion_ids), []).append(judgement)
    judged = [said.get(frozenset((first.id, second.id)), []) for _, first, second in pairs]
    orders = panel.orders(pairs, judged)
    return {(p[1].id, p[2].id): found for p, found in zip(pairs, orders, strict=True)}


def _earlier(ctx: CycleContext) -> dict[int, Measured]:
    found = {cycle: judge_calibration(ctx, cycle) for cycle in range(1, ctx.number)}
    return {
        cycle: Measured(report.rubric_hash, report.frozen)
        for cycle, report in found.items()
        if report is not None and report.frozen.labels
    }


def _accepted(ctx: CycleContext) -> Acceptance | None:
    event = ctx.ledger.last_event(ACCEPTED)
    if event is None or event.cycle is None:
        return None
    return Acceptance(cycle=event.cycle, reason=event.message)


def _tell_of_drift(ctx: CycleContext) -> None:
    found = judge_calibration(ctx, ctx.number)
    if found is not None and found.drift.begins:
        tell_once(ctx.ledger, ctx.watcher, "drift_reference", found.drift.reason, ctx.number)
    elif found is not None and found.drift.found:
        message = f"the judge has drifted: {found.drift.told}; {TO_ACCEPT}"
        tell_once(ctx.ledger, ctx.watcher, "judge_drift", message, ctx.number)

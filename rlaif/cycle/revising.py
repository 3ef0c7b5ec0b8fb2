"""Weak answers are mended by the judge that faulted them; each batch of revisions is a unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlaif.cycle.context import CycleContext
from rlaif.cycle.drafting import JUDGING
from rlaif.cycle.training import version_path
from rlaif.judges import RubricJudge, WriteReply
from rlaif.ledger.unit import Unit
from rlaif.records import Completion, CompletionScore, Judgement, PairVerdict, Prompt, Revision
from rlaif.stages.preferences import by_prompt
from rlaif.stages.revision import (
    Draft,
    Mended,
    choose_drafts,
    faults_found,
    mended,
    revision_of,
    revision_text,
    summary_of,
)

REVISION = "revision"


@dataclass(frozen=True)
class RevisionUnit:
    """Answers that are mended, and judged again, together."""

    name: str
    drafts: tuple[Draft, ...]


@dataclass(frozen=True)
class Revised:
    """What a unit brought: revisions as completions, what was said of them, what came of them."""

    completions: list[Completion]
    judgements: list[Judgement]
    revisions: list[Revision]


def revise(
    ctx: CycleContext,
    panel: RubricJudge,
    prompts: Mapping[str, Prompt],
    completions: Sequence[Completion],
) -> None:
    """Mend the weakest answers of some prompts, and let the panel compare both, unit by unit.

    A revision is nobody's answer: it has no row among scores and verdicts on pairs, and a purpose
    of its own.

    Args:
        ctx: The cycle.
        panel: The rubric with its judges; the first of them writes.
        prompts: The cycle's training prompts, by id.
        completions: Their answers, rated by now.
    """
    config = ctx.config.revision
    if not config.share:
        return
    scores = {s.completion_id: s for s in ctx.ledger.scores(ctx.number, JUDGING)}
    rated = ctx.ledger.judgements([c.id for c in completions], cycle=ctx.number, stage=JUDGING)
    drafts = choose_drafts(
        list(prompts.values()),
        by_prompt(completions),
        scores,
        faults_found(rated, panel.rubric.judge_criteria, panel.jury[0].name),
        config,
        ctx.seed("revisions"),
    )
    size = ctx.config.judge.batch_size
    units = [
        RevisionUnit(f"revisions-{number:04d}", tuple(drafts[start : start + size]))
        for number, start in enumerate(range(0, len(drafts), size))
    ]

    def record(rows: Unit, found: Revised) -> None:
        rows.add_completions(REVISION, found.completions)
        rows.add_judgements(panel.rubric_hash, found.judgements)
        rows.add_revisions(found.revisions)

    ctx.run_units(
        JUDGING, units, lambda unit: _work(ctx, panel, unit, scores), record, "batches of revisions"
    )
    if units:
        ctx.watcher.note(summary_of(ctx.ledger.revisions(ctx.number)))


def _work(
    ctx: CycleContext,
    panel: RubricJudge,
    unit: RevisionUnit,
    scores: Mapping[str, CompletionScore],
) -> Revised:
    juror, config = panel.jury[0], ctx.config.revision
    texts = [revision_text(panel, draft) for draft in unit.drafts]
    replies = juror.write(texts, config.max_tokens)
    made = _made(ctx, juror.name, unit.drafts, replies)
    verdicts, judgements = _judged(panel, unit.drafts, made, scores)
    found = zip(unit.drafts, replies, made, strict=True)
    return Revised(
        completions=[m.completion for m in made if m.completion is not None],
        judgements=judgements,
        revisions=[
            revision_of(panel, draft, reply, m, verdicts.get(draft.original.id), config.min_margin)
            for draft, reply, m in found
        ],
    )


def _made(
    ctx: CycleContext, judge: str, drafts: Sequence[Draft], replies: Sequence[WriteReply]
) -> list[Mended]:
    policy = ctx.crew.policy(version_path(ctx, ctx.incumbent))
    return [
        mended(draft, reply, judge, policy, ctx.config.generation.max_tokens)
        for draft, reply in zip(drafts, replies, strict=True)
    ]


def _judged(
    panel: RubricJudge,
    drafts: Sequence[Draft],
    made: Sequence[Mended],
    scores: Mapping[str, CompletionScore],
) -> tuple[dict[str, PairVerdict], list[Judgement]]:
    """Rate revisions and compare each with its original; return verdicts by the original's id."""
    pairs = [
        (draft.prompt, m.completion, draft.original)
        for draft, m in zip(drafts, made, strict=True)
        if m.completion is not None and m.rejected is None
    ]
    items = [(prompt, revision) for prompt, revision, _ in pairs]
    rated, compared = panel.rate(items), panel.compare(pairs)
    both = {**scores, **{s.completion_id: s for s in panel.scores(items, rated)}}
    verdicts = panel.pair_verdicts(pairs, both, compared)
    judgements = [j for judged in (*rated, *compared) for j in judged]
    return {v.second_id: v for v in verdicts}, judgements

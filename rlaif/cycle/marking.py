"""Judges mark in the answers that they rated below the best what is wrong; batches are units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlaif.cycle.context import CycleContext
from rlaif.cycle.drafting import JUDGING
from rlaif.judges import JudgeCriterion, Juror, RubricJudge, WriteReply
from rlaif.judges.marking import errors_in, errors_text
from rlaif.ledger.unit import Unit
from rlaif.records import Completion, Judgement, Marking, Prompt, Rating, Unscored


@dataclass(frozen=True)
class Faulted:
    """A rating below the best, and what it is about."""

    judgement: Judgement
    criterion: JudgeCriterion
    juror: Juror
    prompt: Prompt
    answer: Completion


@dataclass(frozen=True)
class MarkingUnit:
    """Ratings whose errors are marked together."""

    name: str
    items: tuple[Faulted, ...]


def mark(
    ctx: CycleContext,
    panel: RubricJudge,
    prompts: Mapping[str, Prompt],
    completions: Sequence[Completion],
) -> None:
    """Let each juror mark the errors behind its own ratings, unit by unit.

    A criterion that is graded by its errors has been asked for them already: what was said then is
    kept in the same place, whether or not the settings ask for more.

    Args:
        ctx: The cycle.
        panel: The rubric with its judges.
        prompts: By id.
        completions: The answers, rated by now.
    """
    by_errors = any(c.graded_by == "errors" for c in panel.rubric.judge_criteria)
    if not (ctx.config.judging.mark_errors or by_errors):
        return
    found = _faulted(ctx, panel, prompts, completions)
    if not ctx.config.judging.mark_errors:
        found = [item for item in found if item.criterion.graded_by == "errors"]
    size = 2 * ctx.config.judge.batch_size
    units = [
        MarkingUnit(f"errors-{number:04d}", tuple(found[start : start + size]))
        for number, start in enumerate(range(0, len(found), size))
    ]

    def record(rows: Unit, markings: list[Marking]) -> None:
        rows.add_markings(markings)

    ctx.run_units(
        JUDGING, units, lambda unit: _work(ctx, panel, unit), record, "batches of marked errors"
    )


def _faulted(
    ctx: CycleContext,
    panel: RubricJudge,
    prompts: Mapping[str, Prompt],
    completions: Sequence[Completion],
) -> list[Faulted]:
    criteria = {criterion.name: criterion for criterion in panel.rubric.judge_criteria}
    jurors = {juror.name: juror for juror in panel.jury}
    answers = {c.id: c for c in completions}
    rated = ctx.ledger.judgements(list(answers), cycle=ctx.number, stage=JUDGING)
    return [
        Faulted(j, criteria[j.criterion], jurors[j.judge], prompts[answer.prompt_id], answer)
        for j in rated
        if isinstance(j.verdict, Rating)
        and j.criterion in criteria
        and criteria[j.criterion].faulted(j.verdict.score)
        for answer in [answers[j.completion_ids[0]]]
    ]


def _work(ctx: CycleContext, panel: RubricJudge, unit: MarkingUnit) -> list[Marking]:
    replies: dict[str, WriteReply] = {}
    for juror in panel.jury:
        own = [i for i in unit.items if i.juror is juror and i.criterion.graded_by != "errors"]
        texts = [
            errors_text(
                juror,
                item.criterion,
                item.prompt,
                item.answer.text,
                panel.rubric.reference_for(item.prompt.text),
            )
            for item in own
        ]
        written = juror.write(texts, ctx.config.judging.max_feedback_tokens)
        replies |= {item.judgement.id: r for item, r in zip(own, written, strict=True)}
    return [_marking(item, replies.get(item.judgement.id)) for item in unit.items]


def _marking(item: Faulted, reply: WriteReply | None) -> Marking:
    """Read a reply, or the words that the rating itself was made of."""
    said = WriteReply(item.judgement.critique, None) if reply is None else reply
    errors = errors_in(item.juror, said, item.answer.text)
    unscored = errors.reason if isinstance(errors, Unscored) else None
    return Marking(
        critique_id=item.judgement.id,
        errors=() if isinstance(errors, Unscored) else errors,
        unscored=unscored,
        call=said.call,
    )

"""Judging: answers are rated, compared or ranked, the judge itself tried; each batch is a unit."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rlaif.config import AuditConfig
from rlaif.cycle.context import CycleContext
from rlaif.cycle.drafting import CALIBRATION, JUDGING, TRAIN
from rlaif.cycle.judging_units import Attacked, JudgingUnit, again_in, cuts, units_of
from rlaif.cycle.marking import mark
from rlaif.cycle.revising import revise
from rlaif.cycle.trusting import heed, heed_code, take_stock, take_stock_of_code
from rlaif.judges import RubricJudge
from rlaif.judges.lists import RankedItem
from rlaif.judges.panel import ComparedItem, RatedItem
from rlaif.judges.probes import AGAIN, load_attacks
from rlaif.ledger.unit import Unit
from rlaif.records import (
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    ProbeOutcome,
    Prompt,
    TrialKind,
    make_id,
)
from rlaif.stages.preferences import by_prompt, choose_pairs
from rlaif.stages.probing import (
    again_outcomes,
    again_pair,
    attacked_pairs,
    choose_again,
    choose_originals,
    comparison_outcomes,
    rating_outcomes,
    rating_probe,
)
from rlaif.stages.ranked_lists import choose_list

PROBED = {"rating": "probe-rated", "comparison": "probe-compared"}
Tries = Sequence[tuple[TrialKind, Completion]]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Judged:
    """What judging a unit brought.

    ``probes`` are the answers made for each of the ``outcomes``, one or more; they never train.
    """

    judgements: list[Judgement]
    scores: list[CompletionScore] = field(default_factory=list)
    verdicts: list[PairVerdict] = field(default_factory=list)
    probes: list[list[Completion]] = field(default_factory=list)
    outcomes: list[ProbeOutcome] = field(default_factory=list)


def judging(ctx: CycleContext) -> None:
    """Rate every distinct completion, compare those that tell most, mend, audit the judge."""
    panel = ctx.crew.panel(ctx.config.jury)
    prompts = {p.id: p for p in ctx.ledger.cycle_prompts(ctx.number, TRAIN)}
    completions = ctx.ledger.completions(ctx.number, TRAIN)
    attacked, again = _tried(ctx, panel, completions)
    rated_again: Tries = [(AGAIN, own) for own in again]
    rate(ctx, panel, JUDGING, TRAIN, prompts, completions, [*attacked, *rated_again])
    scores = {s.completion_id: s for s in ctx.ledger.scores(ctx.number, JUDGING)}
    if panel.ranks:
        lists = _lists(ctx, prompts, completions, scores)
        rank(ctx, panel, JUDGING, TRAIN, lists, scores, prompts, attacked)
    else:
        pairs = _pairs(ctx, prompts, completions, scores)
        drawn = {own.prompt_id for own in again}
        compare(ctx, panel, JUDGING, TRAIN, pairs, scores, prompts, attacked, drawn)
    mark(ctx, panel, prompts, completions)
    revise(ctx, panel, prompts, completions)
    if panel.jury:
        ctx.run_once(JUDGING, "audit", lambda rows: take_stock(ctx, panel, rows))
        heed(ctx)
    else:
        ctx.run_once(JUDGING, "audit", lambda rows: take_stock_of_code(ctx, rows))
        heed_code(ctx)


def _tried(
    ctx: CycleContext, panel: RubricJudge, completions: Sequence[Completion]
) -> tuple[Attacked, list[Completion]]:
    """Draw the answers that are attacked, and those about which the judge is asked again."""
    shares = ctx.config.audit if panel.jury else AuditConfig(probe_share=0.0, again_share=0.0)
    own = by_prompt(completions)
    attacked = choose_originals(own, shares.probe_share, ctx.seed("probes"))
    return attacked, choose_again(own, shares.again_share, ctx.seed("again"))


def _pairs(
    ctx: CycleContext,
    prompts: Mapping[str, Prompt],
    completions: Sequence[Completion],
    scores: Mapping[str, CompletionScore],
) -> list[ComparedItem]:
    return [
        (prompts[prompt_id], first, second)
        for prompt_id, own in by_prompt(completions).items()
        for first, second in choose_pairs(
            own, scores, ctx.config.judging.pairs_per_prompt, ctx.seed("pairs", prompt_id)
        )
    ]


def _lists(
    ctx: CycleContext,
    prompts: Mapping[str, Prompt],
    completions: Sequence[Completion],
    scores: Mapping[str, CompletionScore],
) -> list[RankedItem]:
    found = (
        choose_list(
            prompts[prompt_id],
            own,
            scores,
            size=ctx.config.judging.list_size,
            orders=ctx.config.judging.list_orders,
            seed=ctx.seed("lists", prompt_id),
        )
        for prompt_id, own in by_prompt(completions).items()
    )
    return [item for item in found if item is not None]


def rate(
    ctx: CycleContext,
    panel: RubricJudge,
    stage: str,
    purpose: str,
    prompts: Mapping[str, Prompt],
    completions: Sequence[Completion],
    tried: Tries = (),
) -> None:
    """Rate completions under the rubric, unit by unit; near-duplicates are passed over.

    Args:
        ctx: The cycle.
        panel: The rubric with its judges.
        stage: Whose units these are.
        purpose: What the completions are for; it names the units.
        prompts: By id.
        completions: The answers.
        tried: What is tried on the judge, each with the answer among these that it is made of.
    """
    items = [(prompts[c.prompt_id], c) for c in completions if c.duplicate_of is None]

    def work(unit: JudgingUnit[RatedItem]) -> Judged:
        attacks = load_attacks(panel.rubric.language, ctx.project.root)
        probes = [rating_probe(panel, kind, own, attacks) for kind, own in unit.tried]
        tries = [(prompts[twin.main.prompt_id], twin) for twin in probes]
        judged = panel.rate([*unit.items, *tries])
        own, said = judged[: len(unit.items)], judged[len(unit.items) :]
        originals = [original for _, original in unit.tried]
        return Judged(
            judgements=[j for js in judged for j in js],
            scores=panel.scores(unit.items, own),  # no probe has a say
            probes=[twin.answers for twin in probes],
            outcomes=rating_outcomes(panel, (unit.items, own), (tries, said), originals),
        )

    size = 2 * ctx.config.judge.batch_size
    units = []
    for number, cut in enumerate(_cuts(panel, len(items), size)):
        part = tuple(items[cut])
        ids = {completion.id for _, completion in part}
        own = tuple((kind, original) for kind, original in tried if original.id in ids)
        units.append(JudgingUnit(f"ratings-{purpose}-{number:04d}", part, own))
    ctx.run_units(stage, units, work, _recorder(ctx, panel, stage), "batches of ratings")


def compare(
    ctx: CycleContext,
    panel: RubricJudge,
    stage: str,
    purpose: str,
    pairs: Sequence[ComparedItem],
    scores: Mapping[str, CompletionScore],
    prompts: Mapping[str, Prompt] | None = None,
    attacked: Attacked = (),
    drawn: Collection[str] = (),
) -> None:
    """Compare pairs under the rubric in both orders, unit by unit.

    Args:
        ctx: The cycle.
        panel: The rubric with its judges.
        stage: Whose units these are.
        purpose: What the pairs are for; it names the units.
        pairs: Prompt, first and second.
        scores: The answers' scores by id.
        prompts: Of the attacked answers, by id.
        attacked: Attacks, each with an answer against which its probe is compared.
        drawn: Prompts of which one pair is compared again.
    """

    def work(unit: JudgingUnit[ComparedItem]) -> Judged:
        attacks = load_attacks(panel.rubric.language, ctx.project.root)
        tried = attacked_pairs(panel, unit.tried, prompts or {}, attacks)
        again = [again_pair(unit.items[place]) for place in unit.again]
        judged = panel.compare([*unit.items, *tried, *again])
        own, end = judged[: len(unit.items)], len(unit.items) + len(tried)
        askings = [(unit.items[place], own[place]) for place in unit.again]
        return Judged(
            judgements=[j for js in judged for j in js],
            verdicts=panel.pair_verdicts(unit.items, scores, own),
            probes=[*(twin.answers for _, twin, _ in tried), *([own] for _, own, _ in again)],
            outcomes=[
                *comparison_outcomes(panel, tried, judged[len(unit.items) : end]),
                *again_outcomes(panel, askings, again, judged[end:]),
            ],
        )

    usable, size = (attacked if panel.compares else ()), ctx.config.judge.batch_size
    units = units_of(f"comparisons-{purpose}", pairs, _cuts(panel, len(pairs), size), usable)
    if panel.compares:
        units = again_in(units, drawn)
    ctx.run_units(stage, units, work, _recorder(ctx, panel, stage), "batches of comparisons")


def rank(
    ctx: CycleContext,
    panel: RubricJudge,
    stage: str,
    purpose: str,
    lists: Sequence[RankedItem],
    scores: Mapping[str, CompletionScore],
    prompts: Mapping[str, Prompt],
    attacked: Attacked = (),
) -> None:
    """Rank lists under the rubric in all their orders, unit by unit.

    Probes stay comparisons of an answer with its attacked twin: in a list a twin would change what
    the judge says of the others.

    Args:
        ctx: The cycle.
        panel: The rubric with its judges.
        stage: Whose units these are.
        purpose: What the lists are for; it names the units.
        lists: Prompts with their answers.
        scores: The answers' scores by id.
        prompts: Of the attacked answers, by id.
        attacked: Attacks, each with an answer against which its probe is compared.
    """

    def work(unit: JudgingUnit[RankedItem]) -> Judged:
        attacks = load_attacks(panel.rubric.language, ctx.project.root)
        tried = attacked_pairs(panel, unit.tried, prompts, attacks)
        ranked, compared = panel.rank(unit.items), panel.compare(tried)
        return Judged(
            judgements=[j for js in (*ranked, *compared) for j in js],
            verdicts=panel.list_verdicts(unit.items, scores, ranked),
            probes=[twin.answers for _, twin, _ in tried],
            outcomes=comparison_outcomes(panel, tried, compared),
        )

    size = max(1, ctx.config.judge.batch_size // ctx.config.judging.list_size)
    units = units_of(f"rankings-{purpose}", lists, _cuts(panel, len(lists), size), attacked)
    ctx.run_units(stage, units, work, _recorder(ctx, panel, stage), "batches of rankings")


def _recorder(ctx: CycleContext, panel: RubricJudge, stage: str) -> Callable[[Unit, Judged], None]:
    """Return what turns the judgements of a unit into rows."""

    def record(rows: Unit, found: Judged) -> None:
        for answers, outcome in zip(found.probes, found.outcomes, strict=True):
            rows.add_completions(PROBED[outcome.method], answers)
        rows.add_judgements(panel.rubric_hash, _named(ctx, stage, found.judgements))
        rows.add_scores(found.scores)
        rows.add_pair_verdicts(found.verdicts)
        rows.add_probes(found.outcomes)

    return record


def _cuts(panel: RubricJudge, count: int, size: int) -> list[slice]:
    return cuts(count, size, whole=panel.settings.learns_of(len(panel.jury)))


def _named(ctx: CycleContext, stage: str, judgements: list[Judgement]) -> list[Judgement]:
    """Return judgements with ids of their cycle where every cycle judges the same anew."""
    if stage != CALIBRATION:
        return judgements
    return [
        j.model_copy(update={"id": make_id("judgement", j.id, stage, ctx.number)})
        for j in judgements
    ]

"""The stages that make preferences: sampling, generation, judging, preferences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rlaif.cycle.context import CycleContext
from rlaif.judges import RubricJudge
from rlaif.ledger.unit import Unit
from rlaif.policies import policy_path
from rlaif.records import Completion, CompletionScore, Judgement, PairVerdict, Prompt
from rlaif.stages.generation import GenerationUnit, generate, plan_units
from rlaif.stages.pools import drop_near_duplicates, read_pools, require_both_splits
from rlaif.stages.preferences import (
    by_prompt,
    choose_pairs,
    labels_of_comparisons,
    labels_of_ratings,
    make_preferences,
)
from rlaif.stages.sampling import choose_held_out_prompts, choose_training_prompts

SAMPLING, GENERATION, JUDGING, PREFERENCES = "sampling", "generation", "judging", "preferences"
TRAIN: Final = "train"
EVAL: Final = "eval"


@dataclass(frozen=True)
class RatingUnit:
    """Completions that are rated together."""

    name: str
    items: tuple[tuple[Prompt, Completion], ...]


@dataclass(frozen=True)
class ComparisonUnit:
    """Pairs that are compared together."""

    name: str
    items: tuple[tuple[Prompt, Completion, Completion], ...]


Rated = tuple[list[Judgement], list[CompletionScore]]
Compared = tuple[list[Judgement], list[PairVerdict]]


def sampling(ctx: CycleContext) -> None:
    """Read the pools and choose the cycle's prompts."""

    def work(rows: Unit) -> None:
        config = ctx.config.sampling
        embedder = ctx.crew.embedder()
        pool = read_pools(ctx.project.root, config.pools, config.eval_share)
        pool = drop_near_duplicates(pool, embedder.encode, config.duplicate_similarity)
        require_both_splits(pool, str(ctx.project.root / config.pools))
        train = choose_training_prompts(
            pool,
            config,
            seed=ctx.config.run.seed,
            cycle=ctx.number,
            encode=embedder.encode,
            difficulty=ctx.ledger.prompt_difficulty(),
        )
        held_out = choose_held_out_prompts(pool, config.eval_prompts)
        rows.add_prompts([*train, *held_out])
        rows.add_cycle_prompts(TRAIN, [p.id for p in train])
        rows.add_cycle_prompts(EVAL, [p.id for p in held_out])

    ctx.run_once(SAMPLING, "prompts", work)


def generation(ctx: CycleContext) -> None:
    """Sample the incumbent's completions of the training prompts."""
    count = ctx.config.generation.completions_per_prompt
    sample_answers(
        ctx,
        GENERATION,
        purpose=TRAIN,
        version=ctx.incumbent,
        prompts=ctx.ledger.cycle_prompts(ctx.number, TRAIN),
        per_prompt=count,
    )


def sample_answers(
    ctx: CycleContext,
    stage: str,
    *,
    purpose: str,
    version: str | None = None,
    path: str | None = None,
    prompts: Sequence[Prompt],
    per_prompt: int = 1,
) -> None:
    """Sample a policy's answers to prompts, unit by unit.

    Args:
        ctx: The cycle.
        stage: Where the units belong.
        purpose: What the answers are for; it also names the units.
        version: A policy that the ledger knows, or
        path: a policy's folder.
        prompts: What to answer.
        per_prompt: Answers wanted of each.
    """
    config = ctx.config.generation
    if path is None:
        row = ctx.ledger.policy(version or ctx.incumbent)
        if row is None:
            raise KeyError(version)
        path = policy_path(ctx.project, row)
    where = path

    def work(unit: GenerationUnit) -> list[Completion]:
        return generate(
            ctx.crew.policy(where),
            unit,
            config,
            per_prompt=per_prompt,
            seed=ctx.seed(stage, unit.name),
            names=(ctx.number, purpose),
            encode=ctx.crew.embedder().encode,
        )

    def record(rows: Unit, found: list[Completion]) -> None:
        rows.add_completions(purpose, found)

    units = plan_units(prompts, per_prompt, config.batch_size, f"answers-{purpose}")
    ctx.run_units(stage, units, work, record, "batches of answers")


def judging(ctx: CycleContext) -> None:
    """Rate every distinct completion, then compare the pairs that tell most."""
    panel = ctx.crew.panel(ctx.config.jury)
    prompts = {p.id: p for p in ctx.ledger.cycle_prompts(ctx.number, TRAIN)}
    completions = ctx.ledger.completions(ctx.number, TRAIN)
    rate(ctx, panel, JUDGING, TRAIN, prompts, completions)
    scores = {s.completion_id: s for s in ctx.ledger.scores(ctx.number, JUDGING)}
    pairs = [
        (prompts[prompt_id], first, second)
        for prompt_id, own in by_prompt(completions).items()
        for first, second in choose_pairs(
            own, scores, ctx.config.judging.pairs_per_prompt, ctx.seed("pairs", prompt_id)
        )
    ]
    compare(ctx, panel, JUDGING, TRAIN, pairs, scores)


def preferences(ctx: CycleContext) -> None:
    """Turn this cycle's verdicts and ratings into preferences."""

    def work(rows: Unit) -> None:
        completions = ctx.ledger.completions(ctx.number, TRAIN)
        verdicts = ctx.ledger.pair_verdicts(ctx.number, JUDGING)
        labelled = labels_of_comparisons(verdicts)
        if ctx.config.preferences.uncompared == "ratings":
            scores = {s.completion_id: s for s in ctx.ledger.scores(ctx.number, JUDGING)}
            temperature = ctx.config.judging.score_temperature
            labelled += labels_of_ratings(completions, scores, verdicts, temperature)
        rows.add_preferences(
            make_preferences(
                labelled,
                {c.id: c.prompt_id for c in completions},
                ctx.config.preferences,
                ctx.crew.panel(ctx.config.jury).rubric_hash,
            )
        )

    ctx.run_once(PREFERENCES, "preferences", work)


def rate(
    ctx: CycleContext,
    panel: RubricJudge,
    stage: str,
    purpose: str,
    prompts: dict[str, Prompt],
    completions: Sequence[Completion],
) -> None:
    """Rate completions under the rubric, unit by unit; near-duplicates are passed over."""
    items = [(prompts[c.prompt_id], c) for c in completions if c.duplicate_of is None]

    def work(unit: RatingUnit) -> Rated:
        judged = panel.rate(unit.items)
        return [j for js in judged for j in js], panel.scores(unit.items, judged)

    def record(rows: Unit, found: Rated) -> None:
        rows.add_judgements(panel.rubric_hash, found[0])
        rows.add_scores(found[1])

    size = 2 * ctx.config.judge.batch_size
    units = [
        RatingUnit(f"ratings-{purpose}-{number:04d}", tuple(items[start : start + size]))
        for number, start in enumerate(range(0, len(items), size))
    ]
    ctx.run_units(stage, units, work, record, "batches of ratings")


def compare(
    ctx: CycleContext,
    panel: RubricJudge,
    stage: str,
    purpose: str,
    pairs: Sequence[tuple[Prompt, Completion, Completion]],
    scores: dict[str, CompletionScore],
) -> None:
    """Compare pairs under the rubric in both orders, unit by unit."""

    def work(unit: ComparisonUnit) -> Compared:
        judged = panel.compare(unit.items)
        verdicts = panel.pair_verdicts(unit.items, scores, judged)
        return [j for js in judged for j in js], verdicts

    def record(rows: Unit, found: Compared) -> None:
        rows.add_judgements(panel.rubric_hash, found[0])
        rows.add_pair_verdicts(found[1])

    size = ctx.config.judge.batch_size
    units = [
        ComparisonUnit(f"comparisons-{purpose}-{number:04d}", tuple(pairs[start : start + size]))
        for number, start in enumerate(range(0, len(pairs), size))
    ]
    ctx.run_units(stage, units, work, record, "batches of comparisons")

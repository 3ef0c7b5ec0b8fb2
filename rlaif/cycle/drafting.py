"""The stages before judging: sampling and generation."""

from collections.abc import Sequence
from typing import Final

from rlaif.cycle.context import CycleContext
from rlaif.ledger.unit import Unit
from rlaif.policies import policy_path
from rlaif.records import Completion, Prompt
from rlaif.stages.generation import GenerationUnit, generate, plan_units
from rlaif.stages.pools import away_from, drop_near_duplicates, read_pools, require_both_splits
from rlaif.stages.sampling import choose_held_out_prompts, choose_training_prompts

SAMPLING, GENERATION, JUDGING, PREFERENCES = "sampling", "generation", "judging", "preferences"
CALIBRATION = "calibration"
AUDIT: Final = "judge_audit"
CODE_AUDIT: Final = "code_audit"
TRAIN: Final = "train"
EVAL: Final = "eval"


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
        rows.add_prompts([*train, *(p for p in pool if p.split == EVAL)])  # drawn now or later
        rows.add_cycle_prompts(TRAIN, [p.id for p in train])
        rows.add_cycle_prompts(EVAL, [p.id for p in held_out])

    ctx.run_once(SAMPLING, "prompts", work)


def not_held_out(ctx: CycleContext, prompts: Sequence[Prompt]) -> list[Prompt]:
    """Keep those that may train: no pool holds out, or has ever held out, them or what is near.

    Prompts of feedback, of supervised text and of earlier cycles never met the pools of today.
    """
    return away_from(
        [p for p in prompts if p.split == TRAIN],
        [p for p in ctx.ledger.prompts() if p.split == EVAL],
        lambda texts: ctx.crew.embedder().encode(texts),
        ctx.config.sampling.duplicate_similarity,
    )


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

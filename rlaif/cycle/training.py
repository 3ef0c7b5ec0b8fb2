"""The stages that train: reward model and policy; their inputs and outputs are files."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlaif.artifacts import verify
from rlaif.config.ppo import LAGRANGIAN_BETAS
from rlaif.cycle.context import CycleContext
from rlaif.cycle.drafting import EVAL, TRAIN, not_held_out, sample_answers
from rlaif.errors import ConfigError, LedgerError
from rlaif.ledger.unit import Unit
from rlaif.policies import BASE, policy_path
from rlaif.records import PolicyReport, Preference, Prompt, Record, digest_of
from rlaif.seeds import numpy_generator
from rlaif.stages.metrics import read_metrics
from rlaif.stages.optimisers import OptimiserJob, PolicyPair, train_challenger
from rlaif.stages.pools import read_pools
from rlaif.stages.ppo import PpoJob, train_ppo
from rlaif.stages.preferences import preference_split
from rlaif.stages.reward_model import (
    CalibrationAnswer,
    RewardModelJob,
    RewardPair,
    train_reward_model,
)
from rlaif.stages.supervised import Example, read_examples

REWARD_MODEL, PPO = "reward_model", "ppo"
REFERENCE = "reference"
MISSING_EOS_SCORE = -1.0


def reward_model(ctx: CycleContext) -> None:
    """Train the reward model on this cycle's preferences and a replay of earlier ones."""
    calibration = ctx.ledger.cycle_prompts(ctx.number, TRAIN)
    calibration = calibration[: ctx.config.reward_model.calibration_prompts]
    reference = reference_version(ctx)
    sample_answers(ctx, REWARD_MODEL, purpose=REFERENCE, version=reference, prompts=calibration)

    def work(rows: Unit) -> None:
        answers = ctx.ledger.completions(ctx.number, REFERENCE)
        prompts = {p.id: p for p in calibration}
        job = RewardModelJob(
            policy=version_path(ctx, ctx.incumbent),
            pairs=_pairs(ctx),
            calibration=tuple(
                CalibrationAnswer(prompt=prompts[a.prompt_id].messages, text=a.text, ended=a.ended)
                for a in answers
            ),
            config=ctx.config.reward_model,
            seed=ctx.seed(REWARD_MODEL),
            device=ctx.config.run.device,
            output=artifact_folder(ctx, "reward-model"),
            work=work_folder(ctx, REWARD_MODEL),
        )
        report = ctx.engine.train(
            lambda j: train_reward_model(j, Steps(ctx, "optimiser steps")), job
        )
        rows.add_report(REWARD_MODEL, report)
        rows.add_artifact(report.artifact, relative(ctx, job.output))

    ctx.crew.release()
    ctx.run_once(REWARD_MODEL, "train", work)
    shutil.rmtree(work_folder(ctx, REWARD_MODEL), ignore_errors=True)


def ppo(ctx: CycleContext) -> None:
    """Train the challenger from the incumbent, by PPO or the optimiser that stands in its place."""

    def work(rows: Unit) -> None:
        folder = artifact_folder(ctx, "reward-model")
        vouched = {a.name: a.digest for a in ctx.ledger.artifacts() if a.cycle == ctx.number}
        verify(folder, vouched[folder.name])
        prompts = ctx.ledger.cycle_prompts(ctx.number, TRAIN)
        output = artifact_folder(ctx, "challenger")
        report = _optimise(
            ctx,
            policy=version_path(ctx, ctx.incumbent),
            reference=version_path(ctx, reference_version(ctx)),
            reward_model=folder,
            conversations=tuple(p.messages for p in prompts),
            generation=ctx.config.generation,
            seed=ctx.seed(PPO),
            device=ctx.config.run.device,
            missing_eos_score=_missing_eos_score(ctx),
            output=output,
            work=work_folder(ctx, PPO),
        )
        rows.add_report(PPO, report)
        rows.add_metrics(read_metrics(output))
        rows.add_artifact(report.artifact, relative(ctx, output))

    ctx.crew.release()
    ctx.run_once(PPO, "train", work)
    shutil.rmtree(work_folder(ctx, PPO), ignore_errors=True)


def _optimise(ctx: CycleContext, **common: Any) -> PolicyReport:  # noqa: ANN401 - both jobs' fields
    """Train the challenger with the optimiser that the settings name."""
    steps, config = Steps(ctx, "updates"), ctx.config
    optimizer = config.policy.optimizer
    if optimizer == "ppo":
        beta, controller = _carried(ctx)
        job = PpoJob(
            **common,
            ppo=config.ppo,
            beta=beta,
            controller=controller,
            examples=_examples(ctx),
        )
        report = ctx.engine.train(lambda j: train_ppo(j, steps), job)
        if config.supervised_text is None:
            return report
        read = digest_of([example.model_dump() for example in job.examples])
        return report.model_copy(update={"supervised": read})
    other = OptimiserJob(
        **common,
        settings=getattr(config, optimizer),
        pairs=_policy_pairs(ctx) if optimizer == "dpo" else (),
    )
    return ctx.engine.train(lambda j: train_challenger(j, steps), other)


def _policy_pairs(ctx: CycleContext) -> tuple[PolicyPair, ...]:
    """Return the pairs that the reward model was trained on, without those that measure it."""
    names, pairs = set(PolicyPair.model_fields), _pairs(ctx)
    return tuple(PolicyPair(**p.model_dump(include=names)) for p in pairs if p.split == "train")


def _examples(ctx: CycleContext) -> tuple[Example, ...]:
    """Return what the ptx term holds up: nothing, supervised text, or preferred completions."""
    if not ctx.config.ppo.ptx_coefficient:
        return ()
    named = ctx.config.supervised_text
    if named is None:
        return _preferred(ctx)
    sampling = ctx.config.sampling
    pool = read_pools(ctx.project.root, sampling.pools, sampling.eval_share)
    held_out = [*pool, *ctx.ledger.cycle_prompts(ctx.number, EVAL)]  # drawn before the pool changed
    path = ctx.project.file(named)
    examples = {str(line): example for line, example in read_examples(path, held_out)}
    asked = [Prompt(id=i, messages=e.messages, split="train") for i, e in examples.items()]
    kept = not_held_out(ctx, asked)
    if not kept:
        raise ConfigError(
            f"every example nearly asks what is held out ({len(examples)} in all)",
            "at least one example to a prompt that is not held out",
            "add some, or raise [sampling] duplicate_similarity",
            path=path,
        )
    return tuple(examples[p.id] for p in kept)


def _preferred(ctx: CycleContext) -> tuple[Example, ...]:
    """Return the better completion of each pair that the reward model was trained on, once each."""
    chosen = (
        Example(messages=p.prompt, text=p.first, ended=p.first_ended)
        if p.label > 0.5
        else Example(messages=p.prompt, text=p.second, ended=p.second_ended)
        for p in _pairs(ctx)
        if p.split == "train" and p.label != 0.5
    )
    return tuple(dict.fromkeys(chosen))


def reference_version(ctx: CycleContext) -> str:
    """Return the version of the policy that KL is measured against."""
    return BASE if ctx.config.ppo.reference == "base" else ctx.incumbent


def version_path(ctx: CycleContext, version: str) -> str:
    """Return what ``from_pretrained`` takes for a version that the ledger knows.

    Raises:
        LedgerError: It knows none of that name.
    """
    row = ctx.ledger.policy(version)
    if row is None:
        raise LedgerError(f"there is no policy {version}", "a registered policy", "see status")
    return policy_path(ctx.project, row)


def artifact_folder(ctx: CycleContext, name: str) -> Path:
    """Return where an artifact of this cycle lies."""
    return ctx.project.artifacts / f"cycle-{ctx.number:04d}" / name


def work_folder(ctx: CycleContext, stage: str) -> Path:
    """Return where a training stage keeps its checkpoints until it is done."""
    return ctx.project.artifacts / f"cycle-{ctx.number:04d}" / f"work-{stage}"


def relative(ctx: CycleContext, folder: Path) -> str:
    """Return a folder's path relative to the project, as the ledger keeps it."""
    return folder.resolve().relative_to(ctx.project.root).as_posix()


def stage_report(ctx: CycleContext, kind: str, model: type[Record], cycle: int) -> Record | None:
    """Return a stage's report of a cycle."""
    found = ctx.ledger.report(cycle, kind)
    return None if found is None else model.model_validate(found)


def _carried(ctx: CycleContext) -> tuple[float, dict[str, float]]:
    """Return the KL coefficient to begin with, and the controller's state from the last cycle."""
    first = ctx.config.ppo.kl_beta
    if ctx.config.ppo.kl_control == "fixed":
        return first, {}
    for cycle in range(ctx.number - 1, 0, -1):
        report = stage_report(ctx, PPO, PolicyReport, cycle)
        if isinstance(report, PolicyReport) and report.optimizer == "ppo" and report.beta:
            return _held(ctx, report.beta), report.controller
    return first, {}


def _held(ctx: CycleContext, beta: float) -> float:
    """Hold a beta that another kind of control may have left within the bounds of today's."""
    low, high = LAGRANGIAN_BETAS if ctx.config.ppo.kl_control == "lagrangian" else (beta, beta)
    return min(max(beta, low), high)


def _missing_eos_score(ctx: CycleContext) -> float | None:
    """Return the score of answers that were cut off, or None where most are and must be."""
    setting = ctx.config.ppo.missing_eos_score
    if setting != "auto":
        return setting
    answers = ctx.ledger.completions(ctx.number, TRAIN)
    ended = sum(a.ended for a in answers)
    return MISSING_EOS_SCORE if 2 * ended >= len(answers) else None


def _pairs(ctx: CycleContext) -> tuple[RewardPair, ...]:
    """Return this cycle's preferences and a seeded replay of earlier ones.

    Those of the same rubric train and measure; others, where the settings let them, only train.
    """
    rubric = ctx.crew.panel(ctx.config.jury).rubric_hash
    own = ctx.ledger.preferences(cycle=ctx.number, rubric_hash=rubric)
    others = ctx.config.preferences.earlier_rubrics == "train"
    before = ctx.ledger.preferences(ctx.number - 1, rubric_hash=None if others else rubric)
    earlier = [
        p for p in _still_training(ctx, before) if p.rubric_hash == rubric or p.split == "train"
    ]
    fresh = sum(p.origin != "human" for p in own)
    return _as_pairs(ctx, [*_replay(ctx, earlier, fresh), *own])


def _still_training(ctx: CycleContext, earlier: Sequence[Preference]) -> list[Preference]:
    """Drop what is held out by now, and split the rest by today's share.

    Humans' pairs are dropped too: every cycle has them among its own.
    """
    prompts = ctx.ledger.prompts(list(dict.fromkeys(p.prompt_id for p in earlier)))
    training = {p.id for p in not_held_out(ctx, prompts)}
    share = ctx.config.preferences.heldout_share
    return [
        p.model_copy(update={"split": preference_split(p.prompt_id, share)})
        for p in earlier
        if p.prompt_id in training and p.origin != "human"
    ]


def _replay(ctx: CycleContext, earlier: Sequence[Preference], fresh: int) -> list[Preference]:
    """Draw earlier training pairs by chance; earlier held-out ones all go on measuring."""
    train = [p for p in earlier if p.split == "train"]
    count = min(len(train), round(ctx.config.reward_model.replay * fresh))
    drawn = numpy_generator(ctx.seed("replay")).permutation(len(train))[:count]
    return [train[i] for i in sorted(drawn.tolist())] + [p for p in earlier if p.split == "heldout"]


def _as_pairs(ctx: CycleContext, chosen: Sequence[Preference]) -> tuple[RewardPair, ...]:
    ids = [i for p in chosen for i in (p.first_id, p.second_id)]
    completions = {c.id: c for c in ctx.ledger.completions_by_id(ids)}
    prompts = {p.id: p for p in ctx.ledger.prompts([p.prompt_id for p in chosen])}
    return tuple(
        RewardPair(
            prompt=prompts[p.prompt_id].messages,
            first=first.text,
            first_ended=first.ended,
            second=second.text,
            second_ended=second.ended,
            label=p.label,
            split=p.split,
            weight=p.weight,
        )
        for p in chosen
        for first, second in [(completions[p.first_id], completions[p.second_id])]
    )


class Steps:
    """Tells the watcher of a training job's steps."""

    def __init__(self, ctx: CycleContext, noun: str) -> None:
        self._watcher = ctx.watcher
        self._noun = noun

    def __call__(self, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` steps are done."""
        self._watcher.units(done, total, self._noun)

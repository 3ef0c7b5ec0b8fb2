"""Train a reward model, centre it, measure it, and let it land as a folder."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rlaif.artifacts import landing, verify
from rlaif.errors import StageError
from rlaif.figures import calibration_error, correlation
from rlaif.models.encoding import encode_answer, encode_exchange
from rlaif.models.identity import is_adapter, model_digest
from rlaif.models.loading import LanguageModel, load_language_model, pick_device
from rlaif.models.padding import right_pad
from rlaif.models.rates import auto_adapter_rate, auto_learning_rate
from rlaif.models.reward import RewardModel, trunk_of
from rlaif.models.reward_ensemble import RewardEnsemble, penalised
from rlaif.models.training_state import saving
from rlaif.records import ArtifactRef, Message, RewardModelReport
from rlaif.seeds import derive_seed
from rlaif.stages.reward_model.job import RewardModelJob, RewardPair
from rlaif.stages.reward_model.measure import agreement
from rlaif.stages.reward_model.schedule import (
    Comparison,
    Encode,
    Tokens,
    as_row,
    compare_pairs,
    draw_prompts,
    plan_batches,
    rank_lists,
)

# A reward model may move faster than a policy, whose every step also shifts the data it learns
# from: 2 gives 1.5e-3 x 0.7 (capped at 1e-3) at a million weights, 1e-5 at one billion, 3e-6 at
# seven, as published reward models use.
RATE_SCALE = 2.0
ADAPTER = "reward-"
Progress = Callable[[int, int], None]


def train_reward_model(job: RewardModelJob, progress: Progress | None = None) -> RewardModelReport:
    """Train, re-centre, measure and save a reward model.

    A job that was cut off goes on from its last checkpoint, and on one CPU ends with the weights
    that it would have had. Held-out figures are those of the members' mean, None where no held-out
    pair allows them.

    Args:
        job: What to train on, how, and where to write.
        progress: Called with (optimiser steps done, steps in all).

    Returns:
        The figures, and the folder ``job.output`` with its digest.

    Raises:
        ModelError: The policy cannot be loaded.
        StageError: There is no pair to train on, or a file cannot be written.
        TrainingError: A loss or a gradient is not finite; the last good checkpoint stays.
    """
    pairs = [pair for pair in job.pairs if pair.split == "train"]
    heldout = [pair for pair in job.pairs if pair.split == "heldout"]
    if not pairs:
        raise StageError(
            f"the reward model has no pair to train on ({len(heldout)} are held out)",
            "at least one pair in split 'train'",
            "sample more prompts, or lower preferences.min_margin or judging.flip_threshold",
        )
    lm = _policy(job)

    @cache
    def encode(prompt: tuple[Message, ...], text: str, ended: bool) -> Tokens:
        return tuple(encode_exchange(lm, prompt, text, ended))

    model, losses = _fit(job, lm, compare_pairs(pairs, encode), progress)
    reference = [encode(answer.prompt, answer.text, answer.ended) for answer in job.calibration]
    raw = _raw(model, reference, lm.pad_id)
    model.recentre(raw.to(model.device))
    figures = _heldout_figures(model, heldout, encode, lm)
    with saving(job.output), landing(job.output) as folder:
        model.save(folder)
        lm.tokenizer.save_pretrained(folder)
    return RewardModelReport(
        preferences=len(pairs),
        heldout=len(heldout),
        train_loss=sum(losses) / len(losses),
        gain=model.gain,
        bias=model.bias,
        members=model.members,
        disagreement=_disagreement(model, raw),
        artifact=ArtifactRef(name=job.output.name, digest=verify(job.output)),
        **figures,
    )


def _fit(
    job: RewardModelJob,
    lm: LanguageModel,
    comparisons: list[Comparison],
    progress: Progress | None,
) -> tuple[RewardEnsemble, list[float]]:
    """Train every network and return them with the loss of every step.

    Trunks are trained one after the other, each as a job of its own: what a kill costs is no
    more than for one.
    """
    settings = job.config
    apart = settings.ensemble_kind != "heads" and settings.ensemble > 1
    jobs = [job.member(n) for n in range(settings.ensemble)] if apart else [job]
    parts: list[RewardModel] = []
    losses: list[float] = []
    for number, member in enumerate(jobs):
        part = _begin(member, lm, parts)
        told = None if progress is None else _share(progress, number, len(jobs))
        losses += _fit_one(member, part, lm, comparisons, told)
        parts.append(part)
    return RewardEnsemble(parts, settings.ensemble_penalty), losses


def _policy(job: RewardModelJob) -> LanguageModel:
    """Load the policy: its trunk is to be trained, or carries the adapters that are."""
    device = pick_device(job.device)
    if not job.config.lora_rank:
        return load_language_model(job.policy, device, trainable=True)
    # PEFT takes a second to import, which nobody should pay who trains all weights.
    from rlaif.models.shared_base import SharedBase

    bare = SharedBase.open(job.policy, device, "float32").bare()
    return replace(bare, digest=model_digest(job.policy))


def _begin(job: RewardModelJob, lm: LanguageModel, done: Sequence[RewardModel]) -> RewardModel:
    """Return a network to train: a trunk of its own, or an adapter on the policy's base.

    An adapter begins as a copy of the policy's, where that is one itself.
    """
    settings, seed = job.config, derive_seed(job.seed, "head")
    if lm.worn is None:
        policy = load_language_model(job.policy, lm.device, trainable=True) if done else lm
        return RewardModel.from_trunk(trunk_of(policy.model), seed, settings.ensemble)
    for earlier in done:
        earlier.requires_grad_(False)
    shared, name = lm.worn.shared, f"{ADAPTER}{len(done)}"
    if is_adapter(job.policy):
        adapted = shared.wearing(name, Path(job.policy), trainable=True)
    else:
        own = derive_seed(job.seed, "adapter")
        adapted = shared.fresh(name, settings.lora_rank, settings.lora_alpha, own)
    return RewardModel.from_adapter(adapted, seed, settings.ensemble)


def _fit_one(
    job: RewardModelJob,
    model: RewardModel,
    lm: LanguageModel,
    comparisons: list[Comparison],
    progress: Progress | None,
) -> list[float]:
    """Train a network in place and return the loss of every step."""
    # Importing TRL takes seconds, which nobody should pay who only reads a job.
    from rlaif.stages.reward_model.trainer import SoftRewardTrainer

    settings = job.config
    if settings.loss == "listwise":
        comparisons = rank_lists(comparisons)
    batches = plan_batches(comparisons, settings.batch_size, settings.epochs, job.seed)
    draws = draw_prompts(comparisons, model.heads, job.seed)
    size = sum(weights.numel() for weights in model.parameters())
    rule = auto_adapter_rate if settings.lora_rank else auto_learning_rate
    rate = settings.learning_rate
    trainer = SoftRewardTrainer(
        model,
        [as_row(batch, draws) for batch in batches],
        settings=settings,
        learning_rate=rule(size, RATE_SCALE) if rate == "auto" else rate,
        seed=job.seed,
        work=job.work,
        job=job.fingerprint(lm.digest),
        pad_id=lm.pad_id,
        progress=progress,
    )
    return trainer.fit()


def _share(
    progress: Callable[[int, int], None], number: int, jobs: int
) -> Callable[[int, int], None]:
    """Tell of one job's steps as part of those of all, which are equally long."""
    return lambda done, steps: progress(number * steps + done, jobs * steps)


def _raw(model: RewardEnsemble, rows: Sequence[Tokens], pad_id: int) -> Tensor:
    if not rows:
        return torch.zeros(0, model.members)
    return model.raw(*right_pad(rows, pad_id, model.device)).cpu()


def _disagreement(model: RewardEnsemble, raw: Tensor) -> float | None:
    """Return how far members lie apart on the reference's answers, in units of reward."""
    if model.members == 1 or not len(raw):
        return None
    return float(penalised(model.scaled(raw.to(model.device)), 0.0).std.mean())


def _heldout_figures(
    model: RewardEnsemble, pairs: Sequence[RewardPair], encode: Encode, lm: LanguageModel
) -> dict[str, float | None]:
    """Measure on held-out pairs; every answer's length is in tokens, whoever wrote it."""
    first = [encode(pair.prompt, pair.first, pair.first_ended) for pair in pairs]
    second = [encode(pair.prompt, pair.second, pair.second_ended) for pair in pairs]
    raw = _raw(model, first + second, lm.pad_id).mean(dim=1).double().numpy()
    gaps = raw[: len(pairs)] - raw[len(pairs) :]
    labels = [pair.label for pair in pairs]
    answers = [(pair.first, pair.first_ended) for pair in pairs]
    answers += [(pair.second, pair.second_ended) for pair in pairs]
    lengths = [len(encode_answer(lm, *answer)) for answer in answers]
    return {
        "accuracy": agreement(gaps, labels),
        "ece": calibration_error(1 / (1 + np.exp(-gaps)), labels),
        "length_correlation": correlation(raw, lengths),
    }

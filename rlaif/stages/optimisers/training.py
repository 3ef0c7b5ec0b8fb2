"""Train a challenger by one of TRL's methods, and let it land as PPO's does."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_model

from rlaif.artifacts import landing, verify
from rlaif.config import BestOfNConfig, DpoConfig, GrpoConfig, RlooConfig
from rlaif.errors import StageError, TrainingError
from rlaif.models.identity import model_digest
from rlaif.models.loading import load_language_model, pick_device
from rlaif.models.training_state import saving
from rlaif.records import ArtifactRef, Metric, PolicyReport
from rlaif.stages.metrics import write_metrics
from rlaif.stages.optimisers.job import OptimiserJob

if TYPE_CHECKING:
    from rlaif.stages.optimisers.policy_trainer import Place, PolicyTrainer
    from rlaif.stages.trl_checkpoints import Progress

KL_WINDOW = 5


def train_challenger(job: OptimiserJob, progress: "Progress | None" = None) -> PolicyReport:
    """Train a challenger, going on from the last checkpoint where there is one.

    The challenger's folder also holds ``metrics.jsonl``, one metric a line. A loss that is not
    finite ends training at the last good checkpoint, and the report says so.

    Args:
        job: What to train on and how.
        progress: Told (updates done, updates in all).

    Raises:
        ModelError: A model cannot be loaded, or a prompt does not fit.
        StageError: There is nothing to train on.
        TrainingError: No checkpoint was ever good.
    """
    # Importing TRL takes seconds, which nobody should pay who only reads a job.
    from rlaif.stages.optimisers.policy_trainer import Place
    from rlaif.stages.trl_checkpoints import NotFiniteError, last_good_checkpoint

    _refuse_nothing(job)
    policy = load_language_model(job.policy, pick_device(job.device), trainable=True)
    fingerprint = job.fingerprint(policy.digest, model_digest(job.reference))
    fault = None
    with _without_known_warnings():
        trainer = _trainer(Place(job, policy, fingerprint, progress))
        try:
            trainer.fit()
        except NotFiniteError as exc:
            fault = exc
    checkpoint = last_good_checkpoint(job.work, fingerprint)
    if checkpoint is None:
        raise fault or TrainingError("training left no checkpoint", "one", "run it again")
    return _finish(job, trainer.steps_per_update, checkpoint, fault)


@contextmanager
def _without_known_warnings() -> Iterator[None]:
    """Keep back what TRL 1.16 is told by transformers 5.23, which is no user's business."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        yield


def _refuse_nothing(job: OptimiserJob) -> None:
    if job.optimizer == "dpo" and all(pair.label == 0.5 for pair in job.pairs):
        raise StageError(
            f"DPO has no pair to train on: {len(job.pairs)} pairs, none of which has a better side",
            "at least one",
            "sample more prompts, or lower judging.flip_threshold",
        )
    if job.optimizer != "dpo" and not job.conversations:
        raise StageError("there is no prompt to train on", "at least one", "check sampling.pools")


def _trainer(place: "Place") -> "PolicyTrainer":
    """Return the method's trainer; each module is imported when its method is asked for."""
    job, settings = place.job, place.job.settings
    if isinstance(settings, BestOfNConfig):
        from rlaif.stages.optimisers.best_of_n import BestOfNTrainer

        return BestOfNTrainer(place, settings)
    reference = load_language_model(job.reference, place.policy.device)
    if isinstance(settings, DpoConfig):
        from rlaif.stages.optimisers.dpo import DpoTrainer

        return DpoTrainer(place, settings, reference)
    from rlaif.stages.optimisers.groups import GrpoTrainer, RlooTrainer

    if isinstance(settings, GrpoConfig):
        return GrpoTrainer(place, settings, reference)
    return RlooTrainer(place, settings, reference)


def _finish(
    job: OptimiserJob, steps_per_update: int, checkpoint: Path, fault: TrainingError | None
) -> PolicyReport:
    """Let the weights of the last good checkpoint land as the challenger."""
    from rlaif.stages.trl_checkpoints import WEIGHTS, read_progress, step_of

    updates = step_of(checkpoint) // steps_per_update
    metrics = [Metric.model_validate(m) for m in read_progress(checkpoint)["metrics"]]
    # The incumbent's folder once more: TRL has changed the configuration of what it trained.
    challenger = load_language_model(job.policy, torch.device("cpu"), trainable=True)
    load_model(challenger.model, str(checkpoint / WEIGHTS))
    with saving(job.output), landing(job.output) as folder:
        challenger.model.save_pretrained(str(folder))
        challenger.tokenizer.save_pretrained(str(folder))
        write_metrics(folder, metrics)
    stopped = f"all {updates} updates done"
    if fault is not None:
        stopped = f"{fault.seen}; the challenger is the checkpoint after update {updates}"
    rewards = [m.value for m in metrics if m.name == "reward"]
    return PolicyReport(
        optimizer=job.optimizer,
        updates=updates,
        samples=_samples(job, updates),
        kl_reference=_mean([m.value for m in metrics if m.name == "kl_reference"][-KL_WINDOW:]),
        beta=_beta(job),
        reward_first=rewards[0] if rewards else None,
        reward_last=rewards[-1] if rewards else None,
        stopped=stopped,
        artifact=ArtifactRef(name=job.output.name, digest=verify(job.output)),
    )


def _samples(job: OptimiserJob, updates: int) -> int:
    settings = job.settings
    if isinstance(settings, DpoConfig):
        return 0
    if isinstance(settings, BestOfNConfig):
        return settings.samples * len(job.conversations)
    return settings.rollout_batch * updates


def _beta(job: OptimiserJob) -> float | None:
    settings = job.settings
    if isinstance(settings, DpoConfig):
        return settings.beta
    return settings.kl_beta if isinstance(settings, RlooConfig | GrpoConfig) else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

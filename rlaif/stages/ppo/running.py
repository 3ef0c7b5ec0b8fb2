"""A PPO job from its beginning, or its last checkpoint, to its challenger."""

import shutil
from collections.abc import Callable

import torch

from rlaif.artifacts import landing, verify, write_atomically
from rlaif.models.portions import exhausted
from rlaif.models.processes import Processes
from rlaif.models.training_state import saving
from rlaif.records import ArtifactRef, PolicyReport
from rlaif.stages.metrics import write_metrics
from rlaif.stages.ppo.faults import NonFiniteLossError, SpikeError
from rlaif.stages.ppo.job import PpoJob
from rlaif.stages.ppo.rollouts import Scorer
from rlaif.stages.ppo.trainer import CHECKPOINT, PpoTrainer

KL_WINDOW = 5
JOB_FILE = "job.json"
Progress = Callable[[int, int], None]


def train_ppo(
    job: PpoJob,
    progress: Progress | None = None,
    scorer: Scorer | None = None,
    processes: Processes | None = None,
) -> PolicyReport:
    """Train a challenger, going on from the last checkpoint where there is one.

    The challenger's folder also holds ``metrics.jsonl``, one metric a line. A loss that is not
    finite, step after step that would throw the policy far off, or a KL to the reference beyond
    ``ppo.kl_ceiling`` ends training at the last good checkpoint, and the report says so.

    Args:
        job: What to train on and how.
        progress: Told (updates done, updates in all).
        scorer: Gives rewards in the place of the job's reward model: a rule, for instance.
        processes: Who else trains the same policy; each calls this with the same job, the main one
            writes, and all return the same report.

    Raises:
        ModelError: A model cannot be loaded, or a prompt does not fit.
        TrainingError: No good update was ever made, or memory does not hold a single row.
    """
    together = processes or Processes()
    if together.main:
        _write_down(job)
    trainer = PpoTrainer(job, scorer, together)
    stopped = f"all {job.ppo.updates} updates done"
    while trainer.done < job.ppo.updates:
        try:
            trainer.update()
        except (NonFiniteLossError, SpikeError) as exc:
            trainer.restore()
            if not trainer.done:
                raise
            stopped = f"{exc.seen}; the challenger is the checkpoint after update {trainer.done}"
            break
        except torch.OutOfMemoryError as exc:
            raise exhausted(f"stepping or checking in update {trainer.done}") from exc
        beyond = _beyond_ceiling(job, trainer, together)
        if beyond is not None:
            trainer.restore()
            stopped = f"{beyond}; the challenger is the checkpoint after update {trainer.done}"
            break
        if trainer.done % job.ppo.checkpoint_updates == 0:
            trainer.save_checkpoint()
        if progress is not None:
            progress(trainer.done, job.ppo.updates)
    if together.main:
        _write(job, trainer)
    together.wait()
    return _report(job, trainer, stopped)


def _write_down(job: PpoJob) -> None:
    """Leave the job beside its checkpoints: ``python -m rlaif.stages.ppo`` takes it."""
    job.work.mkdir(parents=True, exist_ok=True)
    write_atomically(job.work / JOB_FILE, job.model_dump_json(indent=1) + "\n")


def _beyond_ceiling(job: PpoJob, trainer: PpoTrainer, together: Processes) -> str | None:
    """Say so if the last rollout was farther from the reference than the ceiling allows.

    A rollout measures the policy before its update, so the checkpoint written before the rollout
    before that is the last of which its own rollout was below.
    """
    ceiling = job.ppo.kl_ceiling
    kl = next(m.value for m in reversed(trainer.metrics) if m.name == "kl_reference")
    if ceiling == "off" or kl <= ceiling:
        return None
    measured = trainer.done - 1
    for folder in job.work.glob(f"{CHECKPOINT}[0-9]*") if together.main else ():
        if int(folder.name.removeprefix(CHECKPOINT)) >= measured:
            shutil.rmtree(folder)
    together.wait()
    return (
        f"KL to the reference was {kl:.3g} nats per sequence after update {measured}, above "
        f"ppo.kl_ceiling = {ceiling:g}"
    )


def _write(job: PpoJob, trainer: PpoTrainer) -> None:
    with saving(job.output), landing(job.output) as folder:
        trainer.learner.save_policy(folder)
        write_metrics(folder, trainer.metrics)


def _report(job: PpoJob, trainer: PpoTrainer, stopped: str) -> PolicyReport:
    metrics = trainer.metrics
    rewards = [m.value for m in metrics if m.name == "reward"]
    kls = [m.value for m in metrics if m.name == "kl_reference"][-KL_WINDOW:]
    return PolicyReport(
        updates=trainer.done,
        samples=trainer.done * job.ppo.rollout_batch,
        kl_reference=sum(kls) / len(kls) if kls else 0.0,
        beta=trainer.beta,
        controller=trainer.controller_state,
        reward_first=rewards[0] if rewards else 0.0,
        reward_last=rewards[-1] if rewards else 0.0,
        stopped=stopped,
        memory=trainer.portions.note,
        artifact=ArtifactRef(name=job.output.name, digest=verify(job.output)),
    )

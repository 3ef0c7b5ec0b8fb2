"""A PPO job from its beginning, or its last checkpoint, to its challenger."""

from collections.abc import Callable

import torch

from rlaif.artifacts import landing, verify, write_atomically
from rlaif.errors import TrainingError
from rlaif.models.portions import exhausted
from rlaif.models.processes import Processes
from rlaif.models.training_state import saving
from rlaif.records import ArtifactRef, PolicyReport
from rlaif.stages.metrics import write_metrics
from rlaif.stages.ppo.ceiling import Ceiling
from rlaif.stages.ppo.faults import BrokenPolicyError, NonFiniteLossError, SpikeError
from rlaif.stages.ppo.job import PpoJob
from rlaif.stages.ppo.rollouts import Scorer
from rlaif.stages.ppo.trainer import PpoTrainer

KL_WINDOW = 5
SPIKES_BORNE = 2
JOB_FILE = "job.json"
Progress = Callable[[int, int], None]


def train_ppo(
    job: PpoJob,
    progress: Progress | None = None,
    scorer: Scorer | None = None,
    processes: Processes | None = None,
) -> PolicyReport:
    """Train a challenger, going on from the last checkpoint where there is one.

    The challenger's folder also holds ``metrics.jsonl``, one metric a line. A policy thrown far off
    goes back to the last checkpoint and on at half the rate. The third time, a loss that is not
    finite, or a KL to the reference beyond ``ppo.kl_ceiling`` ends training at the last good
    checkpoint, and the report says so.

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
    ceiling = Ceiling(job, trainer)
    ended: str | None = None
    while ended is None and trainer.done < job.ppo.updates:
        fault = _update(trainer)
        if isinstance(fault, SpikeError) and trainer.spikes < SPIKES_BORNE:
            trainer.go_back()
            continue
        ended = ceiling.passed() if fault is None else _back(trainer, fault)
        if ended is None:
            _note(job, trainer, progress)
    ended = "; ".join(filter(None, [ended, ceiling.passed_at_the_end()])) or None
    if together.main:
        _write(job, trainer)
    together.wait()
    return _report(job, trainer, _in_words(job, trainer, ended), ceiling.measured)


def _update(trainer: PpoTrainer) -> TrainingError | None:
    """Make an update; return what has thrown it off, without what that has left in memory."""
    try:
        trainer.update()
    except (NonFiniteLossError, SpikeError) as exc:
        return exc.with_traceback(None)
    except torch.OutOfMemoryError as exc:
        raise exhausted(f"stepping or checking in update {trainer.done}") from exc
    return None


def _back(trainer: PpoTrainer, fault: TrainingError) -> str:
    """Go back to the last good checkpoint; return why.

    Raises:
        TrainingError: There is none.
    """
    if isinstance(fault, BrokenPolicyError):
        trainer.go_below(trainer.done)  # so is the checkpoint of that policy
    else:
        trainer.restore()
    if not trainer.done:
        raise fault
    return fault.seen


def _note(job: PpoJob, trainer: PpoTrainer, progress: Progress | None) -> None:
    """Keep an update that went well, where it is time to, and tell of it."""
    if trainer.done % job.ppo.checkpoint_updates == 0:
        trainer.save_checkpoint()
    if progress is not None:
        progress(trainer.done, job.ppo.updates)


def _in_words(job: PpoJob, trainer: PpoTrainer, ended: str | None) -> str:
    """How training ended, and what it went through."""
    told = [f"all {job.ppo.updates} updates done"]
    if ended is not None:
        kept = (
            f"the challenger is the checkpoint after update {trainer.done}"
            if trainer.done
            else "no update was kept: the challenger is the policy that the cycle began with"
        )
        told = [ended, kept]
    if trainer.spikes:
        often = "once" if trainer.spikes == 1 else f"{trainer.spikes} times"
        told.append(f"{often} thrown far off and gone back, to half the rate each time")
    return "; ".join(told)


def _write_down(job: PpoJob) -> None:
    """Leave the job beside its checkpoints: ``python -m rlaif.stages.ppo`` takes it."""
    job.work.mkdir(parents=True, exist_ok=True)
    write_atomically(job.work / JOB_FILE, job.model_dump_json(indent=1) + "\n")


def _write(job: PpoJob, trainer: PpoTrainer) -> None:
    with saving(job.output), landing(job.output) as folder:
        trainer.learner.save_policy(folder)
        write_metrics(folder, trainer.metrics)


def _report(job: PpoJob, trainer: PpoTrainer, stopped: str, measured: float | None) -> PolicyReport:
    """The report; `measured` is the challenger's own KL, where a ceiling had it measured."""
    metrics = trainer.metrics
    rewards = [m.value for m in metrics if m.name == "reward"]
    kls = [m.value for m in metrics if m.name == "kl_reference"][-KL_WINDOW:]
    return PolicyReport(
        updates=trainer.done,
        samples=trainer.done * job.ppo.rollout_batch,
        kl_reference=sum(kls) / max(len(kls), 1) if measured is None else measured,
        beta=trainer.beta,
        controller=trainer.controller_state,
        reward_first=rewards[0] if rewards else None,
        reward_last=rewards[-1] if rewards else None,
        stopped=stopped,
        memory=trainer.portions.note,
        artifact=ArtifactRef(name=job.output.name, digest=verify(job.output)),
    )

"""PPO with KL control: from an incumbent, a reward model and prompts to a challenger.

What differs from the textbook (Schulman et al. 2017; Ziegler et al. 2019): the value head sits on
the policy's trunk, so one pass gives log-probs and values; rewards are not whitened, since the
reward model is already re-centred to mean 0 and deviation 1 on the reference policy's answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rlaif.artifacts import landing, verify
from rlaif.config import GenerationConfig, PpoConfig
from rlaif.models.training_state import saving
from rlaif.records import ArtifactRef, Message, PolicyReport
from rlaif.stages.metrics import write_metrics
from rlaif.stages.ppo_trainer import NonFiniteLossError, PpoTrainer

KL_WINDOW = 5
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PpoJob:
    """All that PPO needs, as plain data and paths.

    Attributes:
        policy: Folder or hub id of the incumbent, where training starts.
        reference: Folder or hub id of the frozen policy that KL is measured against.
        reward_model: Folder of the reward model.
        conversations: The prompts to train on.
        generation: Sampling temperature and token limit.
        ppo: The settings.
        seed: Source of all randomness.
        device: Where to run.
        missing_eos_score: Score of a completion that was cut off; None leaves its reward.
        beta: KL coefficient to begin with (of the last cycle, where there was one).
        output: Where the challenger's folder is to land.
        work: Where checkpoints live until then.
    """

    policy: str
    reference: str
    reward_model: Path
    conversations: tuple[tuple[Message, ...], ...]
    generation: GenerationConfig
    ppo: PpoConfig
    seed: int
    device: str
    missing_eos_score: float | None
    beta: float
    output: Path
    work: Path


def train_ppo(job: PpoJob, progress: Progress | None = None) -> PolicyReport:
    """Train a challenger, going on from the last checkpoint where there is one.

    The challenger's folder also holds ``metrics.jsonl``, one metric a line. A loss that is not
    finite ends training at the last good checkpoint, and the report says so.

    What the usual recipe has and this does not yet: critic warm-up, and a value head that is
    carried over from cycle to cycle; it begins at zero in each.

    Args:
        job: What to train on and how.
        progress: Told (updates done, updates in all).

    Raises:
        ModelError: A model cannot be loaded, or a prompt does not fit.
        TrainingError: No finite update was ever made.
    """
    trainer = PpoTrainer(job)
    stopped = f"all {job.ppo.updates} updates done"
    while trainer.done < job.ppo.updates:
        try:
            trainer.update()
        except NonFiniteLossError as exc:
            trainer.restore()
            if not trainer.done:
                raise
            stopped = f"{exc.seen}; the challenger is the checkpoint after update {trainer.done}"
            break
        if trainer.done % job.ppo.checkpoint_updates == 0:
            trainer.save_checkpoint()
        if progress is not None:
            progress(trainer.done, job.ppo.updates)
    return _finish(job, trainer, stopped)


def _finish(job: PpoJob, trainer: PpoTrainer, stopped: str) -> PolicyReport:
    metrics = trainer.metrics
    with saving(job.output), landing(job.output) as folder:
        trainer.save_policy(folder)
        write_metrics(folder, metrics)
    rewards = [m.value for m in metrics if m.name == "reward"]
    kls = [m.value for m in metrics if m.name == "kl_reference"][-KL_WINDOW:]
    return PolicyReport(
        updates=trainer.done,
        samples=trainer.done * job.ppo.rollout_batch,
        kl_reference=sum(kls) / len(kls) if kls else 0.0,
        beta=trainer.beta,
        reward_first=rewards[0] if rewards else 0.0,
        reward_last=rewards[-1] if rewards else 0.0,
        stopped=stopped,
        artifact=ArtifactRef(name=job.output.name, digest=verify(job.output)),
    )

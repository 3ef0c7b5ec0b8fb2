"""The PPO trainer: one update after the other, from the newest checkpoint on."""

import gc
import math

import torch

from rlaif.artifacts import landing
from rlaif.errors import StageError, TrainingError
from rlaif.models.identity import model_digest
from rlaif.models.loading import LanguageModel, pick_device
from rlaif.models.memory import keep_freed_memory
from rlaif.models.processes import Processes
from rlaif.models.scoring import RewardScorer
from rlaif.models.training_state import save_state, saving
from rlaif.records import Metric
from rlaif.rl import AdaptiveKL, Batch, FixedKL, KLController, LagrangianKL, explained_variance
from rlaif.stages.ppo.actors import Learner
from rlaif.stages.ppo.checkpoints import Checkpoints
from rlaif.stages.ppo.examples import Examples
from rlaif.stages.ppo.faults import NonFiniteLossError
from rlaif.stages.ppo.job import PpoJob
from rlaif.stages.ppo.learning import Epochs
from rlaif.stages.ppo.portions import Portions
from rlaif.stages.ppo.reference import Reference
from rlaif.stages.ppo.rollouts import Rolled, Roller, Scorer
from rlaif.stages.ppo.shaping import RewardShaper


class PpoTrainer:
    """Holds the models and moves them one update at a time.

    Args:
        job: What to train on and how.
        scorer: Gives rewards in the place of the job's reward model.
        processes: Who else trains the same policy; None: nobody.

    Attributes:
        done: Updates finished.
        metrics: What was measured so far, in order.
        learner: The policy with its value head and optimiser.
        portions: How many rows run at once; fewer after memory ran out.
        spikes: How often the policy was thrown far off and went back.
        checkpoints: What it goes on from.
    """

    def __init__(
        self, job: PpoJob, scorer: Scorer | None = None, processes: Processes | None = None
    ) -> None:
        self._job = job
        self._processes = processes or Processes()
        self._device = pick_device(job.device)
        self._given_scorer = scorer
        keep_freed_memory()
        self._fingerprint = job.fingerprint(model_digest(job.policy), model_digest(job.reference))
        self.checkpoints = Checkpoints(job.work, self._fingerprint)
        self.done = 0
        self.spikes = 0
        self.metrics: list[Metric] = []
        self.restore()

    @property
    def beta(self) -> float:
        """The KL coefficient in force: reward per nat."""
        return self._controller.beta

    @property
    def controller_state(self) -> dict[str, float]:
        """What the next cycle's controller goes on from."""
        return self._controller.state_dict()

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, or from the start where there is none."""
        self._let_go()
        folder, state = self.checkpoints.newest()
        settings = self._job.ppo
        if folder is None:
            self.learner = Learner.start(self._job, self._device)
        else:
            self.learner = Learner.restored(folder, self._job, self._device)
        self._reference = Reference(self._job, self.learner.policy, folder)
        scorer = self._given_scorer or _reward_model(self._job, self.learner.policy)
        self._shaper = RewardShaper(settings)
        self._controller = _controller(self._job)
        self.portions = Portions(settings)
        self.done = int(state.get("done", 0))
        self.spikes = max(self.spikes, int(state.get("spikes", 0)))
        self.metrics = [Metric.model_validate(m) for m in state.get("metrics", [])]
        if state:
            self._controller.load_state_dict(state["controller"])
            self._shaper.load_state_dict(state["shaper"])
            self.portions.load_state_dict(state.get("portions", {}))
        portions, together = self.portions, self._processes
        self._roller = Roller(self._job, self.learner, scorer, self._shaper, portions, together)
        self._examples = Examples(self._job, self.learner, together)
        self._epochs = Epochs(
            self._job,
            self.learner,
            self._reference.policy,
            self._examples,
            portions.learning,
            together,
        )

    def go_back(self) -> None:
        """Return to the newest checkpoint after a spike, to go on at half the rate.

        A kill before the next checkpoint loses the count, and the way there meets the same spike.
        """
        self.spikes += 1
        self.restore()

    def go_below(self, done: int) -> None:
        """Go back to the newest checkpoint of fewer updates, which are all that then are there."""
        if self._processes.main:
            self.checkpoints.drop_from(done)
        self._processes.wait()
        self.restore()

    def kl_of(self, update: int) -> float:
        """KL to the reference that an update's rollout measured, nats per sequence."""
        named = (m for m in reversed(self.metrics) if m.name == "kl_reference")
        return next(m.value for m in named if m.step == update)

    def measure_kl(self) -> float:
        """Sample a rollout that nobody learns from; return its KL, nats per sequence."""
        return self._roller.measure_kl(self.done, self._reference.policy)

    def _let_go(self) -> None:
        """Drop models and moments: two sets of them may not fit."""
        for name in ("learner", "_reference", "_roller", "_examples", "_epochs"):
            vars(self).pop(name, None)
        gc.collect()

    def save_checkpoint(self) -> None:
        """Let the main process write everything that going on needs, whole; the others wait.

        Raises:
            TrainingError: The processes' weights have come apart.
        """
        self._refuse_drift()
        if self._processes.main:
            self._write_checkpoint()
        self._processes.wait()

    def _write_checkpoint(self) -> None:
        target = self.checkpoints.place(self.done)
        with saving(target), landing(target) as folder:
            self.learner.save(folder)
            self._reference.save(folder)
            state = {
                "job": self._fingerprint,
                "done": self.done,
                "spikes": self.spikes,
                "metrics": [m.model_dump() for m in self.metrics],
                "controller": self._controller.state_dict(),
                "shaper": self._shaper.state_dict(),
                "portions": self.portions.state_dict(),
            }
            save_state(state, folder)
        self.checkpoints.prune(self.done)

    def update(self) -> None:
        """Sample a rollout, learn from it, move beta.

        Raises:
            NonFiniteLossError: The loss or its gradient was NaN or infinite.
            SpikeError: The policy was thrown far off.
            OutOfMemoryError: Memory does not hold the smallest piece of work.
        """
        self.learner.set_rates(self.done, self.spikes)
        self._examples.restart()
        rolled = self._roller.roll(self.done, self.beta, self._reference.policy)
        learned = self._epochs.run(rolled.batch, self.done, self.beta / rolled.spread)
        self.portions.agree(self._processes)
        self._refuse_broken_weights()
        moved = self._epochs.moved(rolled.batch)
        self._reference.follow(self.learner.policy)
        kl = float(rolled.kl.mean())
        measured = {
            **_figures(rolled),
            "beta": self.beta,
            **learned,
            "kl_moved": moved,
            "spikes": float(self.spikes),
            **self.portions.figures,
        }
        self.metrics += [
            Metric(step=self.done, name=name, value=value) for name, value in measured.items()
        ]
        if not self.learner.resting:
            self._controller.update(kl, rolled.batch.size)
        self.done += 1

    def _refuse_drift(self) -> None:
        """Stop where processes that should hold the same weights do not, to the bit."""
        if not self._processes.hold_the_same(self.learner.parameters):
            raise TrainingError(
                f"the processes' weights differ after update {self.done}",
                "the same weights in each of them",
                "let all run on the same hardware and versions, or train in one process",
            )

    @torch.no_grad()
    def _refuse_broken_weights(self) -> None:
        """Stop before weights that an optimiser step has broken reach a checkpoint."""
        norms = torch._foreach_norm([p.detach() for p in self.learner.parameters])
        if not bool(torch.isfinite(torch.stack(norms)).all()):
            raise NonFiniteLossError(
                f"weights that are not finite after update {self.done}",
                "finite numbers",
                "lower ppo.learning_rate",
            )


def _reward_model(job: PpoJob, policy: LanguageModel) -> Scorer:
    if job.reward_model is None:
        raise StageError("a PPO job without rewards", "a reward model, or a scorer", "name one")
    return RewardScorer.load(job.reward_model, policy)


def _figures(rolled: Rolled) -> dict[str, float]:
    return {
        "reward": float(rolled.scores.mean()),
        "score": float(rolled.shaped.mean()),
        "kl_reference": float(rolled.kl.mean()),
        "entropy": rolled.entropy,
        "length": float(rolled.batch.rollout.response_lengths.float().mean()),
        "ended": rolled.ended,
        "explained_variance": _explained(rolled.batch),
    }


def _controller(job: PpoJob) -> KLController:
    settings = job.ppo
    found: KLController
    if settings.kl_control == "fixed":
        return FixedKL(job.beta)
    if settings.kl_control == "lagrangian":
        found = LagrangianKL(job.beta, settings.kl_target, float(settings.kl_horizon))
    else:
        found = AdaptiveKL(job.beta, settings.kl_target, float(settings.kl_horizon))
    if set(job.controller) == set(found.state_dict()):  # else another kind of control left it
        found.load_state_dict(job.controller)
    return found


def _explained(batch: Batch) -> float:
    """Explained variance of the values; 0 where the returns do not vary but by rounding."""
    found = float(explained_variance(batch.old_values, batch.returns, batch.response_mask))
    return found if math.isfinite(found) else 0.0

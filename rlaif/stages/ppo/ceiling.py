"""A cycle's ceiling on KL to the reference."""

from rlaif.stages.ppo.job import PpoJob
from rlaif.stages.ppo.trainer import PpoTrainer


class Ceiling:
    """Ends training at the last checkpoint whose own KL was below ``ppo.kl_ceiling``.

    A rollout measures the policy as it was before its update, so a checkpoint is known to be below
    once the update after it has begun; for the last one a rollout is made that nobody learns from.

    Args:
        job: The job.
        trainer: Who trains.

    Attributes:
        measured: KL of the policy that is handed over, nats per sequence; None where unmeasured.
    """

    def __init__(self, job: PpoJob, trainer: PpoTrainer) -> None:
        self._ceiling = job.ppo.kl_ceiling
        self._trainer = trainer
        self._settled = False
        self.measured: float | None = None

    def passed(self) -> str | None:
        """Look at the rollout of the last update; where it was beyond, go back, and say so."""
        if self._ceiling == "off":
            return None
        return self._judge(self._trainer.done - 1, self._trainer.kl_of(self._trainer.done - 1))

    def passed_at_the_end(self) -> str | None:
        """Measure the policy that would be handed over, however training ended, and do likewise."""
        if self._ceiling == "off" or self._settled:
            return None
        self.measured = self._trainer.measure_kl()
        return self._judge(self._trainer.done, self.measured)

    def _judge(self, measured: int, kl: float) -> str | None:
        if self._ceiling == "off" or kl <= self._ceiling:
            return None
        before = {m.step: m.value for m in self._trainer.metrics if m.name == "kl_reference"}
        self._trainer.go_below(measured)
        self._settled = True
        self.measured = before.get(self._trainer.done, kl)
        return (
            f"KL to the reference was {kl:.3g} nats per sequence after update {measured}, above "
            f"ppo.kl_ceiling = {self._ceiling:g}"
        )

"""What KL is measured against: a frozen policy, or an average that follows the trained one."""

from pathlib import Path

from rlaif.models.loading import LanguageModel
from rlaif.rl import ema_update
from rlaif.stages.ppo.actors import frozen_policy
from rlaif.stages.ppo.job import PpoJob

AVERAGE = "average"


class Reference:
    """The reference policy.

    Args:
        job: The job.
        trained: The policy that is trained, whose precision it takes and whose base, if it can.
        checkpoint: Folder of the checkpoint to go on from, if any.

    Attributes:
        policy: The model.
    """

    def __init__(self, job: PpoJob, trained: LanguageModel, checkpoint: Path | None) -> None:
        self._follows = job.ppo.reference == "ema"
        self._decay = job.ppo.ema_decay
        resumed = self._follows and checkpoint is not None
        path = str(checkpoint / AVERAGE) if resumed and checkpoint is not None else job.reference
        self.policy: LanguageModel = frozen_policy(path, trained, follows=self._follows)

    def follow(self, policy: LanguageModel) -> None:
        """Move an average towards the policy, once an update (Polyak averaging).

        Of adapters the average is taken factor by factor.
        """
        if self._follows:
            ema_update(self.policy.own, policy.own, self._decay)

    def save(self, folder: Path) -> None:
        """Write an average into a checkpoint's folder."""
        if self._follows:
            (folder / AVERAGE).mkdir()
            self.policy.save(folder / AVERAGE)

"""What KL is measured against: a frozen policy, or an average that follows the trained one."""

from pathlib import Path

import torch

from rlaif.models.loading import LanguageModel
from rlaif.rl import ema_update
from rlaif.stages.ppo.actors import frozen_policy
from rlaif.stages.ppo.job import PpoJob

AVERAGE = "average"


class Reference:
    """The reference policy.

    Args:
        job: The job.
        device: Where it runs.
        dtype: The type of its products.
        checkpoint: Folder of the checkpoint to go on from, if any.

    Attributes:
        policy: The model.
    """

    def __init__(
        self, job: PpoJob, device: torch.device, dtype: torch.dtype, checkpoint: Path | None
    ) -> None:
        self._follows = job.ppo.reference == "ema"
        self._decay = job.ppo.ema_decay
        resumed = self._follows and checkpoint is not None
        path = str(checkpoint / AVERAGE) if resumed and checkpoint is not None else job.reference
        self.policy: LanguageModel = frozen_policy(path, device, dtype, wide=self._follows)

    def follow(self, policy: LanguageModel) -> None:
        """Move an average towards the policy, once an update (Polyak averaging)."""
        if self._follows:
            pairs = zip(self.policy.model.parameters(), policy.model.parameters(), strict=True)
            averages, parameters = zip(*pairs, strict=True)
            ema_update(list(averages), list(parameters), self._decay)

    def save(self, folder: Path) -> None:
        """Write an average into a checkpoint's folder."""
        if self._follows:
            self.policy.model.save_pretrained(str(folder / AVERAGE))
            self.policy.tokenizer.save_pretrained(str(folder / AVERAGE))

"""Rewards of sampled answers, as PPO has them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rlaif.models.loading import LanguageModel
from rlaif.models.scoring import RewardScorer
from rlaif.stages.optimisers.job import Conversation, OptimiserJob

Sampled = tuple[Conversation, str, bool]


class Rewards:
    """The reward model's scores, a constant in their place where an answer was cut off."""

    def __init__(self, job: OptimiserJob, policy: LanguageModel) -> None:
        """Load the reward model.

        Args:
            job: Names its folder, and the constant.
            policy: Has the tokenizer, and the device.

        Raises:
            ModelError: The folder holds no reward model.
        """
        self._scorer = RewardScorer.load(job.reward_model, policy)
        self._missing_eos_score = job.missing_eos_score

    def of(self, answers: Sequence[Sampled]) -> Tensor:
        """Return rewards [answers], float32, on the CPU.

        Args:
            answers: Conversation, text, and whether the answer ended itself.
        """
        scores = self._scorer.score(answers).cpu()
        if self._missing_eos_score is None:
            return scores
        ended = torch.tensor([ended for _, _, ended in answers])
        return torch.where(ended, scores, torch.full_like(scores, self._missing_eos_score))

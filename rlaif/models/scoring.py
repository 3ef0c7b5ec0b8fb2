"""Rewards of answers given as text: encoded, padded and scored by a reward model."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rlaif.models.encoding import encode_exchange
from rlaif.models.loading import LanguageModel
from rlaif.models.padding import right_pad
from rlaif.models.reward_ensemble import RewardEnsemble, Rewards
from rlaif.records import Message

Answer = tuple[Sequence[Message], str, bool]


class RewardScorer:
    """A reward model with the tokenizer of the policy whose trunk it has."""

    def __init__(self, model: RewardEnsemble, policy: LanguageModel) -> None:
        self._model = model
        self._policy = policy

    @classmethod
    def load(cls, folder: Path, policy: LanguageModel) -> "RewardScorer":
        """Read a reward model beside the policy that it scores.

        It takes the policy's precision and, where it is an adapter on the same base, shares that.

        Raises:
            ModelError: The folder holds none.
        """
        return cls(RewardEnsemble.load(folder, policy.device, policy.dtype, policy), policy)

    @property
    def members(self) -> int:
        """How many reward models score together; one has no spread."""
        return self._model.members

    def score(self, answers: Sequence[Answer]) -> Tensor:
        """Return rewards [answers], float32, the penalty for disagreement taken off.

        The members' mean has mean 0 and deviation 1 on the reference policy's answers.

        Args:
            answers: Conversation, text, and whether the answer ended itself.
        """
        return self.estimate(answers).reward

    def estimate(self, answers: Sequence[Answer]) -> Rewards:
        """Return rewards with the members' mean and standard deviation, from which they come.

        Args:
            answers: Conversation, text, and whether the answer ended itself.
        """
        if not answers:
            nothing = torch.zeros(0, device=self._policy.device)
            return Rewards(nothing, nothing, nothing)
        rows = [
            encode_exchange(self._policy, messages, text, ended)
            for messages, text, ended in answers
        ]
        ids, mask = right_pad(rows, self._policy.pad_id, self._policy.device)
        return self._model.score(ids, mask)

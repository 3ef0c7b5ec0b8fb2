"""From the reward model's numbers to the scores that PPO learns from."""

from collections.abc import Mapping

from torch import Tensor

from rlaif.config import PpoConfig
from rlaif.rl import RunningScale, clip_scores, length_penalty


class RewardShaper:
    """Scales, clips, and takes for length, in this order, as the settings say.

    Args:
        settings: PPO's settings.
    """

    def __init__(self, settings: PpoConfig) -> None:
        self._settings = settings
        self._scale = RunningScale()

    def shape(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """Return scores as PPO takes them.

        Args:
            scores: Rewards [completions].
            lengths: Tokens of each completion.
        """
        settings = self._settings
        if settings.reward_scaling == "running":
            self._scale.update(scores)
            scores = self._scale.scale(scores)
        if settings.reward_clip != "off":
            scores = clip_scores(scores, settings.reward_clip)
        if settings.length_penalty:
            scores = scores - length_penalty(lengths, settings.length_free, settings.length_penalty)
        return scores

    def state_dict(self) -> dict[str, float]:
        """The running figures, for a checkpoint."""
        return self._scale.state_dict()

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a checkpoint."""
        self._scale.load_state_dict(state)

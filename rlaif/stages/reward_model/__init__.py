"""The reward model's stage: preferences in, a folder with a reward model and its figures out."""

from rlaif.stages.reward_model.job import CalibrationAnswer, RewardModelJob, RewardPair
from rlaif.stages.reward_model.training import train_reward_model

__all__ = ["CalibrationAnswer", "RewardModelJob", "RewardPair", "train_reward_model"]

"""Optimisers that may stand in PPO's place, from TRL: DPO, RLOO, GRPO and supervised best-of-n."""

from rlaif.stages.optimisers.job import OptimiserJob, PolicyPair
from rlaif.stages.optimisers.training import train_challenger

__all__ = ["OptimiserJob", "PolicyPair", "train_challenger"]

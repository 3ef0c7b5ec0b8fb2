"""What training leaves."""

from typing import Literal

from pydantic import Field

from rlaif.records.base import Probability, Record


class ArtifactRef(Record):
    """A folder on disk that a ledger row vouches for by the SHA-256 of its manifest."""

    name: str
    digest: str


class RewardModelReport(Record):
    """How the reward model was trained and measured in one cycle.

    ``accuracy`` and ``ece`` are on held-out preferences; ``length_correlation`` is Pearson's, of
    reward with completion length in tokens. Rewards are ``gain * raw + bias``. All of an
    ensemble's figures are those of its members' mean. ``disagreement`` is the members' standard
    deviation, its mean over the reference policy's answers, in units of reward: None where there
    is one member, or no such answer. ``train_loss`` is the mean over steps, and over members.
    """

    preferences: int
    heldout: int
    accuracy: Probability | None
    ece: Probability | None
    length_correlation: float | None
    train_loss: float
    gain: float
    bias: float
    members: int = 1
    disagreement: float | None = None
    artifact: ArtifactRef


class Metric(Record):
    """A number that a training stage measured at a step."""

    step: int = Field(ge=0)
    name: str
    value: float


Optimizer = Literal["ppo", "dpo", "rloo", "grpo", "best_of_n"]
OPTIMIZER_NAMES: dict[Optimizer, str] = {
    "ppo": "PPO",
    "dpo": "DPO",
    "rloo": "RLOO",
    "grpo": "GRPO",
    "best_of_n": "best-of-n",
}


class PolicyReport(Record):
    """What training the challenger did in one cycle. KL in nats per sequence.

    ``updates`` counts rollout-and-learn rounds of PPO, RLOO and GRPO, and optimiser steps of DPO
    and best-of-n. ``samples`` are the completions that it drew, None in ledgers from before it was
    counted. ``kl_reference`` is the mean over the last rounds, ``reward_first`` and
    ``reward_last`` the means of those rounds: None for DPO and best-of-n, which have no rounds.
    ``beta`` is the KL coefficient at the end, None for best-of-n, which has none; ``controller``
    is all that PPO's controller goes on from in the next cycle. ``memory`` says where memory ran
    out and how many rows ran at once from then on; nothing where it sufficed. ``supervised`` is the
    digest of the supervised text that PPO's ptx term held up, None where it held up none.
    """

    optimizer: Optimizer = "ppo"
    updates: int
    samples: int | None = None
    kl_reference: float | None
    beta: float | None
    controller: dict[str, float] = Field(default_factory=dict)
    reward_first: float | None
    reward_last: float | None
    stopped: str
    memory: str = ""
    supervised: str | None = None
    artifact: ArtifactRef

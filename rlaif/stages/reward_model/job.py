"""The reward model's job as plain data: it can be written down, sent elsewhere and run there."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from rlaif.config import RewardModelConfig
from rlaif.records import Message, Probability, Record, digest_of
from rlaif.seeds import derive_seed


class RewardPair(Record):
    """Two answers to one prompt with the soft label P(first is better).

    ``heldout`` pairs measure and never train. ``weight`` is what
    the pair's loss is multiplied by.
    """

    prompt: tuple[Message, ...] = Field(min_length=1)
    first: str
    first_ended: bool
    second: str
    second_ended: bool
    label: Probability
    split: Literal["train", "heldout"]
    weight: float = Field(1.0, gt=0.0)


class CalibrationAnswer(Record):
    """An answer of the reference policy, on whose like rewards are to have mean 0 and std 1."""

    prompt: tuple[Message, ...] = Field(min_length=1)
    text: str
    ended: bool


class RewardModelJob(Record):
    """All that training a reward model needs; what comes out are files and a report.

    Attributes:
        policy: Folder or hub id of the policy whose trunk the reward model starts from.
        pairs: Training pairs, replayed ones among them, and held-out ones.
        calibration: Answers of the reference policy.
        config: The settings.
        seed: Seed of the head and of the order of the pairs.
        device: Where to train: auto, cpu, cuda or mps.
        output: The folder to write, whole or not at all.
        work: A folder for checkpoints, which the caller may remove when the job is done.
    """

    policy: str
    pairs: tuple[RewardPair, ...]
    calibration: tuple[CalibrationAnswer, ...]
    config: RewardModelConfig
    seed: int = Field(ge=0)
    device: str
    output: Path
    work: Path

    def member(self, number: int) -> "RewardModelJob":
        """Return the job of one trunk of an ensemble: alone, with a seed and a folder of its own.

        It trains on all pairs, its head and the order of its prompts drawn anew. No bootstrap:
        nets that begin and travel differently disagree enough, and each would see but 63% of what
        there is to learn from (Lakshminarayanan et al. 2017, section 2.4).
        """
        return self.model_copy(
            update={
                "config": self.config.model_copy(update={"ensemble": 1}),
                "seed": derive_seed(self.seed, "member", number),
                "work": self.work / f"member-{number}",
            }
        )

    def fingerprint(self, policy_digest: str) -> str:
        """Return a digest of all that shapes the weights: a checkpoint belongs to one of them.

        Args:
            policy_digest: Digest of the policy's files, wherever they lie.
        """
        shaping = self.model_dump(mode="json", include={"config", "seed", "device"})
        for name in ("checkpoint_steps", "ensemble_penalty"):
            del shaping["config"][name]
        trained = [
            pair.model_dump(mode="json", exclude_defaults=True)
            for pair in self.pairs
            if pair.split == "train"
        ]
        return digest_of([policy_digest, shaping, trained])

"""PPO's job as plain data and files: it can be written down, sent elsewhere and run there."""

from pathlib import Path
from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from rlaif.artifacts import folder_digest
from rlaif.config import GenerationConfig, PpoConfig
from rlaif.config.answering import Device
from rlaif.records import Message, Record, digest_of
from rlaif.stages.supervised import Example

MEMORY_SAVING = ("micro_batch", "gradient_checkpointing")


class PpoJob(Record):
    """All that PPO needs.

    Attributes:
        policy: Folder or hub id of the incumbent, where training starts.
        reference: Folder or hub id of the policy that KL is measured against; where an average is,
            what it starts from.
        reward_model: Folder of the reward model; None where a scorer stands in its place.
        conversations: The prompts to train on.
        examples: Completions for the ptx term; needed where its coefficient is above 0.
        generation: Sampling temperature and token limit.
        ppo: The settings.
        seed: Source of all randomness.
        device: Where to run.
        missing_eos_score: Score of a completion that was cut off; None leaves its reward.
        beta: KL coefficient to begin with.
        controller: State of the controller at the end of the last cycle, instead of `beta`.
        output: Where the challenger's folder is to land.
        work: Where checkpoints live until then.
    """

    policy: str
    reference: str
    reward_model: Path | None = None
    conversations: tuple[tuple[Message, ...], ...] = Field(min_length=1)
    examples: tuple[Example, ...] = ()
    generation: GenerationConfig
    ppo: PpoConfig
    seed: int
    device: Device
    missing_eos_score: float | None
    beta: PositiveFloat
    controller: dict[str, float] = Field(default_factory=dict)
    output: Path
    work: Path

    @model_validator(mode="after")
    def _check_beta(self) -> Self:
        """Refuse a beta that the controller would never leave."""
        if not self.controller.get("beta", self.beta) > 0:
            raise ValueError(f"controller.beta = {self.controller['beta']}, expected above 0")
        self.ppo.model_copy(update={"kl_beta": self.beta}).check("ppo")
        return self

    def fingerprint(self, policy_digest: str, reference_digest: str) -> str:
        """Return a digest of all that shapes a run: a checkpoint belongs to one of them.

        What only saves memory may be changed between two checkpoints, so that a run which had too
        little need not begin anew.

        Args:
            policy_digest: Of the incumbent's files, wherever they lie.
            reference_digest: Of the reference's.
        """
        places = {"policy", "reference", "reward_model", "output", "work"}
        shaping = self.model_dump(mode="json", exclude=places)
        for name in ("checkpoint_updates", *MEMORY_SAVING):
            del shaping["ppo"][name]
        rewards = None if self.reward_model is None else folder_digest(self.reward_model)
        return digest_of([policy_digest, reference_digest, rewards, shaping])

"""An optimiser's job as plain data: it can be written down, sent elsewhere and run there."""

from pathlib import Path
from typing import Any

from pydantic import Field

from rlaif.artifacts import folder_digest
from rlaif.config import BestOfNConfig, DpoConfig, GenerationConfig, GrpoConfig, RlooConfig
from rlaif.records import Message, Optimizer, Probability, Record, digest_of

Conversation = tuple[Message, ...]
Settings = DpoConfig | RlooConfig | GrpoConfig | BestOfNConfig
_NAMES: dict[type, Optimizer] = {
    DpoConfig: "dpo",
    RlooConfig: "rloo",
    GrpoConfig: "grpo",
    BestOfNConfig: "best_of_n",
}
_INTERVALS = frozenset({"checkpoint_steps", "checkpoint_updates"})


class PolicyPair(Record):
    """Two answers to one prompt with the soft label P(first is better), and its loss's weight."""

    prompt: Conversation = Field(min_length=1)
    first: str
    first_ended: bool
    second: str
    second_ended: bool
    label: Probability
    weight: float = Field(1.0, gt=0.0)


class OptimiserJob(Record):
    """All that training a challenger by one of TRL's methods needs.

    Which method it is follows from the type of ``settings``.

    Attributes:
        policy: Folder or hub id of the incumbent, where training starts.
        reference: Folder or hub id of the frozen policy that KL is measured against.
        reward_model: Folder of the reward model; DPO does not read it.
        conversations: The prompts to train on; DPO does not read them.
        pairs: What DPO trains on; the others do not read them.
        generation: Sampling temperature and token limit.
        settings: The method's settings.
        seed: Source of all randomness.
        device: Where to run.
        missing_eos_score: Score of a completion that was cut off; None leaves its reward.
        output: Where the challenger's folder is to land.
        work: Where checkpoints live until then.
    """

    policy: str
    reference: str
    reward_model: Path
    conversations: tuple[Conversation, ...]
    pairs: tuple[PolicyPair, ...]
    generation: GenerationConfig
    settings: Settings
    seed: int = Field(ge=0)
    device: str
    missing_eos_score: float | None
    output: Path
    work: Path

    @property
    def optimizer(self) -> Optimizer:
        """The method's name, as settings and reports have it."""
        return _NAMES[type(self.settings)]

    def fingerprint(self, policy_digest: str, reference_digest: str) -> str:
        """Return a digest of all that shapes the weights: a checkpoint belongs to one of them.

        Args:
            policy_digest: Digest of the incumbent's files, wherever they lie.
            reference_digest: Digest of the reference's.
        """
        shaping = self.model_dump(mode="json", include=self._read(), exclude_defaults=True)
        shaping["settings"] = self.settings.model_dump(mode="json", exclude=set(_INTERVALS))
        generation = self.generation
        sampling = [generation.temperature, generation.max_tokens]
        models = [policy_digest, reference_digest]
        if self.optimizer != "dpo":
            models.append(folder_digest(self.reward_model))
        return digest_of([self.optimizer, models, sampling, shaping])

    def _read(self) -> Any:  # noqa: ANN401 - a set of names, as pydantic takes it
        own = {"pairs"} if self.optimizer == "dpo" else {"conversations", "missing_eos_score"}
        return own | {"seed", "device"}

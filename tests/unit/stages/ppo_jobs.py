"""Small PPO jobs on a tiny policy, a rule in the reward model's place."""

from collections.abc import Sequence
from pathlib import Path

import torch
from job_tools import questions

from rlaif.config import GenerationConfig, PpoConfig
from rlaif.models.scoring import Answer
from rlaif.stages.ppo import Example, PpoJob

SETTINGS = PpoConfig(
    updates=4,
    rollout_batch=8,
    minibatch=8,
    micro_batch=8,
    epochs=2,
    checkpoint_updates=2,
    learning_rate=2e-3,
    critic="shared",
    precision="float32",
)


class Short:
    """A rule that pays for brevity."""

    def score(self, answers: Sequence[Answer]) -> torch.Tensor:
        return torch.tensor([-0.1 * len(text) for _, text, _ in answers])


def job_in(folder: Path, policy: str, **changes: object) -> PpoJob:
    turns = questions(12)
    return PpoJob(
        policy=policy,
        reference=policy,
        conversations=turns,
        examples=(Example(messages=turns[0], text="Fine.", ended=True),),
        generation=GenerationConfig(max_tokens=8),
        ppo=SETTINGS.model_copy(update=changes),
        seed=11,
        device="cpu",
        missing_eos_score=None,
        beta=0.01,
        output=folder / "challenger",
        work=folder / "work",
    )

"""Small PPO jobs on a tiny policy, a rule in the reward model's place, and what stops them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from rlaif.config import GenerationConfig, PpoConfig
from rlaif.models.scoring import Answer
from rlaif.records import Message
from rlaif.stages.metrics import read_metrics
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


class Stopped(Exception):  # noqa: N818 - stands for a kill, not for an error
    """Raised by a test's progress callback in place of a kill."""


def job_in(folder: Path, policy: str, **changes: object) -> PpoJob:
    turns = tuple((Message(role="user", content=f"Question {i}?"),) for i in range(12))
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


def stop_after(updates: int) -> Callable[[int, int], None]:
    def progress(done: int, _total: int) -> None:
        if done == updates:
            raise Stopped

    return progress


def series(job: PpoJob, name: str) -> list[float]:
    return [m.value for m in read_metrics(job.output) if m.name == name]

"""What jobs of every stage that trains begin with in tests, and what stands for a kill."""

from collections.abc import Callable
from pathlib import Path

from rlaif.models.reward import RewardModel
from rlaif.records import Message
from rlaif.stages.metrics import read_metrics
from rlaif.stages.optimisers import OptimiserJob
from rlaif.stages.ppo import PpoJob
from rlaif.testing import make_tiny_lm


class Stopped(Exception):  # noqa: N818 - stands for a kill, not for an error
    """Raised by a test's progress callback in place of a kill."""


def stop_after(steps: int) -> Callable[[int, int], None]:
    def progress(done: int, _total: int) -> None:
        if done == steps:
            raise Stopped

    return progress


def user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def questions(count: int) -> tuple[tuple[Message, ...], ...]:
    return tuple(user(f"Question {i}?") for i in range(count))


def make_models(root: Path) -> tuple[str, Path]:
    """A policy, and a reward model on its trunk."""
    policy = make_tiny_lm(root / "policy", pad_is_eos=True, dtype="float16")
    RewardModel.from_policy(str(policy), seed=3).save(root / "reward")
    return str(policy), root / "reward"


def series(job: PpoJob | OptimiserJob, name: str) -> list[float]:
    return [m.value for m in read_metrics(job.output) if m.name == name]

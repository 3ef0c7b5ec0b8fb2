"""Jobs for the optimisers that stand in PPO's place, on a tiny policy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rlaif.config import BestOfNConfig, DpoConfig, GenerationConfig, GrpoConfig, RlooConfig
from rlaif.models.reward import RewardModel
from rlaif.records import Message
from rlaif.stages.metrics import read_metrics
from rlaif.stages.optimisers import OptimiserJob, PolicyPair
from rlaif.testing import make_tiny_lm

CPU = torch.device("cpu")
WEIGHTS = "model.safetensors"
GROUPS = {"updates": 6, "rollout_batch": 16, "minibatch": 8, "micro_batch": 4, "kl_beta": 0.01}
SETTINGS = {
    "dpo": DpoConfig(epochs=2, batch_size=8, micro_batch=4, learning_rate=2e-3, checkpoint_steps=2),
    "rloo": RlooConfig(**GROUPS, learning_rate=2e-3, checkpoint_updates=2),
    "grpo": GrpoConfig(**GROUPS, learning_rate=2e-3, checkpoint_updates=2),
    "best_of_n": BestOfNConfig(
        samples=4, epochs=2, batch_size=8, micro_batch=4, learning_rate=2e-3, checkpoint_steps=2
    ),
}
UPDATES = {"dpo": 6, "rloo": 6, "grpo": 6, "best_of_n": 5}
METHODS = tuple(SETTINGS)
SAMPLED = ("rloo", "grpo", "best_of_n")
Maker = Callable[..., OptimiserJob]


class Stopped(Exception):  # noqa: N818 - stands for a kill, not for an error
    """Raised by a test's progress callback in place of a kill."""


def stop_after(updates: int) -> Callable[[int, int], None]:
    def progress(done: int, _total: int) -> None:
        if done == updates:
            raise Stopped

    return progress


def user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


CONVERSATIONS = tuple(user(f"Question {i}?") for i in range(20))
PAIRS = tuple(
    PolicyPair(
        prompt=user(f"Question {i}?"),
        first="yes it is" if i % 2 else "no it is not",
        first_ended=True,
        second="no it is not" if i % 2 else "yes it is",
        second_ended=True,
        label=0.9 if i % 2 else 0.1,
    )
    for i in range(24)
)


def make_models(root: Path) -> tuple[str, Path]:
    policy = make_tiny_lm(root / "policy", pad_is_eos=True, dtype="float16")
    RewardModel.from_policy(str(policy), seed=3).save(root / "reward")
    return str(policy), root / "reward"


def maker_of(models: tuple[str, Path], folder: Path) -> Maker:
    """Return a maker of jobs: ``make(method, name, **changes)``."""

    def make(method: str, name: str = "run", **changes: Any) -> OptimiserJob:
        fields = {
            "policy": models[0],
            "reference": models[0],
            "reward_model": models[1],
            "conversations": CONVERSATIONS,
            "pairs": PAIRS,
            "generation": GenerationConfig(max_tokens=10),
            "settings": SETTINGS[method],
            "seed": 11,
            "device": "cpu",
            "missing_eos_score": None,
            "output": folder / name / "challenger",
            "work": folder / name / "work",
        }
        return OptimiserJob(**{**fields, **changes})

    return make


def with_settings(job: OptimiserJob, **changes: Any) -> OptimiserJob:
    return job.model_copy(update={"settings": job.settings.model_copy(update=changes)})


def series(job: OptimiserJob, name: str) -> list[float]:
    return [m.value for m in read_metrics(job.output) if m.name == name]

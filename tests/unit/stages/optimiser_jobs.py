"""Jobs for the optimisers that stand in PPO's place, on a tiny policy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from job_tools import questions, user

from rlaif.config import BestOfNConfig, DpoConfig, GenerationConfig, GrpoConfig, RlooConfig
from rlaif.stages.optimisers import OptimiserJob, PolicyPair

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


CONVERSATIONS = questions(20)
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

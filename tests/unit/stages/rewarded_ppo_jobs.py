"""Jobs for PPO on a tiny policy with a reward model of its own."""

from pathlib import Path

from job_tools import questions
from ppo_jobs import job_in

from rlaif.config import GenerationConfig, PpoConfig
from rlaif.stages.ppo import PpoJob

SETTINGS = PpoConfig(
    updates=6,
    rollout_batch=16,
    minibatch=8,
    epochs=2,
    checkpoint_updates=2,
    learning_rate=2e-3,
    precision="float32",
    kl_beta=0.01,
)


def make_job(models: tuple[str, Path], folder: Path) -> PpoJob:
    return job_in(folder, models[0]).model_copy(
        update={
            "reward_model": models[1],
            "conversations": questions(20),
            "examples": (),
            "generation": GenerationConfig(max_tokens=10),
            "ppo": SETTINGS,
        }
    )

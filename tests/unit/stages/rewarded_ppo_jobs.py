"""Jobs for PPO on a tiny policy with a reward model of its own."""

from pathlib import Path

from rlaif.config import GenerationConfig, PpoConfig
from rlaif.models.reward import RewardModel
from rlaif.records import Message
from rlaif.stages.ppo import PpoJob
from rlaif.testing import make_tiny_lm

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


def make_models(root: Path) -> tuple[str, Path]:
    policy = make_tiny_lm(root / "policy", pad_is_eos=True, dtype="float16")
    model = RewardModel.from_policy(str(policy), seed=3)
    model.save(root / "reward")
    return str(policy), root / "reward"


def make_job(models: tuple[str, Path], folder: Path) -> PpoJob:
    turns = [(Message(role="user", content=f"Question {i}?"),) for i in range(20)]
    return PpoJob(
        policy=models[0],
        reference=models[0],
        reward_model=models[1],
        conversations=tuple(turns),
        generation=GenerationConfig(max_tokens=10),
        ppo=SETTINGS,
        seed=11,
        device="cpu",
        missing_eos_score=None,
        beta=SETTINGS.kl_beta,
        output=folder / "challenger",
        work=folder / "work",
    )

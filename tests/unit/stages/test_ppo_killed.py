"""SIGKILL in every update of PPO and at every checkpoint: the last run's weights are to the bit."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rlaif.artifacts import verify
from rlaif.config import GenerationConfig, PpoConfig
from rlaif.models.reward import RewardModel
from rlaif.records import Message
from rlaif.stages.metrics import read_metrics
from rlaif.stages.ppo import PpoJob, train_ppo
from rlaif.testing import make_tiny_lm

HERE = Path(__file__).parent
UPDATES = 3
VARIANTS: dict[str, dict[str, object]] = {
    "much state": {
        "reference": "ema",
        "reward_scaling": "running",
        "critic": "separate",
        "critic_warmup": 1,
        "kl_control": "lagrangian",
        "kl_target": 1.0,
    },
    "adapters": {"lora_rank": 4, "kl_horizon": 50},
}


@pytest.mark.crash
def test_killed_anywhere_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    policy = str(make_tiny_lm(tmp_path / "policy"))
    RewardModel.from_policy(policy, seed=3).save(tmp_path / "reward")
    turns = tuple((Message(role="user", content=f"Question {i}?"),) for i in range(7))
    jobs: dict[str, PpoJob] = {}
    for name, changes in VARIANTS.items():
        settings = PpoConfig.model_validate(
            {
                "updates": UPDATES,
                "rollout_batch": 8,
                "minibatch": 4,
                "micro_batch": 4,
                "learning_rate": 2e-3,
                "precision": "float32",
                "checkpoint_updates": 1,
                **changes,
            }
        )
        jobs[name] = PpoJob(
            policy=policy,
            reference=policy,
            reward_model=tmp_path / "reward",
            conversations=turns,
            generation=GenerationConfig(max_tokens=6),
            ppo=settings,
            seed=5,
            device="cpu",
            missing_eos_score=None,
            beta=0.05,
            output=tmp_path / name / "challenger",
            work=tmp_path / name / "work",
        )
        (tmp_path / f"{name}.json").write_text(jobs[name].model_dump_json(), encoding="utf-8")
    script = [sys.executable, str(HERE / "dying_ppo.py")]
    done = subprocess.run(
        [*script, *(str(tmp_path / f"{name}.json") for name in jobs)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    killed = [-signal.SIGKILL] * 3 * UPDATES
    assert list(map(int, done.stdout.split())) == [*killed, 0] * len(jobs), done.stderr
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, job in jobs.items():
            calm = job.model_copy(
                update={"output": tmp_path / name / "calm", "work": tmp_path / name / "calm-work"}
            )
            undisturbed = train_ppo(calm)
            assert verify(job.output) == undisturbed.artifact.digest, name
            assert read_metrics(job.output) == read_metrics(calm.output), name
    finally:
        torch.set_num_threads(threads)

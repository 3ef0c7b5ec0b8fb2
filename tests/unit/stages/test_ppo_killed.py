"""SIGKILL in every update of PPO and at every checkpoint: the last run's weights are to the bit."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from rlaif.artifacts import verify
from rlaif.config import GenerationConfig, PpoConfig
from rlaif.models.reward import RewardModel
from rlaif.records import Message
from rlaif.stages.metrics import read_metrics
from rlaif.stages.ppo import Example, PpoJob, train_ppo
from rlaif.testing import make_tiny_lm

HERE = Path(__file__).parent
UPDATES = 3
SECONDS = 150
MUCH_STATE = {
    "reference": "ema",
    "reward_scaling": "running",
    "critic": "separate",
    "critic_warmup": 1,
    "kl_control": "lagrangian",
    "kl_target": 1.0,
}
ADAPTERS = {"lora_rank": 4, "kl_horizon": 50, "checkpoint_updates": 2}
MORE: dict[str, dict[str, object]] = {
    "much state": {**MUCH_STATE, "checkpoint_updates": 3},
    "adaptive": {"kl_target": 0.5, "kl_horizon": 40},
    "average": {"reference": "ema", "ema_decay": 0.5, "checkpoint_updates": 2},
    "running scale": {"reward_scaling": "running", "reward_clip": 1.0, "length_penalty": 0.1},
    "warm-up": {"critic_warmup": 3, "checkpoint_updates": 2},
    "loss": {"kl_place": "loss", "kl_estimator": "k2", "ptx_coefficient": 0.5},
    "adapters": {**ADAPTERS, "reference": "ema", "critic": "separate"},
    "bfloat16": {"precision": "bfloat16", "gradient_checkpointing": True},
}


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., PpoJob]:
    policy = str(make_tiny_lm(tmp_path / "policy"))
    RewardModel.from_policy(policy, seed=3).save(tmp_path / "reward")
    turns = tuple((Message(role="user", content=f"Question {i}?"),) for i in range(7))

    def make(name: str, changes: dict[str, object]) -> PpoJob:
        settings = {
            "updates": UPDATES,
            "rollout_batch": 8,
            "minibatch": 4,
            "micro_batch": 4,
            "learning_rate": 2e-3,
            "precision": "float32",
            "checkpoint_updates": 1,
        }
        return PpoJob(
            policy=policy,
            reference=policy,
            reward_model=tmp_path / "reward",
            conversations=turns,
            examples=(Example(messages=turns[0], text="Fine.", ended=True),),
            generation=GenerationConfig(max_tokens=6),
            ppo=PpoConfig.model_validate(settings | changes),
            seed=5,
            device="cpu",
            missing_eos_score=None,
            beta=0.05,
            output=tmp_path / name / "challenger",
            work=tmp_path / name / "work",
        )

    return make


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in the processes that are killed: the order of sums is part of the bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def kills(job: PpoJob) -> int:
    checkpoints = job.ppo.updates // job.ppo.checkpoint_updates
    return job.ppo.updates + 3 * checkpoints + 2


def check(jobs: list[PpoJob], seconds: float = SECONDS) -> None:
    """Let jobs die at every moment, and compare what they come to with undisturbed runs."""
    command = [sys.executable, str(HERE / "dying_ppo.py")]
    for job in jobs:
        job.output.parent.mkdir()
        written = job.output.parent / "job.json"
        written.write_text(job.model_dump_json(), encoding="utf-8")
        command.append(str(written))
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    expected = [ending for job in jobs for ending in [-signal.SIGKILL] * kills(job) + [0]]
    assert list(map(int, done.stdout.split())) == expected, done.stderr
    for job in jobs:
        calm = {"output": job.output.with_name("calm"), "work": job.work.with_name("calm-work")}
        undisturbed = job.model_copy(update=calm)
        report = train_ppo(undisturbed)
        assert verify(job.output) == report.artifact.digest, job.output
        assert read_metrics(job.output) == read_metrics(undisturbed.output), job.output
        left = [p.name for p in job.output.parent.rglob("*") if p.name.startswith(".")]
        assert not left, "something half written was left"


@pytest.mark.crash
def test_killed_anywhere_it_ends_with_the_same_bits(make_job: Callable[..., PpoJob]) -> None:
    check([make_job("much state", MUCH_STATE), make_job("adapters", ADAPTERS)])


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.parametrize("name", MORE)
def test_killed_anywhere_in_a_longer_run(make_job: Callable[..., PpoJob], name: str) -> None:
    check([make_job(name, {"updates": 6, **MORE[name]})], seconds=280)

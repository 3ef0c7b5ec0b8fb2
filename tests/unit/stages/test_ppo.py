"""PPO end to end on a tiny model: it learns, stops where it must, and resumes to the bit."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from job_tools import Stopped, series, stop_after
from ppo_jobs import Short
from rewarded_ppo_jobs import SETTINGS

from rlaif import project
from rlaif.artifacts import file_sha256, verify
from rlaif.config import GenerationConfig
from rlaif.errors import ModelError
from rlaif.models.scoring import Answer
from rlaif.records import Message
from rlaif.stages.metrics import read_metrics
from rlaif.stages.ppo import Example, PpoJob, train_ppo
from rlaif.stages.ppo.trainer import PpoTrainer


class Brief:
    """A rule in the reward model's place: one letter is all it likes."""

    def score(self, answers: Sequence[Answer]) -> torch.Tensor:
        return torch.tensor([float(len(text) == 1) for _, text, _ in answers])


class Ten:
    """A rule that likes everything."""

    def score(self, answers: Sequence[Answer]) -> torch.Tensor:
        return torch.full((len(answers),), 10.0)


def test_the_reward_rises_and_every_update_is_measured(job: PpoJob) -> None:
    settings = SETTINGS.model_copy(
        update={"updates": 6, "rollout_batch": 128, "minibatch": 32, "kl_early_stop": 1.0}
    )
    short = {"ppo": settings, "generation": GenerationConfig(max_tokens=1)}
    report = train_ppo(job.model_copy(update=short), scorer=Brief())
    rewards = series(job, "reward")
    assert rewards[-1] > rewards[0] + 0.1
    assert report.updates == len(rewards) == 6
    assert verify(job.output) == report.artifact.digest
    wanted = {"kl_reference", "beta", "entropy", "clip_fraction", "explained_variance", "length"}
    assert wanted <= {m.name for m in read_metrics(job.output)}


def test_the_report_says_what_was_measured(job: PpoJob) -> None:
    settings = SETTINGS.model_copy(update={"updates": 7, "kl_target": 0.5, "kl_horizon": 40})
    report = train_ppo(job.model_copy(update={"ppo": settings}))
    kls, rewards = series(job, "kl_reference"), series(job, "reward")
    assert (report.updates, report.samples) == (7, 7 * 16)
    assert report.kl_reference == pytest.approx(sum(kls[2:]) / 5)
    assert (report.reward_first, report.reward_last) == (rewards[0], rewards[6])
    assert report.controller["beta"] == report.beta != series(job, "beta")[6] != 0.01
    assert report.stopped == "all 7 updates done"


def test_the_first_update_starts_at_the_reference(job: PpoJob) -> None:
    train_ppo(job)
    written = (job.work / "job.json").read_text(encoding="utf-8")
    assert PpoJob.model_validate_json(written) == job
    assert series(job, "kl_reference")[0] == pytest.approx(0.0, abs=1e-4)
    assert series(job, "beta")[0] == pytest.approx(0.01)


def test_the_bundled_policy_goes_on_to_the_same_bits(job: PpoJob, tmp_path: Path) -> None:
    """It is stored in 16 bits, its checkpoints in 32: each is read from elsewhere in memory."""
    policy = str(project.share() / "policies" / "tiny")
    sizes = {"updates": 3, "micro_batch": 4, "checkpoint_updates": 1, "learning_rate": 1e-3}
    job = job.model_copy(
        update={
            "policy": policy,
            "reference": policy,
            "ppo": SETTINGS.model_copy(update=sizes),
            "generation": GenerationConfig(max_tokens=24),
        }
    )
    straight = job.model_copy(update={"output": tmp_path / "straight", "work": tmp_path / "anew"})
    train_ppo(straight, scorer=Short())
    with pytest.raises(Stopped):
        train_ppo(job, stop_after(2), scorer=Short())
    train_ppo(job, scorer=Short())
    assert read_metrics(job.output) == read_metrics(straight.output)
    weights = "model.safetensors"
    assert file_sha256(job.output / weights) == file_sha256(straight.output / weights)


def test_a_stopped_run_goes_on_to_the_same_bits(job: PpoJob, tmp_path: Path) -> None:
    straight = job.model_copy(
        update={"output": tmp_path / "straight", "work": tmp_path / "straight-work"}
    )
    undisturbed = train_ppo(straight)
    with pytest.raises(Stopped):
        train_ppo(job, stop_after(5))
    assert not job.output.exists()
    resumed = train_ppo(job)
    weights = "model.safetensors"
    assert file_sha256(job.output / weights) == file_sha256(straight.output / weights)
    assert read_metrics(job.output) == read_metrics(straight.output)
    assert resumed.beta == undisturbed.beta


def test_a_damaged_checkpoint_costs_one_interval_not_the_result(
    job: PpoJob, tmp_path: Path
) -> None:
    straight = job.model_copy(
        update={"output": tmp_path / "straight", "work": tmp_path / "straight-work"}
    )
    train_ppo(straight)
    with pytest.raises(Stopped):
        train_ppo(job, stop_after(5))
    newest = sorted(job.work.glob("update-*"))[-1]
    damaged = newest / "optimizer.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x00")
    train_ppo(job)
    weights = "model.safetensors"
    assert file_sha256(job.output / weights) == file_sha256(straight.output / weights)


def test_a_checkpoint_of_another_job_is_not_used(job: PpoJob, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train_ppo(job, stop_after(5))
    other = job.model_copy(update={"seed": 12})
    train_ppo(other)
    fresh = other.model_copy(update={"output": tmp_path / "fresh", "work": tmp_path / "fresh-work"})
    train_ppo(fresh)
    assert read_metrics(other.output) == read_metrics(fresh.output)


@pytest.mark.parametrize(
    "changes",
    [{}, {"entropy_coefficient": 0.5, "kl_place": "loss", "kl_estimator": "k2"}],
    ids=["plain", "terms"],
)
def test_cutting_into_micro_batches_changes_nothing(
    job: PpoJob, tmp_path: Path, changes: dict[str, object]
) -> None:
    settings = SETTINGS.model_copy(update={"updates": 1, **changes})
    whole = job.model_copy(update={"ppo": settings.model_copy(update={"micro_batch": 8})})
    cut = job.model_copy(
        update={
            "ppo": settings.model_copy(update={"micro_batch": 3}),
            "output": tmp_path / "cut",
            "work": tmp_path / "cut-work",
        }
    )
    train_ppo(whole)
    train_ppo(cut)
    for name in ("loss", "policy_loss", "value_loss", "entropy", "approx_kl", "grad_norm"):
        assert series(cut, name) == pytest.approx(series(whole, name), rel=1e-3, abs=1e-6)


def test_inner_epochs_end_once_the_policy_has_moved(job: PpoJob) -> None:
    near = SETTINGS.model_copy(update={"updates": 1, "kl_early_stop": 1e-9})
    train_ppo(job.model_copy(update={"ppo": near}))
    assert series(job, "optimizer_steps")[0] <= 2


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": "ema", "ema_decay": 0.5},
        {"kl_control": "lagrangian", "kl_target": 1.0},
        {"reward_scaling": "running", "reward_clip": 1.0, "length_penalty": 0.1},
        {"critic_warmup": 1, "gradient_checkpointing": True, "dual_clip": 3.0},
        {"kl_place": "loss", "kl_estimator": "k2", "entropy_coefficient": 0.01},
        {"ptx_coefficient": 0.5},
        {"precision": "bfloat16"},
        {"critic": "separate", "critic_warmup": 1},
        {"critic": "branch", "gradient_checkpointing": True},
        {"lora_rank": 4, "critic": "branch"},
        {"lora_rank": 4},
        {"lora_rank": 4, "critic": "separate", "gradient_checkpointing": True},
        {"lora_rank": 4, "reference": "ema", "precision": "bfloat16"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_variant_trains_and_goes_on_to_the_same_bits(
    job: PpoJob, tmp_path: Path, changes: dict[str, object]
) -> None:
    texts = ("Fine.", "So it is, and so it was.", "No", "Who knows?", "Yes, yes.", "It was I.")
    examples = tuple(Example(messages=job.conversations[0], text=t, ended=True) for t in texts)
    settings = SETTINGS.model_copy(update={"updates": 3, "checkpoint_updates": 1, **changes})
    job = job.model_copy(update={"ppo": settings, "examples": examples})
    straight = job.model_copy(update={"output": tmp_path / "s", "work": tmp_path / "s-work"})
    undisturbed = train_ppo(straight)
    with pytest.raises(Stopped):
        train_ppo(job, stop_after(2))
    resumed = train_ppo(job)
    assert resumed.artifact.digest == undisturbed.artifact.digest
    assert read_metrics(job.output) == read_metrics(straight.output)
    assert resumed.controller == undisturbed.controller


@pytest.mark.parametrize("constant", [-7.0, 0.0])
def test_a_cut_off_answer_gets_the_constant_score(job: PpoJob, constant: float) -> None:
    generation = GenerationConfig(max_tokens=1)
    once = SETTINGS.model_copy(update={"updates": 1})
    changes = {"missing_eos_score": constant, "generation": generation, "ppo": once}
    train_ppo(job.model_copy(update=changes), scorer=Ten())
    ended = series(job, "ended")[0]
    assert ended < 0.5
    assert series(job, "reward")[0] == pytest.approx(10.0 * ended + constant * (1 - ended))


def test_beta_is_fixed_or_moves_towards_the_target(job: PpoJob, tmp_path: Path) -> None:
    fixed = job.model_copy(
        update={
            "ppo": SETTINGS.model_copy(update={"kl_control": "fixed"}),
            "output": tmp_path / "fixed",
        }
    )
    assert train_ppo(fixed).beta == pytest.approx(0.01)
    adaptive = job.model_copy(update={"work": tmp_path / "other-work"})
    expected = 0.01
    report = train_ppo(adaptive)
    for kl in series(adaptive, "kl_reference"):
        error = min(max(kl / SETTINGS.kl_target - 1.0, -0.2), 0.2)
        expected *= 1 + error * 16 / SETTINGS.kl_horizon
    assert report.beta == pytest.approx(expected)


def test_a_prompt_without_room_stops_before_anything_runs(job: PpoJob) -> None:
    long = (Message(role="user", content="word " * 400),)
    with pytest.raises(ModelError, match="context"):
        train_ppo(job.model_copy(update={"conversations": (*job.conversations, long)}))


def test_whole_passes_over_the_prompts(job: PpoJob) -> None:
    trainer = PpoTrainer(job)
    drawn: list[int] = []
    for update in range(5):
        drawn += trainer._roller.draw(update)
    assert sorted(drawn) == sorted(list(range(20)) * 4)

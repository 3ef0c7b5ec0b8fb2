"""PPO end to end on a tiny model: it learns, stops where it must, and resumes to the bit."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlaif.artifacts import file_sha256, verify
from rlaif.config import GenerationConfig, PpoConfig
from rlaif.errors import ModelError
from rlaif.models.identity import model_digest
from rlaif.models.reward import RewardModel
from rlaif.models.scoring import Answer
from rlaif.models.shared_base import SharedBase
from rlaif.records import Message
from rlaif.stages.metrics import read_metrics
from rlaif.stages.ppo import Example, PpoJob, train_ppo
from rlaif.stages.ppo.trainer import PpoTrainer
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


class Stopped(Exception):  # noqa: N818 - stands for a kill, not for an error
    """Raised by a test's progress callback in place of a kill."""


def stop_after(updates: int) -> Callable[[int, int], None]:
    def progress(done: int, _total: int) -> None:
        if done == updates:
            raise Stopped

    return progress


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    root = tmp_path_factory.mktemp("models")
    policy = make_tiny_lm(root / "policy", pad_is_eos=True, dtype="float16")
    model = RewardModel.from_policy(str(policy), seed=3)
    model.save(root / "reward")
    return str(policy), root / "reward"


@pytest.fixture
def job(models: tuple[str, Path], tmp_path: Path) -> PpoJob:
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
        output=tmp_path / "challenger",
        work=tmp_path / "work",
    )


def series(job: PpoJob, name: str) -> list[float]:
    return [m.value for m in read_metrics(job.output) if m.name == name]


class Brief:
    """A rule in the reward model's place: one letter is all it likes."""

    def score(self, answers: Sequence[Answer]) -> torch.Tensor:
        return torch.tensor([float(len(text) == 1) for _, text, _ in answers])


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


def test_the_first_update_starts_at_the_reference(job: PpoJob) -> None:
    train_ppo(job)
    written = (job.work / "job.json").read_text(encoding="utf-8")
    assert PpoJob.model_validate_json(written) == job
    assert series(job, "kl_reference")[0] == pytest.approx(0.0, abs=1e-4)
    assert series(job, "beta")[0] == pytest.approx(0.01)


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
    examples = (Example(messages=job.conversations[0], text="Fine.", ended=True),)
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


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_separate_critic_has_values_that_the_policy_does_not_move(
    job: PpoJob, lora_rank: int
) -> None:
    settings = SETTINGS.model_copy(
        update={"critic": "separate", "lora_rank": lora_rank, "updates": 2, "value_clip": 10.0}
    )
    trainer = PpoTrainer(job.model_copy(update={"ppo": settings}))
    learner = trainer.learner
    assert learner.critic.own is not None
    assert not {id(p) for p in learner.policy.trained} & {id(p) for p in learner.critic.parameters}
    trainer.update()
    rollout = trainer._roller.roll(1, 0.0, learner.policy).batch.rollout
    unheard = [None] * rollout.size
    before = learner.critic.look(rollout, unheard)
    assert any(abs(value) > 1e-4 for row in before for value in row)
    with torch.no_grad():
        for parameter in learner.policy.trained:
            parameter.mul_(1.5)
    learner.policy.weights_may_have_moved()
    assert learner.critic.look(rollout, unheard) == before


@pytest.mark.parametrize("lora_rank", [0, 4])
@pytest.mark.parametrize("critic", ["shared", "branch", "separate"])
def test_values_are_the_same_with_and_without_gradient(
    job: PpoJob, critic: str, lora_rank: int
) -> None:
    settings = SETTINGS.model_copy(update={"critic": critic, "lora_rank": lora_rank, "updates": 2})
    trainer = PpoTrainer(job.model_copy(update={"ppo": settings}))
    trainer.update()
    learner = trainer.learner
    batch = trainer._roller.roll(1, 0.0, learner.policy).batch
    states, values = learner.critic.read(batch.rollout)
    assert states.shape == (*values.shape, learner.critic.head.in_features)
    old = batch.old_values[batch.rollout.response_mask]
    torch.testing.assert_close(values.detach(), old, rtol=1e-4, atol=1e-5)
    learner.optimizer.zero_grad()
    values.sum().backward()
    reached = [p for p in learner.policy.trained if p.grad is not None and p.grad.any()]
    assert bool(reached) == (critic == "shared")
    assert all(p.grad is not None for p in learner.critic.head.parameters())


def test_a_branch_as_deep_as_the_policy_stops_before_anything_runs(job: PpoJob) -> None:
    settings = SETTINGS.model_copy(update={"critic": "branch", "critic_blocks": 2})
    with pytest.raises(ModelError, match="separate"):
        train_ppo(job.model_copy(update={"ppo": settings}))


def test_in_the_critics_warm_up_the_policy_rests(job: PpoJob) -> None:
    settings = SETTINGS.model_copy(update={"updates": 1, "critic_warmup": 1})
    train_ppo(job.model_copy(update={"ppo": settings}))
    before, after = (load_file(Path(p) / "model.safetensors") for p in (job.policy, job.output))
    assert all(torch.equal(after[name], before[name].float()) for name in before)


def test_a_cut_off_answer_gets_the_constant_score(job: PpoJob) -> None:
    job = job.model_copy(
        update={"missing_eos_score": -7.0, "generation": GenerationConfig(max_tokens=1)}
    )
    train_ppo(job.model_copy(update={"ppo": SETTINGS.model_copy(update={"updates": 1})}))
    ended = series(job, "ended")[0]
    assert ended < 0.5
    assert series(job, "reward")[0] < -7.0 * (1 - ended) + 3.0 * ended + 0.01


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


def test_a_second_cycle_trains_the_incumbents_adapter_on(job: PpoJob, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"updates": 2, "lora_rank": 4})
    first = job.model_copy(update={"ppo": settings})
    train_ppo(first)
    assert (first.output / "adapter_model.safetensors").stat().st_size < 200_000
    second = first.model_copy(
        update={"policy": str(first.output), "output": tmp_path / "o", "work": tmp_path / "w"}
    )
    train_ppo(second)
    assert series(second, "kl_reference")[0] > 0.001, "KL is measured against the base"
    assert model_digest(str(second.output)) != model_digest(str(first.output))
    third = second.model_copy(
        update={"ppo": SETTINGS.model_copy(update={"updates": 1}), "policy": str(second.output)}
    )
    train_ppo(third)
    assert (third.output / "model.safetensors").exists(), "all weights, from the merged ones"


def test_with_adapters_reference_and_reward_model_share_the_policys_base(
    job: PpoJob, tmp_path: Path
) -> None:
    shared = SharedBase.open(job.policy, torch.device("cpu"), "float32")
    rewards = RewardModel.from_adapter(shared.fresh("reward-0", 4, 32.0, seed=1), seed=3)
    rewards.save(tmp_path / "reward")
    settings = SETTINGS.model_copy(update={"updates": 1, "lora_rank": 4, "reference": "ema"})
    trainer = PpoTrainer(
        job.model_copy(update={"ppo": settings, "reward_model": tmp_path / "reward"})
    )
    policy = trainer.learner.policy
    assert policy.worn is not None
    assert trainer._reference.policy.model is policy.model
    one_adapter = sum(p.numel() * p.element_size() for p in policy.own)
    names = {name.split(".")[-2] for name, _ in policy.model.named_parameters() if "lora" in name}
    assert names == {"policy", "critic", "reference", "reward"}
    base = SharedBase.open(job.policy, torch.device("cpu"), "float32").resident_bytes()
    assert policy.worn.shared.resident_bytes() <= base + 4 * one_adapter

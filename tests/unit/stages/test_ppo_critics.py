"""What gives the values, what the policy shares with it, and adapters on one base."""

from pathlib import Path

import pytest
import torch
from job_tools import series
from ppo_jobs import Short, job_in
from rewarded_ppo_jobs import SETTINGS
from safetensors.torch import load_file

from rlaif.errors import ModelError
from rlaif.models.identity import model_digest
from rlaif.models.reward import RewardModel
from rlaif.models.shared_base import SharedBase
from rlaif.stages.ppo import PpoJob, train_ppo
from rlaif.stages.ppo.trainer import PpoTrainer
from tests.other_models import make_other_lm


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


@pytest.mark.parametrize("critic", ["shared", "separate"])
@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_trunk_of_the_librarys_in_half_precision_gives_values_too(
    tmp_path: Path, critic: str, lora_rank: int
) -> None:
    """GPT-2 has no lean trunk, as nothing has on a GPU."""
    folder = make_other_lm(tmp_path / "gpt2", "gpt2")
    changes = {"critic": critic, "lora_rank": lora_rank, "precision": "bfloat16"}
    trainer = PpoTrainer(job_in(tmp_path, str(folder), **changes), Short())
    assert trainer.learner.policy.lean is None
    trainer.update()
    batch = trainer._roller.roll(1, 0.0, trainer.learner.policy).batch
    old = batch.old_values[batch.rollout.response_mask]
    _, values = trainer.learner.critic.read(batch.rollout)
    assert values.abs().max() > 1e-4
    torch.testing.assert_close(values.detach(), old, rtol=0.1, atol=5e-3)


def test_a_branch_as_deep_as_the_policy_stops_before_anything_runs(job: PpoJob) -> None:
    settings = SETTINGS.model_copy(update={"critic": "branch", "critic_blocks": 2})
    with pytest.raises(ModelError, match="separate"):
        train_ppo(job.model_copy(update={"ppo": settings}))


def test_in_the_critics_warm_up_the_policy_rests(job: PpoJob) -> None:
    settings = SETTINGS.model_copy(update={"updates": 1, "critic_warmup": 1})
    train_ppo(job.model_copy(update={"ppo": settings}))
    before, after = (load_file(Path(p) / "model.safetensors") for p in (job.policy, job.output))
    assert all(torch.equal(after[name], before[name].float()) for name in before)


@pytest.mark.parametrize("reference", ["base", "ema"])
def test_a_second_cycle_trains_the_incumbents_adapter_on(
    job: PpoJob, tmp_path: Path, reference: str
) -> None:
    settings = SETTINGS.model_copy(
        update={"updates": 2, "lora_rank": 4, "reference": reference, "ema_decay": 1.0}
    )
    first = job.model_copy(update={"ppo": settings})
    train_ppo(first)
    assert (first.output / "adapter_model.safetensors").stat().st_size < 200_000
    second = first.model_copy(
        update={"policy": str(first.output), "output": tmp_path / "o", "work": tmp_path / "w"}
    )
    train_ppo(second)
    assert all(kl > 0.001 for kl in series(second, "kl_reference")), "measured against the base"
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

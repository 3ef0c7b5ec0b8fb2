"""Gradient checkpointing changes memory and time, and no gradient, whoever shares a base."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import wired_ppo
from torch import Tensor

from rlaif.models.actor_critic import response_states
from rlaif.models.loading import LanguageModel
from rlaif.rl import Rollout
from rlaif.seeds import torch_generator
from rlaif.stages.ppo.trainer import PpoTrainer


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library's own blocks compute, as they do on every GPU."""
    monkeypatch.setattr("rlaif.models.lean.trunk.is_supported", lambda _: False)


@pytest.fixture(params=["lean", "library"])
def path(request: pytest.FixtureRequest) -> None:
    if request.param == "library":
        request.getfixturevalue("library")


def trainer_of(policy: str, folder: Path, **changes: object) -> PpoTrainer:
    whole = {"minibatch": 8, "lora_rank": 4, "ptx_coefficient": 0.3}
    return wired_ppo.trainer_of(policy, folder, **{**whole, **changes})


def gradients(trainer: PpoTrainer) -> dict[str, Tensor]:
    """What a first minibatch teaches everyone whose weights are unlike the others'."""
    learner = trainer.learner
    everyone = (learner.policy, learner.critic.own or learner.policy)
    for seed, lm in enumerate(everyone):
        shake(lm, seed)
    torch.nn.init.constant_(learner.critic.head.weight, 0.1)
    batch = trainer._roller.roll(0, 0.0, trainer._reference.policy).batch
    drawn = trainer._examples.draw(0, batch.size)
    trainer._epochs._gradients(batch, drawn, 4, batch.rollout.response_tokens, 0.0)
    found = {"policy": learner.policy.trained, "critic": learner.critic.parameters}
    return {
        name: torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        for name, parameters in found.items()
    }


@torch.no_grad()
def shake(lm: LanguageModel, seed: int) -> None:
    generator = torch_generator(seed)
    for parameter in lm.trained:
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    lm.weights_may_have_moved()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("lora_rank", [0, 4])
@pytest.mark.parametrize("critic", ["shared", "branch", "separate"])
def test_what_is_run_again_is_run_under_its_own_adapter(
    policy: str, tmp_path: Path, critic: str, lora_rank: int
) -> None:
    plain, again = (
        gradients(
            trainer_of(
                policy,
                tmp_path / str(wanted),
                critic=critic,
                lora_rank=lora_rank,
                gradient_checkpointing=wanted,
            )
        )
        for wanted in (False, True)
    )
    assert all(x.abs().sum() > 0 for x in plain.values())
    torch.testing.assert_close(again, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("lora_rank", [0, 4])
@pytest.mark.parametrize("critic", ["branch", "separate"])
def test_everyone_who_learns_keeps_the_inputs_of_blocks_only(
    policy: str, tmp_path: Path, critic: str, lora_rank: int
) -> None:
    kept = {}
    for wanted in (False, True):
        changes = {"critic": critic, "lora_rank": lora_rank, "gradient_checkpointing": wanted}
        trainer = trainer_of(policy, tmp_path / str(wanted), **changes)
        new = numbers_kept(trainer)
        trainer.save_checkpoint()
        trainer.restore()
        kept[wanted] = (new, numbers_kept(trainer))
    for again, plain in zip(kept[True], kept[False], strict=True):
        assert all(few < 0.5 * many for few, many in zip(again, plain, strict=True))


def numbers_kept(trainer: PpoTrainer) -> tuple[int, int]:
    """How many numbers of the policy's pass, and of the critic's, wait for their gradients."""
    critic, policy = trainer.learner.critic, trainer.learner.policy
    tap = critic.tap
    rollout = Rollout.from_lists([[5, 6, 7, 8], [9]], [[10, 11], [12, 13, 14]], policy.pad_id)
    assert critic.own is not None
    with keeping(policy) as of_policy:
        response_states(policy, rollout, tap=tap)
    with keeping(critic.own) as of_critic:
        response_states(critic.own, rollout, begin=tap)
    return sum(of_policy), sum(of_critic)


@contextmanager
def keeping(lm: LanguageModel) -> Iterator[list[int]]:
    """List the sizes of what is kept for a backward pass inside, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in lm.model.parameters()}
    held: list[int] = []

    def hold(x: Tensor) -> Tensor:
        held.append(x.numel() * (x.untyped_storage().data_ptr() not in weights))
        return x

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda x: x):
        yield held

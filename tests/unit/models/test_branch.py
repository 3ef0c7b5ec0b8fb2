"""A branch goes on from where a tap listened, and trains nothing below it."""

import dataclasses
from pathlib import Path

import pytest
import torch

from rlaif.errors import ModelError
from rlaif.models.actor_critic import response_states
from rlaif.models.branch import branch_of, branch_under
from rlaif.models.lean.layout import Layout
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.models.shared_base import SharedBase
from rlaif.models.tap import Tap
from rlaif.rl import Rollout
from rlaif.testing import make_tiny_lm
from tests.other_models import make_other_lm

CPU = torch.device("cpu")
KINDS = ["whole", "adapter"]
PATHS = ["lean", "library"]


@pytest.fixture(params=[1, 2], ids=["a block", "two blocks"])
def above(request: pytest.FixtureRequest) -> int:
    """How many of a policy's three blocks a branch has."""
    blocks: int = request.param
    return blocks


@pytest.fixture(params=[f"{kind} {path}" for kind in KINDS for path in PATHS])
def pair(
    tmp_path: Path, request: pytest.FixtureRequest, above: int
) -> tuple[LanguageModel, LanguageModel]:
    """A policy and a branch that has its uppermost blocks."""
    kind, path = request.param.split()
    folder = str(make_tiny_lm(tmp_path, layers=3))
    lm = load_language_model(folder, CPU, trainable=kind == "whole")
    if path == "library":
        lm = dataclasses.replace(lm, lean=None)
    if kind == "whole":
        return lm, branch_of(lm, above)
    policy = SharedBase(lm).fresh("policy", 4, 32.0, seed=1)
    disturb(policy)
    assert policy.worn is not None
    return policy, branch_under(policy.worn.like("critic", trainable=True), above)


@torch.no_grad()
def disturb(lm: LanguageModel) -> None:
    generator = torch.Generator().manual_seed(3)
    for parameter in lm.trained:
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    lm.weights_may_have_moved()


def rollout_of(lm: LanguageModel) -> Rollout:
    return Rollout.from_lists([[5, 6, 7, 8], [9]], [[10, 11], [12, 13, 14]], lm.pad_id)


def test_a_new_branch_says_what_the_policy_says(
    pair: tuple[LanguageModel, LanguageModel], above: int
) -> None:
    policy, branch = pair
    rollout, tap = rollout_of(policy), Tap(above)
    states = response_states(policy, rollout, tap=tap)
    assert states.shape == (5, policy.model.config.hidden_size)
    torch.testing.assert_close(response_states(branch, rollout, begin=tap), states)
    torch.testing.assert_close(response_states(policy, rollout), states, rtol=0, atol=0)


def test_a_branch_looks_as_far_back_as_the_blocks_that_it_copies(
    tmp_path: Path, above: int
) -> None:
    """Blocks that see a few tokens below one that sees all."""
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3}
    kinds = ["sliding_attention", "sliding_attention", "full_attention"]
    window = {"use_sliding_window": True, "sliding_window": 3, "layer_types": kinds}
    make_other_lm(tmp_path, "qwen2", seed=3, **heads, **window)
    policy = load_language_model(str(tmp_path), CPU, trainable=True)
    assert policy.lean is None
    rollout = Rollout.from_lists([[5, 6, 7, 8, 9], [3]], [[10, 11, 12], [12, 13]], policy.pad_id)
    tap = Tap(above)
    states = response_states(policy, rollout, tap=tap)
    found = response_states(branch_of(policy, above), rollout, begin=tap)
    torch.testing.assert_close(found, states)


def test_what_a_branch_learns_moves_nothing_of_the_policy(
    pair: tuple[LanguageModel, LanguageModel], above: int
) -> None:
    policy, branch = pair
    rollout, tap = rollout_of(policy), Tap(above)
    before = response_states(policy, rollout, tap=tap).detach()
    response_states(branch, rollout, begin=tap).square().sum().backward()
    assert all(p.grad is None for p in policy.trained)
    moved = [p for p in branch.trained if p.grad is not None and p.grad.abs().sum() > 0]
    assert moved
    disturb(branch)
    torch.testing.assert_close(response_states(policy, rollout), before, rtol=0, atol=0)
    assert not torch.allclose(response_states(branch, rollout, begin=tap), before)


def test_a_branch_has_no_weights_but_those_of_its_blocks(tmp_path: Path) -> None:
    policy = load_language_model(str(make_tiny_lm(tmp_path)), CPU, trainable=True)
    branch = branch_of(policy, 1)
    names = {name.split(".")[0] for name, p in branch.model.named_parameters() if p.numel()}
    assert names == {"layers", "norm"}
    assert len(branch.model.layers) == branch.model.config.num_hidden_layers == 1
    shared = {p.data_ptr() for p in policy.trained} & {p.data_ptr() for p in branch.trained}
    assert not shared
    assert len(policy.model.base_model.layers) == policy.model.config.num_hidden_layers == 2


def test_a_branch_needs_a_block_below_it(tmp_path: Path) -> None:
    policy = load_language_model(str(make_tiny_lm(tmp_path)), CPU, trainable=True)
    with pytest.raises(ModelError, match=r"critic_blocks = 2, and .* has 2 blocks"):
        branch_of(policy, 2)


def test_a_trunk_that_scales_what_it_is_given_has_no_branch(tmp_path: Path) -> None:
    make_other_lm(tmp_path, "granite", num_key_value_heads=2, embedding_multiplier=3.0)
    with pytest.raises(ModelError, match=r"by 3\.0"):
        branch_of(load_language_model(str(tmp_path), CPU), 1)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox"])
def test_a_trunk_with_other_names_says_what_to_set_instead(tmp_path: Path, family: str) -> None:
    make_other_lm(tmp_path, family)
    lm = load_language_model(str(tmp_path), CPU)
    with pytest.raises(ModelError, match="critic") as caught:
        branch_of(lm, 1)
    assert str(tmp_path) in caught.value.seen
    assert type(lm.model.base_model).__name__ in caught.value.seen
    with pytest.raises(ModelError, match="critic"), Tap(1).on(lm.model):
        pass


def test_a_tap_that_heard_nothing_says_so(tmp_path: Path) -> None:
    policy = load_language_model(str(make_tiny_lm(tmp_path)), CPU, trainable=True)
    assert policy.lean is not None
    with pytest.raises(ValueError, match="no pass"):
        policy.lean.states(Layout.of([[3, 4]], 0), begin=Tap(1))

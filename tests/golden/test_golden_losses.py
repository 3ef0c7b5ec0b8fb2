"""Losses against the reference and against hand-made cases."""

import math

import numpy as np
import pytest
import reference
import torch
from golden_cases import Array, Case, assert_close
from torch import Tensor

from rlaif.rl import (
    bradley_terry_loss,
    explained_variance,
    listwise_loss,
    pairwise_hinge_loss,
    policy_loss,
    value_loss,
)

ONE = torch.ones(1, 1, dtype=torch.bool)


def cell(x: float) -> Tensor:
    return torch.tensor([[x]], dtype=torch.float64)


@pytest.mark.parametrize("dual", [None, 1.5, 3.0])
@pytest.mark.parametrize("clip", [0.1, 0.2])
@pytest.mark.parametrize("spread", [0.3, 2.0, 30.0])
def test_policy_loss_equals_the_reference(
    case: Case, dual: float | None, clip: float, spread: float
) -> None:
    old, advantages = case.numbers(), case.numbers()
    new = old + case.numbers(spread)
    arrays = (torch.from_numpy(x) for x in (new, old, advantages))
    found = policy_loss(*arrays, case.mask, case.tokens, clip, dual)
    expected = reference.policy_loss(new, old, advantages, case.lengths, clip, dual)
    assert_close(found.loss, expected[0])
    assert_close(found.clip_fraction, expected[1], rtol=1e-6)
    assert_close(found.approx_kl, expected[2])


@pytest.mark.parametrize(
    ("ratio", "advantage", "dual", "loss", "clipped"),
    [
        (1.1, 2.0, None, -2.2, 0.0),
        (1.5, 2.0, None, -2.4, 1.0),
        (0.5, 2.0, None, -1.0, 0.0),
        (1.5, -2.0, None, 3.0, 0.0),
        (0.5, -2.0, None, 1.6, 1.0),
        (5.0, -2.0, None, 10.0, 0.0),
        (5.0, -2.0, 3.0, 6.0, 0.0),
        (5.0, 2.0, 3.0, -2.4, 1.0),
        (0.1, 2.0, 3.0, -0.2, 0.0),
    ],
)
def test_policy_loss_by_hand(
    ratio: float, advantage: float, dual: float | None, loss: float, clipped: float
) -> None:
    found = policy_loss(cell(math.log(ratio) - 1), cell(-1.0), cell(advantage), ONE, 1, 0.2, dual)
    assert_close(found.loss, loss)
    assert_close(found.clip_fraction, clipped)
    assert_close(found.approx_kl, ratio - 1 - math.log(ratio))


def test_policy_loss_is_bounded_where_the_ratio_runs_away() -> None:
    new = cell(1000.0).requires_grad_()
    found = policy_loss(new, cell(0.0), cell(-1.0), ONE, 1)
    found.loss.backward()
    assert_close(found.loss, math.exp(20))
    assert new.grad is not None
    assert new.grad.isfinite().all()


def test_policy_loss_by_default_clips_at_02_without_a_dual_clip() -> None:
    assert_close(policy_loss(cell(1.0), cell(0.0), cell(1.0), ONE, 1).loss, -1.2)
    assert_close(policy_loss(cell(2.0), cell(0.0), cell(-1.0), ONE, 1).loss, math.exp(2))


@pytest.mark.parametrize("clip", [0.1, 0.5])
def test_value_loss_equals_the_reference(case: Case, clip: float) -> None:
    old, returns = case.numbers(), case.numbers()
    new = old + case.numbers(0.5)
    arrays = (torch.from_numpy(x) for x in (new, old, returns))
    found = value_loss(*arrays, case.mask, case.tokens, clip)
    expected = reference.value_loss(new, old, returns, case.lengths, clip)
    assert_close(found.loss, expected[0])
    assert_close(found.clip_fraction, expected[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "old", "target", "loss", "clipped"),
    [
        (1.0, 0.5, 2.0, 0.845, 1.0),
        (1.0, 0.5, 0.0, 0.5, 0.0),
        (0.6, 0.5, 1.0, 0.08, 0.0),
        (0.0, 0.5, -1.0, 0.845, 1.0),
    ],
)
def test_value_loss_by_hand(
    value: float, old: float, target: float, loss: float, clipped: float
) -> None:
    found = value_loss(cell(value), cell(old), cell(target), ONE, 1)
    assert_close(found.loss, loss)
    assert_close(found.clip_fraction, clipped)


def test_explained_variance_equals_the_reference(case: Case) -> None:
    values, returns = case.numbers(), case.numbers(2.0)
    found = explained_variance(torch.from_numpy(values), torch.from_numpy(returns), case.mask)
    assert_close(found, reference.explained_variance(values, returns, case.lengths))


def test_explained_variance_by_hand() -> None:
    returns, mask = torch.tensor([[1.0, 2.0, 3.0]]).double(), torch.ones(1, 3, dtype=torch.bool)
    assert_close(explained_variance(returns - 4, returns, mask), 1.0)
    assert_close(explained_variance(torch.zeros_like(returns), returns, mask), 0.0)
    assert_close(explained_variance(-returns, returns, mask), -3.0)
    for level in (0.0, 3.0, 3e5):
        equal = level * (1 + 1e-8 * (returns - 2))
        assert explained_variance(returns, equal, mask).isnan(), "what varies is the rounding"


def pairs(seed: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0, 2, (2, 9))
    return first, second, rng.uniform(0, 1, 9)


@pytest.mark.parametrize("seed", range(3))
def test_pairwise_losses_equal_the_reference(seed: int) -> None:
    arrays = pairs(seed)
    tensors = [torch.from_numpy(x) for x in arrays]
    assert_close(bradley_terry_loss(*tensors), reference.bradley_terry(*arrays))
    assert_close(pairwise_hinge_loss(*tensors), reference.hinge(*arrays, 1.0))
    assert_close(pairwise_hinge_loss(*tensors, margin=0.3), reference.hinge(*arrays, 0.3))


def test_pairwise_losses_by_hand() -> None:
    first, second, sure, torn = torch.tensor([[math.log(3)], [0], [1], [0.75]], dtype=torch.float64)
    assert_close(bradley_terry_loss(first, second, sure), math.log(4 / 3))
    assert_close(bradley_terry_loss(second, first, sure), math.log(4))
    mixed = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert_close(bradley_terry_loss(first, second, torn), mixed)
    near = second + 0.4
    assert_close(pairwise_hinge_loss(near, second, sure), 0.6)
    assert_close(pairwise_hinge_loss(near, second, torn), 0.75 * 0.6 + 0.25 * 1.4)


def test_bradley_terry_stays_finite_at_rewards_far_apart() -> None:
    far = torch.tensor([500.0]).double()
    assert_close(bradley_terry_loss(-far, far, torch.tensor([1.0]).double()), 1000.0)


def test_listwise_loss_equals_the_reference(case: Case) -> None:
    scores = case.numbers(2.0)
    found = listwise_loss(torch.from_numpy(scores), case.mask)
    assert_close(found, reference.listwise(scores, case.lengths))


def test_listwise_loss_by_hand() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0]]).double().log()
    three = torch.tensor([[True, True, True]])
    assert_close(listwise_loss(scores, three), -math.log(3 / 6 * 2 / 3))
    two = torch.tensor([[True, True, False]])
    assert_close(listwise_loss(scores, two), -math.log(3 / 5))

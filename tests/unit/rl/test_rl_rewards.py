"""Shaping of rewards, running figures, averages, errors of means."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlaif.rl import (
    RunningScale,
    clip_scores,
    ema_update,
    ensemble_score,
    kl_loss,
    length_penalty,
    mean_and_error,
)

NUMBERS = st.floats(-1e3, 1e3)


def test_scores_are_clipped_either_way() -> None:
    assert clip_scores(torch.tensor([-9.0, -1.0, 0.5, 7.0]), 2.0).tolist() == [-2.0, -1.0, 0.5, 2.0]
    with pytest.raises(ValueError, match="above 0"):
        clip_scores(torch.zeros(1), 0.0)


def test_only_tokens_beyond_the_free_ones_cost() -> None:
    cost = length_penalty(torch.tensor([3, 5, 9]), 5, 0.25)
    assert cost.tolist() == [0.0, 0.0, 1.0]


def test_an_ensemble_scores_its_mean_less_its_doubt() -> None:
    scores = torch.tensor([[1.0, 4.0], [3.0, 4.0]])
    assert ensemble_score(scores, 0.5).tolist() == [1.5, 4.0]
    assert ensemble_score(scores[:1], 9.0).tolist() == [1.0, 4.0]


@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=9), min_size=1, max_size=6))
def test_running_figures_are_those_of_the_whole(batches: list[list[float]]) -> None:
    scale = RunningScale()
    for batch in batches:
        scale.update(torch.tensor(batch, dtype=torch.float64))
    whole = np.concatenate([np.array(b) for b in batches])
    state = scale.state_dict()
    assert state["count"] == len(whole)
    assert state["mean"] == pytest.approx(whole.mean(), rel=1e-9, abs=1e-9)
    assert state["squares"] == pytest.approx(whole.var() * len(whole), rel=1e-6, abs=1e-6)
    resumed = RunningScale()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert resumed.std == scale.std


def test_scaling_divides_by_the_deviation_and_keeps_the_sign() -> None:
    scale = RunningScale()
    assert scale.scale(torch.tensor([5.0])).tolist() == [5.0]
    scale.update(torch.tensor([1.0, 5.0]))
    assert scale.std == 2.0
    assert scale.scale(torch.tensor([-3.0, 4.0])).tolist() == [-1.5, 2.0]


@pytest.mark.parametrize("size", [1e-6, 0.1, 300.0])
def test_scores_that_differ_by_their_rounding_alone_are_not_blown_up(size: float) -> None:
    scores = torch.full((8,), size)
    scores[3] = torch.nextafter(scores[3], torch.tensor(1e9))
    scale = RunningScale()
    scale.update(scores)
    assert scale.std == 1.0
    scale.update(2 * scores)
    assert scale.std == pytest.approx(size / 2)


@pytest.mark.parametrize("level", [-1.0, -0.25, 0.0, 3.0, -1e6])
def test_equal_scores_of_any_level_are_left_alone(level: float) -> None:
    scale = RunningScale()
    scale.update(torch.full((6,), level))
    assert scale.std == 1.0
    assert scale.scale(torch.tensor([level])).tolist() == [level]


def test_a_score_that_is_not_finite_spoils_nothing() -> None:
    scale = RunningScale()
    with pytest.raises(ValueError, match="not finite"):
        scale.update(torch.tensor([1.0, math.nan]))
    assert scale.state_dict()["count"] == 0


def test_a_mean_comes_with_its_standard_error() -> None:
    found = mean_and_error(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert found.mean == 3.0
    assert found.error == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 3 / 4))
    assert math.isnan(mean_and_error(torch.tensor([2.0])).error)
    with pytest.raises(ValueError, match="no sequence"):
        mean_and_error(torch.zeros(0))


def test_averages_follow_in_place() -> None:
    average, parameter = torch.tensor([1.0, 0.0]), torch.tensor([3.0, 4.0], requires_grad=True)
    ema_update([average], [parameter], 0.75)
    assert average.tolist() == [1.5, 1.0]
    ema_update([average], [parameter], 0.0)
    assert average.tolist() == [3.0, 4.0]
    ema_update([average], [torch.zeros(2)], 1.0)
    assert average.tolist() == [3.0, 4.0], "frozen"
    for decay in (1.1, -0.1):
        with pytest.raises(ValueError, match="decay"):
            ema_update([average], [parameter], decay)


def test_k2_in_the_loss_has_the_gradient_of_the_exact_kl() -> None:
    """Over all tokens of a small vocabulary, weighted as they are sampled."""
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64, requires_grad=True)
    ref = torch.tensor([1.0, 0.2, -0.5, 0.1], dtype=torch.float64).log_softmax(-1)
    log_p = logits.log_softmax(-1)
    exact = (log_p.exp() * (log_p - ref)).sum()
    expected = torch.autograd.grad(exact, logits, retain_graph=True)[0]
    found = torch.zeros(4, dtype=torch.float64)
    for token in range(4):
        mask = torch.ones(1, 1, dtype=torch.bool)
        one = kl_loss(log_p[token].view(1, 1), ref[token].view(1, 1), mask, 1, "k2")
        grad = torch.autograd.grad(one, logits, retain_graph=True)[0]
        found += log_p[token].exp().detach() * grad
    torch.testing.assert_close(found, expected)


def test_k3_in_the_loss_has_the_gradient_of_the_other_direction() -> None:
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64, requires_grad=True)
    ref = torch.tensor([1.0, 0.2, -0.5, 0.1], dtype=torch.float64).log_softmax(-1)
    log_p = logits.log_softmax(-1)
    expected = torch.autograd.grad((ref.exp() * (ref - log_p)).sum(), logits, retain_graph=True)[0]
    found = torch.zeros(4, dtype=torch.float64)
    for token in range(4):
        mask = torch.ones(1, 1, dtype=torch.bool)
        one = kl_loss(log_p[token].view(1, 1), ref[token].view(1, 1), mask, 1, "k3")
        grad = torch.autograd.grad(one, logits, retain_graph=True)[0]
        found += log_p[token].exp().detach() * grad
    torch.testing.assert_close(found, expected)


def test_k1_in_the_loss_is_refused() -> None:
    row, mask = torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="no gradient"):
        kl_loss(row, row, mask, 2, "k1")
    assert kl_loss(row - 1, row, mask, 4, "k2") == 0.25

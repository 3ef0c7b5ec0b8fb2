"""Losses of comparisons, against the same sums written out by hand."""

import math

import pytest
import torch

from rlaif.stages.reward_model.trainer import soft_loss, tied_listwise_loss

SCORES = torch.tensor([[0.3, -0.4], [1.0, 2.5]])
VALUES = torch.tensor([[0.75, 0.25], [0.1, 0.9]])
REAL = torch.ones(2, 2, dtype=torch.bool)


def test_bradley_terry_is_the_soft_cross_entropy() -> None:
    by_hand = [
        0.75 * math.log1p(math.exp(-0.7)) + 0.25 * math.log1p(math.exp(0.7)),
        0.1 * math.log1p(math.exp(1.5)) + 0.9 * math.log1p(math.exp(-1.5)),
    ]
    loss = soft_loss("bradley_terry", SCORES, VALUES, REAL)
    assert float(loss) == pytest.approx(sum(by_hand) / 2, rel=1e-6)


def test_hinge_is_weighted_by_the_soft_label() -> None:
    by_hand = [0.75 * 0.3 + 0.25 * 1.7, 0.1 * 2.5 + 0.9 * 0.0]
    loss = soft_loss("hinge", SCORES, VALUES, REAL)
    assert float(loss) == pytest.approx(sum(by_hand) / 2, rel=1e-6)


def test_a_list_of_two_costs_what_a_certain_pair_costs() -> None:
    by_hand = [math.log1p(math.exp(-0.7)), math.log1p(math.exp(-1.5))]
    loss = soft_loss("listwise", SCORES, VALUES, REAL)
    assert float(loss) == pytest.approx(sum(by_hand) / 2, rel=1e-6)


def test_a_list_is_ranked_by_strength_and_filling_does_not_count() -> None:
    """Strengths put the third first, then the first; the second list has two real answers."""
    scores = torch.tensor([[0.5, -1.0, 1.5], [0.2, 0.9, 77.0]])
    strengths = torch.tensor([[0.4, -2.0, 1.1], [-3.0, -1.0, 0.0]])
    real = torch.tensor([[True, True, True], [True, True, False]])
    e = math.exp
    first = -math.log(e(1.5) / (e(1.5) + e(0.5) + e(-1.0))) - math.log(e(0.5) / (e(0.5) + e(-1.0)))
    second = math.log1p(e(0.2 - 0.9))
    loss = tied_listwise_loss(scores, strengths, real)
    assert float(loss) == pytest.approx((first + second) / 2, rel=1e-5)


def test_a_tie_of_two_costs_what_an_even_label_costs() -> None:
    tied = torch.tensor([[0.6, 0.6]])
    loss = tied_listwise_loss(SCORES[:1], tied, REAL[:1])
    even = soft_loss("bradley_terry", SCORES[:1], torch.tensor([[0.5, 0.5]]), REAL[:1])
    assert float(loss) == pytest.approx(float(even), rel=1e-6)


@pytest.mark.parametrize("loss", ["bradley_terry", "hinge", "listwise"])
def test_exchanging_the_answers_of_a_pair_changes_nothing(loss: str) -> None:
    as_it_is = soft_loss(loss, SCORES, VALUES, REAL)  # type: ignore[arg-type]  # from the list above
    exchanged = soft_loss(loss, SCORES.flip(1), VALUES.flip(1), REAL)  # type: ignore[arg-type]  # as above
    assert float(as_it_is) == pytest.approx(float(exchanged), rel=1e-6)


@pytest.mark.parametrize("loss", ["bradley_terry", "hinge", "listwise"])
def test_the_gradient_lifts_the_better_answer(loss: str) -> None:
    scores = torch.zeros(1, 2, requires_grad=True)
    values = torch.tensor([[0.9, 0.1]])
    soft_loss(loss, scores, values, REAL[:1]).backward()  # type: ignore[arg-type]  # from the list above
    assert scores.grad is not None
    assert float(scores.grad[0, 0]) < 0 < float(scores.grad[0, 1])

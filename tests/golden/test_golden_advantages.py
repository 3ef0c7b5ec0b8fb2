"""Rewards, advantages and masked statistics against the reference and against hand-made cases."""

import statistics

import pytest
import reference
import torch
from golden_cases import Case, assert_close

from rlaif.rl import gae, masked_mean, masked_sum, masked_var, place_scores, whiten


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (0.99, 1.0), (1.0, 0.0)])
def test_gae_equals_the_reference(case: Case, gamma: float, lam: float) -> None:
    rewards, values = case.numbers(), case.numbers(2.0)
    found = gae(torch.from_numpy(rewards), torch.from_numpy(values), case.mask, gamma, lam)
    advantages, returns = reference.gae(rewards, values, case.lengths, gamma, lam)
    assert_close(found.advantages, advantages)
    assert_close(found.returns, returns)


def test_gae_by_default_has_gamma_1_and_lambda_095(case: Case) -> None:
    rewards, values = case.numbers(), case.numbers(2.0)
    found = gae(torch.from_numpy(rewards), torch.from_numpy(values), case.mask)
    assert_close(found.advantages, reference.gae(rewards, values, case.lengths, 1.0, 0.95)[0])


def test_gae_by_hand() -> None:
    rewards = torch.tensor([[0.0, 0.0, 1.0, 9.0]], dtype=torch.float64)
    values = torch.tensor([[0.5, 0.6, 0.7, 9.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True, False]])
    found = gae(rewards, values, mask, gamma=1.0, lam=0.95)
    assert_close(found.advantages, [[0.46575, 0.385, 0.3, 0.0]])
    assert_close(found.returns, [[0.96575, 0.985, 1.0, 0.0]])


def test_gae_gives_no_gradient_to_the_values_it_starts_from() -> None:
    values = torch.ones(1, 2, requires_grad=True)
    found = gae(torch.ones(1, 2), values, torch.ones(1, 2, dtype=torch.bool))
    assert not found.advantages.requires_grad
    assert not found.returns.requires_grad


@pytest.mark.parametrize("shift_mean", [True, False])
def test_whiten_equals_the_reference(case: Case, shift_mean: bool) -> None:
    x = case.numbers(3.0) + 5
    found = whiten(torch.from_numpy(x), case.mask, shift_mean)
    assert_close(found, reference.whiten(x, case.lengths, shift_mean))


def test_whiten_by_hand() -> None:
    x = torch.tensor([[1.0, 3.0, 100.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False]])
    assert_close(whiten(x, mask), [[-1.0, 1.0, 0.0]], rtol=1e-7)
    assert_close(whiten(x, mask, shift_mean=False), [[1.0, 3.0, 0.0]], rtol=1e-7)


def test_whitening_equal_numbers_stays_finite() -> None:
    x, mask = torch.full((1, 3), 7.0), torch.tensor([[True, True, False]])
    assert whiten(x, mask).tolist() == [[0.0, 0.0, 0.0]]


def test_masked_statistics_equal_the_reference(case: Case) -> None:
    x = case.numbers(2.0) + 1
    found, mask, cells = torch.from_numpy(x), case.mask, reference.real_cells(x, case.lengths)
    assert_close(masked_sum(found, mask), sum(cells))
    assert_close(masked_mean(found, mask), statistics.fmean(cells))
    assert_close(masked_var(found, mask), statistics.pvariance(cells))
    by_row = [sum(x[row, :length]) for row, length in enumerate(case.lengths)]
    assert_close(masked_sum(found, mask, dim=1), by_row)
    means = [total / length for total, length in zip(by_row, case.lengths, strict=True)]
    assert_close(masked_mean(found, mask, dim=1), means)


def test_mean_of_nothing_is_not_a_number() -> None:
    assert masked_mean(torch.ones(2), torch.zeros(2, dtype=torch.bool)).isnan()


def test_place_scores_equals_the_reference(case: Case) -> None:
    penalty, scores = case.numbers(), case.rng.normal(size=len(case.lengths))
    found = place_scores(torch.from_numpy(penalty), torch.from_numpy(scores), case.mask)
    assert_close(found, reference.place_scores(penalty, scores, case.lengths))


def test_place_scores_by_hand() -> None:
    penalty = torch.tensor([[0.1, 0.2, 0.3], [0.4, 7.0, 7.0]], dtype=torch.float64)
    scores = torch.tensor([5.0, -1.0], dtype=torch.float64)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert_close(place_scores(penalty, scores, mask), [[-0.1, -0.2, 4.7], [-1.4, 0.0, 0.0]])


def test_place_scores_leaves_a_row_without_tokens_alone() -> None:
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    assert place_scores(torch.ones(1, 3), torch.ones(1), nothing).tolist() == [[0.0, 0.0, 0.0]]

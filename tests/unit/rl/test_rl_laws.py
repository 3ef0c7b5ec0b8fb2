"""Laws that PPO's quantities obey, each checked without an implementation to compare with."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rl_strategies import Rows, assert_close, quick, rows, two_distributions
from torch import Tensor

from rlaif.rl import (
    bradley_terry_loss,
    entropy,
    exact_kl,
    gae,
    k1,
    k2,
    k3,
    listwise_loss,
    masked_mean,
    masked_var,
    pairwise_hinge_loss,
    policy_loss,
    token_kl,
    token_logprobs,
    value_loss,
    whiten,
)

rewards = st.floats(-8, 8)
temperatures = st.sampled_from([0.5, 1.0, 2.0])


def doubles(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def expectation(p_logits: Tensor, values: Tensor) -> Tensor:
    """Exact mean under p, by enumeration of the vocabulary."""
    return (p_logits.softmax(0) * values).sum()


def vocabulary_logprobs(logits: Tensor) -> Tensor:
    """The log-probability of every token in turn."""
    everything = torch.arange(len(logits))
    return token_logprobs(logits.expand(len(logits), -1), everything)


@quick
@given(pair=two_distributions())
def test_k1_is_unbiased(pair: tuple[Tensor, Tensor]) -> None:
    p, q = ((x / 2) for x in pair)
    estimates = k1(vocabulary_logprobs(p), vocabulary_logprobs(q))
    assert_close(expectation(p, estimates), exact_kl(p, q))


@quick
@given(pair=two_distributions())
def test_k3_is_unbiased(pair: tuple[Tensor, Tensor]) -> None:
    p, q = (x / 15 for x in pair)
    estimates = k3(vocabulary_logprobs(p), vocabulary_logprobs(q))
    assert_close(expectation(p, estimates), exact_kl(p, q))


@quick
@given(pair=two_distributions())
def test_kl_is_never_negative(pair: tuple[Tensor, Tensor]) -> None:
    p, q = pair
    assert exact_kl(p, q).item() >= -1e-12
    assert_close(exact_kl(p, p), 0.0)
    for estimator in (k2, k3):
        assert (estimator(vocabulary_logprobs(p), vocabulary_logprobs(q)) >= 0).all()


@quick
@given(pair=two_distributions())
def test_the_gradient_of_k2_is_the_gradient_of_the_kl(pair: tuple[Tensor, Tensor]) -> None:
    p, q = (x / 2 for x in pair)
    p.requires_grad_()
    (exact,) = torch.autograd.grad(exact_kl(p, q), p)
    samples = k2(vocabulary_logprobs(p), vocabulary_logprobs(q))
    (estimated,) = torch.autograd.grad(expectation(p.detach(), samples), p)
    assert_close(estimated, exact)


def test_kl_is_measured_from_the_policy() -> None:
    policy, reference = doubles(5, 0, 0), doubles(0, 0, 0)
    sharp = exact_kl(policy, reference)
    assert sharp < exact_kl(reference, policy)
    chosen = torch.tensor([0])
    logprobs = [token_logprobs(x[None], chosen) for x in (policy, reference)]
    assert token_kl(*logprobs).item() > 0, "it is likelier under the policy"


def test_kl_where_a_token_is_impossible() -> None:
    never, always = doubles(0, -torch.inf), doubles(0, 0)
    assert_close(exact_kl(never, always), 0.6931471805599453)
    assert exact_kl(always, never).item() == torch.inf
    assert exact_kl(never, never).item() == 0.0
    assert_close(
        exact_kl(doubles(0, 0, -torch.inf), doubles(0, 1, -torch.inf)), 0.12011450695827752
    )


@pytest.mark.parametrize("function", [entropy, lambda x: exact_kl(x, torch.zeros_like(x))])
def test_gradients_stay_finite_where_a_token_is_impossible(function: object) -> None:
    assert callable(function)
    x = doubles(1, 0, -torch.inf).requires_grad_()
    (gradient,) = torch.autograd.grad(function(x), x)
    assert gradient.isfinite().all()


@quick
@given(pair=two_distributions(), temperature=temperatures)
def test_temperature_is_division_of_logits(pair: tuple[Tensor, Tensor], temperature: float) -> None:
    p, q = pair
    assert_close(entropy(p, temperature), entropy(p / temperature))
    assert_close(exact_kl(p, q, temperature), exact_kl(p / temperature, q / temperature))
    tokens = torch.tensor(0)
    assert_close(token_logprobs(p, tokens, temperature), token_logprobs(p / temperature, tokens))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match=r"temperature is .*, expected above 0"):
        entropy(doubles(0, 1), temperature)


@quick
@given(data=rows(), temperature=temperatures)
def test_surrogate_gradient_at_ratio_1_is_the_policy_gradient(
    data: Rows, temperature: float
) -> None:
    logits = data.vectors(5).requires_grad_()
    tokens = torch.from_numpy(data.rng.integers(0, 5, tuple(data.mask.shape)))
    advantages = data.numbers()
    logprobs = token_logprobs(logits, tokens, temperature)
    loss = policy_loss(logprobs, logprobs.detach(), advantages, data.mask, data.tokens).loss
    (found,) = torch.autograd.grad(loss, logits)
    probabilities = (logits.detach() / temperature).softmax(-1)
    score = (torch.nn.functional.one_hot(tokens, 5) - probabilities) / temperature
    weights = -(advantages * data.mask) / data.tokens
    assert_close(found, weights[..., None] * score)


@quick
@given(data=rows())
def test_value_gradient_near_the_old_value_is_the_error(data: Rows) -> None:
    old, returns = data.numbers(), data.numbers()
    values = (old + 0.05 * data.numbers().tanh()).requires_grad_()
    loss = value_loss(values, old, returns, data.mask, data.tokens).loss
    (found,) = torch.autograd.grad(loss, values)
    assert_close(found, (values - returns) * data.mask / data.tokens)


@quick
@given(data=rows(), gamma=st.sampled_from([1.0, 0.9]))
def test_gae_at_lambda_1_is_monte_carlo_minus_values(data: Rows, gamma: float) -> None:
    reward, values = data.numbers(), data.numbers()
    found = gae(reward, values, data.mask, gamma, lam=1.0)
    for row, length in enumerate(data.lengths):
        to_go = 0.0
        for t in reversed(range(length)):
            to_go = reward[row, t].item() + gamma * to_go
            assert found.returns[row, t].item() == pytest.approx(to_go)
            assert found.advantages[row, t].item() == pytest.approx(to_go - values[row, t].item())


@quick
@given(data=rows(), gamma=st.sampled_from([1.0, 0.9]))
def test_gae_at_lambda_0_is_the_one_step_error(data: Rows, gamma: float) -> None:
    reward, values = data.numbers(), data.numbers()
    after = torch.cat([values * data.mask, torch.zeros_like(values[:, :1])], dim=1)[:, 1:]
    found = gae(reward, values, data.mask, gamma, lam=0.0)
    assert_close(found.advantages, (reward + gamma * after - values) * data.mask)


@quick
@given(data=rows(min_rows=2))
def test_whitened_numbers_have_mean_0_and_variance_1(data: Rows) -> None:
    x = data.numbers(3.0) + 2
    white, scaled = whiten(x, data.mask), whiten(x, data.mask, shift_mean=False)
    assert_close(masked_mean(white, data.mask), 0.0)
    assert masked_var(white, data.mask).item() == pytest.approx(1, abs=1e-3)
    assert_close(masked_mean(scaled, data.mask), masked_mean(x, data.mask))
    assert masked_var(scaled, data.mask).item() == pytest.approx(1, abs=1e-3)


@quick
@given(a=rewards, b=rewards, p=st.floats(0, 1))
def test_pairwise_losses_do_not_care_which_answer_is_called_first(
    a: float, b: float, p: float
) -> None:
    for loss in (bradley_terry_loss, pairwise_hinge_loss):
        found = loss(doubles(a), doubles(b), doubles(p))
        assert_close(found, loss(doubles(b), doubles(a), doubles(1 - p)))
        tie = loss(doubles(a), doubles(b), doubles(0.5))
        assert_close(tie, loss(doubles(b), doubles(a), doubles(0.5)))


@quick
@given(gap=st.floats(-6, 6), shift=rewards)
def test_bradley_terry_is_least_where_the_gap_fits_the_label(gap: float, shift: float) -> None:
    label = torch.sigmoid(doubles(gap))
    first, second = doubles(gap + shift).requires_grad_(), doubles(shift)
    loss = bradley_terry_loss(first, second, label)
    (slope,) = torch.autograd.grad(loss, first)
    assert_close(slope, 0.0)
    for wrong in (-1.0, 1.0):
        assert bradley_terry_loss(first + wrong, second, label) > loss


@quick
@given(scores=st.lists(st.floats(-4, 4), min_size=1, max_size=5))
def test_probabilities_of_all_rankings_add_up_to_1(scores: list[float]) -> None:
    mask = torch.ones(1, len(scores), dtype=torch.bool)
    losses = [listwise_loss(doubles(*order)[None], mask) for order in permutations(scores)]
    assert_close(torch.stack(losses).neg().exp().sum(), 1.0)


@quick
@given(a=rewards, b=rewards)
def test_listwise_loss_of_two_is_bradley_terry(a: float, b: float) -> None:
    mask = torch.tensor([[True, True, False]])
    found = listwise_loss(doubles(a, b, 99.0)[None], mask)
    assert_close(found, bradley_terry_loss(doubles(a), doubles(b), doubles(1.0)))


def test_listwise_gradient_is_finite_with_groups_of_different_sizes() -> None:
    scores = torch.ones(2, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    (gradient,) = torch.autograd.grad(listwise_loss(scores, mask), scores)
    assert gradient.isfinite().all()
    assert_close(gradient[~mask], 0.0)
    assert_close(gradient.sum(dim=1), 0.0)


def test_a_dual_clip_within_the_clip_range_is_refused() -> None:
    x, mask = torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"dual_clip is 1\.0, expected above 1"):
        policy_loss(x, x, x, mask, 1, 0.2, 1.0)

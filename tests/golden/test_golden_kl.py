"""KL estimators and controllers against the reference and against hand-made cases."""

import math

import pytest
import reference
import torch
from golden_cases import Case, assert_close

from rlaif.rl import AdaptiveKL, k1, k2, k3, sequence_kl, token_kl

ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_estimators_equal_the_reference(case: Case, name: str, scale: float) -> None:
    p, q = case.numbers(scale), case.numbers(scale)
    expected = [
        [reference.k_estimate(name, *pair) for pair in zip(*rows, strict=True)]
        for rows in zip(p, q, strict=True)
    ]
    assert_close(ESTIMATORS[name](torch.from_numpy(p), torch.from_numpy(q)), expected)
    assert_close(token_kl(torch.from_numpy(p), torch.from_numpy(q), name), expected)


def test_estimators_by_hand_where_the_policy_is_twice_as_sure() -> None:
    p, q = torch.tensor([math.log(0.5)]).double(), torch.tensor([math.log(0.25)]).double()
    assert k1(p, q).item() == pytest.approx(math.log(2))
    assert k2(p, q).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert k3(p, q).item() == pytest.approx(0.5 - 1 + math.log(2))


def test_estimators_are_bounded_where_a_distribution_has_collapsed() -> None:
    sure, never = torch.tensor([0.0]), torch.tensor([-500.0])
    assert k1(sure, never).item() == 20
    assert k1(never, sure).item() == -20
    assert k2(sure, never).item() == 200
    assert k3(never, sure).item() == 10
    assert k3(sure, never).item() == 10, "expm1(-20) - (-20) is 19"


def test_token_kl_is_k1_by_default() -> None:
    p, q = torch.tensor([-1.0]), torch.tensor([-3.0])
    assert token_kl(p, q).item() == 2


def test_sequence_kl_adds_up_real_tokens(case: Case) -> None:
    kl = case.numbers()
    expected = [sum(kl[row, :length]) for row, length in enumerate(case.lengths)]
    assert_close(sequence_kl(torch.from_numpy(kl), case.mask), expected)


@pytest.mark.parametrize("kl", [0.0, 4.5, 5.5, 6.0, 6.6, 7.3, 100.0])
@pytest.mark.parametrize("episodes", [1, 64, 512])
def test_adaptive_beta_equals_the_reference(kl: float, episodes: int) -> None:
    controller = AdaptiveKL(beta=0.1, target=6.0, horizon=10_000.0)
    expected = reference.adaptive_beta(0.1, kl, 6.0, episodes, 10_000.0)
    assert controller.update(kl, episodes) == pytest.approx(expected, rel=1e-12)
    assert controller.beta == pytest.approx(expected, rel=1e-12)


def test_adaptive_beta_by_hand() -> None:
    controller = AdaptiveKL(beta=0.2, target=6.0, horizon=1_000.0)
    assert controller.update(6.6, 100) == pytest.approx(0.2 * 1.01), "10% over: up by a tenth of it"
    assert controller.update(60.0, 100) == pytest.approx(0.2 * 1.01 * 1.02), "clipped at 20%"
    assert controller.update(0.0, 100) == pytest.approx(0.2 * 1.01 * 1.02 * 0.98)

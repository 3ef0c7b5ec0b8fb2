"""The controllers of beta: what they do over time, what they keep, and what they refuse."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rl_strategies import quick

from rlaif.rl import AdaptiveKL, FixedKL, KLController


@quick
@given(kl=st.floats(-5, 200), episodes=st.integers(1, 1000))
def test_beta_follows_the_error_and_is_bounded(kl: float, episodes: int) -> None:
    controller = AdaptiveKL(beta=0.1, target=6.0)
    change = controller.update(kl, episodes) - 0.1
    assert change * (kl - 6.0) >= 0
    assert abs(change) <= 0.1 * 0.2 * episodes / 10_000 + 1e-15


def test_on_target_nothing_changes() -> None:
    assert AdaptiveKL(beta=0.1, target=3.0).update(3.0, 64) == 0.1


def test_the_loop_settles_at_the_target() -> None:
    controller = AdaptiveKL(beta=1.0, target=6.0, horizon=2_000.0)
    kl = 0.0
    for _ in range(1_000):
        kl = 3.0 / controller.beta
        controller.update(kl, 64)
    assert kl == pytest.approx(6.0, rel=1e-3), "a plant whose KL is 3 / beta"


def test_a_fixed_beta_stays() -> None:
    controller = FixedKL(0.05)
    assert controller.update(1000.0, 64) == 0.05
    assert controller.beta == 0.05


@pytest.mark.parametrize("make", [FixedKL, AdaptiveKL])
def test_state_survives_a_checkpoint(make: type[FixedKL] | type[AdaptiveKL]) -> None:
    before, after = make(0.3), make(0.9)
    before.update(9.0, 500)
    state = json.loads(json.dumps(before.state_dict()))
    after.load_state_dict(state)
    assert after.beta == before.beta
    assert after.update(1.0, 500) == before.update(1.0, 500)


@pytest.mark.parametrize("controller", [FixedKL(0.3), AdaptiveKL(0.3)])
@pytest.mark.parametrize("state", [{}, {"beta": math.nan}, {"beta": -1.0}, {"beta": 1.0, "x": 2.0}])
def test_a_state_that_is_not_ours_is_refused(
    controller: KLController, state: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match="expected beta alone, finite and not negative"):
        controller.load_state_dict(state)
    assert controller.beta == 0.3


@pytest.mark.parametrize("controller", [FixedKL(0.3), AdaptiveKL(0.3)])
@pytest.mark.parametrize("kl", [math.nan, math.inf])
def test_a_kl_that_is_not_finite_is_refused(controller: KLController, kl: float) -> None:
    with pytest.raises(ValueError, match="training has diverged"):
        controller.update(kl, 64)
    assert controller.beta == 0.3


def test_an_update_that_could_turn_beta_negative_is_refused() -> None:
    controller = AdaptiveKL(0.3, horizon=100.0)
    assert controller.update(0.0, 499) > 0
    with pytest.raises(ValueError, match="set it above 100"):
        controller.update(0.0, 500)


@pytest.mark.parametrize("field", ["beta", "target", "horizon", "error_limit"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_settings_that_cannot_work_are_refused(field: str, value: float) -> None:
    settings = {"beta": 0.1} | {field: value}
    with pytest.raises(ValueError, match=f"{field} is .*, expected a finite number above 0"):
        AdaptiveKL(**settings)
    if field == "beta" and value:
        with pytest.raises(ValueError, match="finite and not negative"):
            FixedKL(value)


def test_no_penalty_at_all_is_a_fixed_beta_of_0() -> None:
    assert FixedKL(0.0).update(5.0, 1) == 0.0


def test_defaults_are_those_of_the_paper_s_code() -> None:
    assert AdaptiveKL(0.1) == AdaptiveKL(0.1, target=6.0, horizon=10_000.0, error_limit=0.2)

"""PI control of beta: it finds its target, stays in its bounds, and goes on where it was."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.rl import LagrangianKL


def plant(beta: float, kl: float, pull: float) -> float:
    """A policy whose KL creeps towards what beta allows."""
    return kl + 0.3 * (pull / beta - kl)


@given(st.floats(0.2, 5.0), st.floats(1.0, 20.0), st.floats(0.01, 3.0))
def test_the_kl_comes_to_its_target(pull: float, target: float, first: float) -> None:
    controller = LagrangianKL(first, target, horizon=1_000.0)
    kl = 0.0
    for _ in range(600):
        kl = plant(controller.update(kl, 64), kl, pull)
    assert kl == pytest.approx(target, rel=0.02)


@given(st.lists(st.floats(-5.0, 1e4), min_size=1, max_size=60))
def test_beta_stays_finite_and_in_its_bounds(kls: list[float]) -> None:
    controller = LagrangianKL(0.1, 6.0, lowest=0.01, highest=1.0)
    for kl in kls:
        assert 0.01 * (1 - 1e-9) <= controller.update(kl, 512) <= 1.0 * (1 + 1e-9)


@pytest.mark.parametrize(("first", "kl", "bound"), [(0.9, 1e3, 1.0), (0.011, 0.0, 0.01)])
def test_the_proportional_part_leaves_the_bounds_no_more_than_the_integral(
    first: float, kl: float, bound: float
) -> None:
    controller = LagrangianKL(first, 6.0, horizon=100.0, gain=3.0, lowest=0.01, highest=1.0)
    assert controller.update(kl, 50) == pytest.approx(bound)


def test_a_wound_up_controller_would_not_come_back_at_once() -> None:
    controller = LagrangianKL(0.1, 6.0, horizon=100.0, gain=0.0, highest=1.0)
    for _ in range(50):
        controller.update(60.0, 100)
    assert controller.beta == pytest.approx(1.0)
    assert controller.update(0.0, 100) == pytest.approx(math.exp(-1.0))


def test_a_controller_wound_down_comes_back_at_once_too() -> None:
    controller = LagrangianKL(0.1, 6.0, horizon=100.0, gain=0.0, lowest=0.01)
    for _ in range(50):
        controller.update(0.0, 100)
    assert controller.beta == pytest.approx(0.01)
    assert controller.update(60.0, 100) == pytest.approx(0.01 * math.exp(1.0))


@pytest.mark.parametrize(("kl", "error"), [(1e3, 0.5), (-1e3, -0.5)])
def test_the_error_is_bounded_on_either_side(kl: float, error: float) -> None:
    controller = LagrangianKL(0.1, 6.0, horizon=100.0, gain=2.0, error_limit=0.5)
    assert controller.update(kl, 50) == pytest.approx(0.1 * math.exp(0.5 * error + error))


def test_by_hand() -> None:
    controller = LagrangianKL(0.5, 10.0, horizon=200.0, gain=2.0)
    assert controller.update(15.0, 50) == pytest.approx(0.5 * math.exp(0.25 * 0.5 + 2 * 0.5 * 0.25))
    assert controller.update(10.0, 50) == pytest.approx(0.5 * math.exp(0.25 * 0.5))


def test_a_batch_beyond_the_horizon_moves_the_proportional_part_no_farther() -> None:
    controller = LagrangianKL(0.5, 10.0, horizon=200.0, gain=2.0)
    assert controller.update(15.0, 600) == pytest.approx(0.5 * math.exp(3 * 0.5 + 2 * 0.5))


@given(st.lists(st.floats(0.0, 40.0), min_size=2, max_size=20))
def test_a_restored_controller_goes_on_alike(kls: list[float]) -> None:
    one = LagrangianKL(0.1, 6.0)
    for kl in kls[:-1]:
        one.update(kl, 64)
    two = LagrangianKL(0.3, 6.0)
    two.load_state_dict(one.state_dict())
    assert one.update(kls[-1], 64) == two.update(kls[-1], 64)
    assert one.state_dict() == two.state_dict()


@pytest.mark.parametrize("state", [{"beta": 1.0}, {"beta": 0.0, "slow": 0.0}, {"slow": 1.0}])
def test_a_strange_state_is_refused(state: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="controller state"):
        LagrangianKL(0.1).load_state_dict(state)


@pytest.mark.parametrize(
    "wrong", [{"beta": 0.0}, {"gain": -1.0}, {"target": math.nan}, {"beta": 2.0, "highest": 1.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        LagrangianKL(**{"beta": 0.1, **wrong})

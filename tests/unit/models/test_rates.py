"""The rule that gives a learning rate from a model's size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.models.rates import HIGHEST_RATE, LOWEST_RATE, auto_adapter_rate, auto_learning_rate

sizes = st.integers(1, 10**13)


@pytest.mark.parametrize(
    ("parameters", "rate"),
    [(10**6, 1e-3), (16 * 10**6, 1.25e-4), (10**10, 1e-6), (10**5, 1e-3), (10**13, 1e-7)],
)
def test_rates_lie_on_the_documented_line_and_within_its_bounds(
    parameters: int, rate: float
) -> None:
    assert auto_learning_rate(parameters) == pytest.approx(rate)


def test_seven_billion_weights_move_at_about_a_millionth() -> None:
    assert 0.9e-6 < auto_learning_rate(7 * 10**9) < 1.6e-6


@given(sizes, sizes)
def test_a_larger_model_never_moves_faster(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert LOWEST_RATE <= auto_learning_rate(large) <= auto_learning_rate(small) <= HIGHEST_RATE


@given(sizes, st.floats(0.01, 100))
def test_the_scale_multiplies_inside_the_bounds(parameters: int, scale: float) -> None:
    plain = 1e-3 * (1e6 / parameters) ** 0.75
    expected = min(max(plain * scale, 1e-7), 1e-3)
    assert auto_learning_rate(parameters, scale) == pytest.approx(expected)


@pytest.mark.parametrize(("parameters", "scale"), [(0, 1.0), (-5, 1.0), (10, 0.0), (10, -1.0)])
def test_nonsense_is_refused_with_what_was_seen(parameters: int, scale: float) -> None:
    with pytest.raises(ValueError, match=f"{parameters} parameters and scale {scale}"):
        auto_learning_rate(parameters, scale)


def test_adapters_move_ten_times_faster_where_that_is_bearable() -> None:
    assert auto_adapter_rate(10**9) == pytest.approx(10 * auto_learning_rate(10**9))
    assert auto_adapter_rate(10**6) == pytest.approx(2e-3)
    assert auto_adapter_rate(10**6, 0.5) == pytest.approx(1e-3)
    with pytest.raises(ValueError, match="expected at least one"):
        auto_adapter_rate(0)

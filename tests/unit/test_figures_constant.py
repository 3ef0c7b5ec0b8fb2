"""A judge that always says the same correlates with nothing, however its figures are rounded."""

import numpy as np
import pytest

from rlaif.figures import correlation, correlation_interval

NOTHING = (None, -1.0, 1.0)


@pytest.mark.parametrize("count", range(4, 40))
@pytest.mark.parametrize("other", ["constant", "spread"])
def test_a_constant_column_has_no_correlation(count: int, other: str) -> None:
    rest = np.full(count, 0.55) if other == "constant" else np.linspace(0.0, 1.0, count)
    pairs = np.stack([np.full(count, 0.55), rest], axis=1)
    assert correlation_interval(pairs, range(count), 0.95) == NOTHING
    assert correlation(pairs[:, 0], pairs[:, 1]) is None


def test_a_spread_that_is_rounding_is_none() -> None:
    """Weighted means of the same probabilities, summed in different orders."""
    nearly = np.array([0.1 * 3, 0.3, 0.1 + 0.2, 0.3, 0.6 - 0.3, 0.3])
    assert len(set(nearly.tolist())) > 1
    pairs = np.stack([nearly, nearly], axis=1)
    assert correlation_interval(pairs, range(6), 0.95) == NOTHING


def test_a_small_spread_is_one() -> None:
    small = np.array([1e-6, 2e-6, 3e-6, 4e-6])
    assert correlation(small, small) == pytest.approx(1.0)

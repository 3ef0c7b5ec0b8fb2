"""Items are cut into units: of one size, or none smaller than it where labels hang on the unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.cycle.judging_units import cuts

COUNTS = st.integers(0, 400)
SIZES = st.integers(1, 60)


def lengths(count: int, size: int, *, whole: bool) -> list[int]:
    return [len(range(count)[cut]) for cut in cuts(count, size, whole=whole)]


@pytest.mark.parametrize(
    ("count", "whole", "expected"),
    [
        (97, False, [96, 1]),
        (97, True, [97]),
        (191, True, [191]),
        (193, True, [96, 97]),
        (96, True, [96]),
        (3, True, [3]),
        (0, True, []),
        (0, False, []),
    ],
)
def test_by_hand(count: int, whole: bool, expected: list[int]) -> None:
    assert lengths(count, 96, whole=whole) == expected


@given(COUNTS, SIZES, st.booleans())
def test_every_item_is_in_one_unit_in_its_order(count: int, size: int, whole: bool) -> None:
    found = [item for cut in cuts(count, size, whole=whole) for item in range(count)[cut]]
    assert found == list(range(count))


@given(COUNTS, SIZES)
def test_none_is_small_where_labels_hang_on_it(count: int, size: int) -> None:
    found = lengths(count, size, whole=True)
    assert all(size <= length < 2 * size for length in found) or found in ([], [count])
    assert max(found, default=0) - min(found, default=0) <= 1

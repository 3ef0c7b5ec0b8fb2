"""Identifiers: stable, of their kind, and long enough for a project of millions of rows."""

import math

from hypothesis import given
from hypothesis import strategies as st

from rlaif.records import make_id

NAMES = st.lists(st.integers(0, 99) | st.text("ab猫\"'", max_size=4), max_size=4)


def test_an_id_is_known_for_ever() -> None:
    assert make_id("completion", "p", 1) == "completion-4eb2f796c57704a94f60"


def test_ten_million_ids_hardly_ever_collide() -> None:
    bits = 4 * len(make_id("x").removeprefix("x-"))
    rows = 1e7
    assert -math.expm1(-rows * (rows - 1) / 2 ** (bits + 1)) < 1e-9


@given(NAMES, NAMES)
def test_ids_are_the_same_for_the_same_names_alone(
    some: list[str | int], others: list[str | int]
) -> None:
    same = list(map(repr, some)) == list(map(repr, others))
    assert (make_id("x", *some) == make_id("x", *others)) == same
    assert make_id("x", *some) != make_id("y", *some)

"""The window of calls in flight: additive increase, multiplicative decrease."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.judges.remote.limiter import Limiter, Outcome

Event = tuple[Literal["begin", "ok", "overload", "other"], int]


def fill(limiter: Limiter) -> int:
    begun = 0
    while limiter.has_room:
        limiter.begin()
        begun += 1
    return begun


def test_it_begins_wide_open() -> None:
    assert fill(Limiter(7)) == 7


def test_a_sign_of_overload_halves_the_window() -> None:
    limiter = Limiter(64)
    fill(limiter)
    limiter.end("overload", 0.0, 1.0)
    assert limiter.limit == 32.0
    assert not limiter.has_room


def test_a_burst_halves_it_once_and_a_later_sign_again() -> None:
    limiter = Limiter(64)
    fill(limiter)
    for _ in range(40):
        limiter.end("overload", 0.5, 1.0)
    assert limiter.limit == 32.0
    limiter.end("overload", 1.5, 2.0)
    assert limiter.limit == 16.0


def test_it_never_falls_below_one_call() -> None:
    limiter = Limiter(5)
    for time in range(20):
        limiter.begin()
        limiter.end("overload", time + 0.5, time + 1.0)
    assert limiter.limit == 1.0
    assert limiter.has_room


def test_a_full_windows_worth_of_replies_widens_it_by_about_one() -> None:
    limiter = Limiter(100)
    fill(limiter)
    for _ in range(90):
        limiter.end("overload", 0.5, 1.0)
    limiter.limit = 10.0
    limiter.end("ok", 2.0, 3.0)
    limiter.begin()
    assert limiter.limit == pytest.approx(10.1)
    for _ in range(9):
        limiter.end("ok", 2.0, 3.0)
        limiter.begin()
    assert 10.95 < limiter.limit <= 11.0


def test_replies_in_a_window_that_is_not_full_teach_nothing() -> None:
    limiter = Limiter(64)
    limiter.limit = 8.0
    for _ in range(100):
        limiter.begin()
        limiter.end("ok", 0.0, 1.0)
    assert limiter.limit == 8.0


@pytest.mark.parametrize("most", [1, 2, 64])
def test_it_never_opens_wider_than_it_may(most: int) -> None:
    limiter = Limiter(most)
    for _ in range(1000):
        fill(limiter)
        limiter.end("ok", 0.0, 1.0)
    assert limiter.limit == most


OUTCOMES: list[Outcome] = ["ok", "overload", "other"]


@given(
    st.integers(1, 80),
    st.lists(st.tuples(st.sampled_from(["begin", *OUTCOMES]), st.integers(0, 100)), max_size=300),
)
def test_whatever_happens_it_keeps_its_bounds(most: int, events: list[Event]) -> None:
    limiter = Limiter(most)
    begun: list[float] = []
    for now, (what, which) in enumerate(events):
        before = limiter.limit
        if what == "begin":
            if limiter.has_room:
                limiter.begin()
                begun.append(float(now))
        elif begun:
            limiter.end(what, begun.pop(which % len(begun)), float(now))
        assert 1.0 <= limiter.limit <= most
        assert limiter.in_flight == len(begun) <= most
        assert limiter.limit >= min(before, max(1.0, before / 2))
        assert limiter.limit <= before + 1.0
        assert limiter.has_room or limiter.in_flight >= 1


@settings(deadline=None)  # it plays 400 rounds
@given(st.integers(2, 64), st.floats(1.5, 60.0))
def test_it_settles_about_what_a_server_can_take(most: int, capacity: float) -> None:
    """Rounds of a full window against a server that refuses when more than it can take come."""
    limiter = Limiter(most)
    widths: list[int] = []
    for round_ in range(400):
        count = fill(limiter)
        widths.append(count)
        for place in range(count):
            outcome: Outcome = "overload" if place >= capacity else "ok"
            limiter.end(outcome, round_ + 0.5, round_ + 1.0)
    level = min(capacity, most)
    settled = widths[200:]
    assert max(settled) <= level + 2
    assert sum(settled) / len(settled) >= 0.45 * int(level)

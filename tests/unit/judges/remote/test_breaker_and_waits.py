"""When an endpoint is left alone, and for how long a call waits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.judges.remote.breaker import Breaker
from rlaif.judges.remote.waits import Backoff, retry_after
from rlaif.seeds import numpy_generator

NOW = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)


def opened(failures: int = 3, seconds: float = 5.0) -> Breaker:
    breaker = Breaker(failures, seconds)
    for _ in range(failures):
        breaker.fail(100.0, probe=breaker.begin())
    return breaker


def test_it_opens_after_failures_on_end_only() -> None:
    breaker = Breaker(3, 5.0)
    for _ in range(10):
        breaker.fail(0.0, probe=False)
        breaker.fail(0.0, probe=False)
        assert breaker.state(0.0) == "closed"
        breaker.succeed()
    assert opened().state(104.9) == "open"
    assert not opened().admits(104.9)
    assert opened().admits_from(101.0) == 105.0


def test_one_probe_at_a_time_after_the_cool_down() -> None:
    breaker = opened()
    assert breaker.admits(105.0)
    assert breaker.begin()
    assert breaker.state(105.0) == "half-open"
    assert not breaker.admits(106.0)
    breaker.succeed()
    assert breaker.state(106.0) == "closed"
    assert not breaker.begin()


def test_probes_that_fail_double_the_cool_down_up_to_a_bound() -> None:
    breaker = opened(seconds=1.0)
    now = 100.0
    waits = []
    for _ in range(9):
        start, now = now, breaker.admits_from(now)
        waits.append(now - start)
        breaker.fail(now, probe=breaker.begin())
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0]
    breaker.succeed()
    for _ in range(3):
        breaker.fail(now, probe=False)
    assert breaker.admits_from(now) == now + 1.0


def test_failures_from_before_it_opened_change_nothing() -> None:
    breaker = opened()
    for _ in range(60):
        breaker.fail(104.0, probe=False)
    assert breaker.admits(105.0)


def test_a_probe_that_says_nothing_lets_another_go() -> None:
    breaker = opened()
    breaker.abandon(probe=breaker.begin())
    assert breaker.admits(105.0)


@given(st.integers(1, 80), st.integers(0, 2**32))
def test_jitter_is_full_and_bounded(failures: int, seed: int) -> None:
    wait = Backoff(0.5, 30.0, numpy_generator(seed)).seconds(failures)
    assert 0.0 <= wait <= min(30.0, 0.5 * 2 ** min(failures - 1, 60))


def test_jitter_is_seeded_and_spread_out() -> None:
    one, two = (Backoff(1.0, 64.0, numpy_generator(7)) for _ in range(2))
    waits = [one.seconds(4) for _ in range(2000)]
    assert waits == [two.seconds(4) for _ in range(2000)]
    assert sum(waits) / len(waits) == pytest.approx(4.0, rel=0.05)
    assert min(waits) < 0.1
    assert max(waits) > 7.9


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 0.25 "}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sun, 29 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 29 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sunday, 29-Nov-26 12:01:00 GMT"}, 60.0),
        ({"retry-after": "Sun Nov 29 12:00:05 2026"}, 5.0),
        ({"retry-after": "Sun, 99 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": f"Sun, 29 Nov 2026 12:00:30 +{'9' * 17}"}, None),
        ({"retry-after": f"Sun, 29 Nov {'9' * 20} 12:00:30 GMT"}, None),
        (
            {
                "retry-after": "Sun, 29 Nov 2026 12:00:30 GMT",
                "date": f"Sun, 29 Nov 2026 12:00:00 +{'9' * 17}",
            },
            30.0,
        ),
        (
            {
                "retry-after": "Thu, 01 Jan 2026 00:00:10 GMT",
                "date": "Thu, 01 Jan 2026 00:00:00 GMT",
            },
            10.0,
        ),
        ({"retry-after": "Sun, 29 Nov 2026 12:00:30 GMT", "date": "broken"}, 30.0),
    ],
)
def test_what_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_header_breaks_it(one: str, two: str, three: str) -> None:
    found = retry_after({"retry-after": one, "retry-after-ms": two, "date": three}, NOW)
    assert found is None or 0.0 <= found < timedelta(days=4e6).total_seconds() or found >= 0.0

"""A server that is busy is left alone as long as it asks, and nobody waits for it without end."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from remote_samples import BUSY, GOOD, failures, judge_at, only, request, requests, spoken

from rlaif.errors import ModelError
from rlaif.judges.replies import MemoryReplies
from rlaif.records import StoredReply
from tests.servers.hostile import refusing
from tests.servers.loopback import Loopback, in_turn, replying

pytestmark = pytest.mark.enable_socket


@pytest.mark.parametrize(
    "header",
    [
        lambda: {"Retry_After": "0.3"},
        lambda: {"retry_after_ms": "300"},
        lambda: {
            "Date": format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True),
            "Retry_After": format_datetime(
                datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=1), usegmt=True
            ),
        },
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_be_left_alone_is(status: int, header: Any) -> None:
    with Loopback(in_turn(refusing(status, BUSY, **header()), GOOD)) as server:
        reply = only(judge_at(server).judge([request()]))
    assert reply.failure is None
    first, second = server.asked
    assert second.at - first.at >= 0.299


def test_nobody_asks_a_server_that_asks_to_be_left_alone() -> None:
    bad = refusing(429, BUSY, Retry_After="0.4")
    with Loopback(in_turn(bad, GOOD)) as server:
        judge = judge_at(server, max_in_flight=1)
        replies = judge.judge(requests(5))
    assert failures(replies) == [None] * 5
    gaps = [later.at - server.asked[0].at for later in server.asked[1:]]
    assert min(gaps) >= 0.399
    assert len(server.asked) == 6


def test_a_wait_that_is_longer_than_a_call_may_last_is_not_begun() -> None:
    start = time.monotonic()
    with Loopback(refusing(429, BUSY, Retry_After="3600")) as server:
        judge = judge_at(server, max_in_flight=1)
        replies = judge.judge(requests(20))
    assert time.monotonic() - start < 2.0
    assert len(server.asked) == 1
    assert all("no endpoint takes calls" in str(reply.failure) for reply in replies)
    assert "slow down" in str(replies[-1].failure)


def test_a_storm_of_429_narrows_the_window_and_everyone_is_served() -> None:
    with Loopback(replying(spoken, 0.02)) as server:
        crowded = server.behaviour

        async def at_most_four(asked: Any, writer: Any) -> None:
            busy = server._at_once > 4
            await (refusing(429, BUSY) if busy else crowded)(asked, writer)

        server.behaviour = at_most_four
        judge = judge_at(server, max_in_flight=32, attempts=1, backoff_seconds=0.02)
        replies = judge.judge(requests(60))
    assert failures(replies) == [None] * 60
    assert judge.counts.retries > 0
    assert judge.counts.calls == 60 + judge.counts.retries == len(server.asked)
    assert judge._endpoints[0].limiter.limit < 32


@pytest.mark.parametrize("status", [429, 503])
def test_a_storm_without_end_ends_with_the_calls_time(status: int) -> None:
    start = time.monotonic()
    with Loopback(refusing(status, BUSY)) as server:
        judge = judge_at(
            server, total_seconds=0.5, attempts=1, max_backoff_seconds=0.1, breaker_failures=1000
        )
        replies = judge.judge(requests(3))
    assert 0.4 < time.monotonic() - start < 3.0
    for failure in failures(replies):
        assert "no reply within 0.5 s" in str(failure)
        assert f"answered {status}: slow down" in str(failure)
    assert judge.counts.calls == len(server.asked) > 6


def test_a_server_that_refuses_even_one_call_at_a_time_is_left_alone() -> None:
    start = time.monotonic()
    with Loopback(refusing(429, BUSY)) as server:
        judge = judge_at(
            server, breaker_failures=3, breaker_seconds=60.0, max_in_flight=4, total_seconds=9.0
        )
        replies = judge.judge(requests(50))
    assert time.monotonic() - start < 5.0
    assert all("no endpoint takes calls" in str(failure) for failure in failures(replies))
    assert len(server.asked) < 20


PATIENT: dict[str, Any] = {
    "max_in_flight": 2,
    "total_seconds": 100.0,
    "backoff_seconds": 90.0,
    "max_backoff_seconds": 90.0,
}


def test_the_end_of_a_run_does_not_wait_for_those_who_wait() -> None:
    start = time.monotonic()
    ending = in_turn(refusing(500, "oops"), refusing(401, {"message": "bad key"}))
    with Loopback(ending) as server:
        judge = judge_at(server, **PATIENT)
        with pytest.raises(ModelError, match="bad key"):
            judge.judge(requests(10))
    assert time.monotonic() - start < 10.0
    assert len(server.asked) == 2


def test_an_interrupt_does_not_wait_for_those_who_wait() -> None:
    class Interrupted(MemoryReplies):
        def put(self, replies: Any) -> list[StoredReply]:
            super().put(replies)
            raise KeyboardInterrupt

    start = time.monotonic()
    busy = refusing(429, BUSY, Retry_After="50")
    with Loopback(in_turn(busy, replying(spoken, 0.2))) as server:
        judge = judge_at(server, store=Interrupted(), **PATIENT)
        with pytest.raises(KeyboardInterrupt):
            judge.judge(requests(10))
    assert time.monotonic() - start < 10.0
    assert len(server.asked) == 2

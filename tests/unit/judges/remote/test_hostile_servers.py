"""Whatever a server does, each request gets a verdict that it earned, or a reason."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from remote_samples import SPOKEN, failures, judge_at, request, requests, spoken

from rlaif.errors import ModelError
from rlaif.judges import JudgeReply
from rlaif.judges.replies import MemoryReplies
from rlaif.records import StoredReply
from tests.servers.hostile import (
    Flood,
    cutting,
    dripping,
    half,
    hanging,
    hanging_up,
    refusing,
    saying,
)
from tests.servers.loopback import Behaviour, Loopback, completion, in_turn, replying

pytestmark = pytest.mark.enable_socket

GOOD = replying(spoken)
BUSY = {"message": "slow down", "code": "rate_limit_exceeded"}


def only(replies: list[JudgeReply]) -> JudgeReply:
    (reply,) = replies
    return reply


@pytest.mark.parametrize(
    "bad",
    [
        refusing(500, "oops"),
        refusing(502),
        refusing(429, BUSY),
        refusing(503, BUSY),
        refusing(408, "late"),
        hanging_up,
        cutting,
        saying(b"<html>a proxy's page</html>"),
        saying(b"\xff\xfe\x00"),
        saying(b""),
        saying(b"[1, 2]"),
        saying(b'{"choices": []}'),
        saying(b'{"choices": [7]}'),
        saying(b'{"choices": [{"message": {"content": 7}}]}'),
        half(),
    ],
)
def test_what_may_pass_is_tried_again(bad: Behaviour) -> None:
    with Loopback(in_turn(bad, bad, GOOD)) as server:
        judge = judge_at(server)
        reply = only(judge.judge([request()]))
    assert reply.failure is None
    assert reply.critique == "It is polite."
    assert reply.call is not None
    assert reply.call.reply == SPOKEN
    assert len(server.asked) == 3
    assert (judge.counts.calls, judge.counts.retries, judge.counts.replies) == (3, 2, 1)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (refusing(500, "oops"), "answered 500: oops"),
        (hanging_up, "no reply from"),
        (cutting, "no reply from"),
        (saying(b"garbage"), "not JSON"),
        (half(), "not JSON"),
        (saying(b"\xff"), "not UTF-8"),
        (saying(b'{"choices": []}'), "no choices"),
        (saying(b'{"choices": [{}]}'), "a choice's message is None"),
        (saying(b'{"choices": [{"message": {"content": [1]}}]}'), "not words"),
    ],
)
def test_what_does_not_pass_is_a_reason_after_all_attempts(bad: Behaviour, reason: str) -> None:
    store = MemoryReplies()
    with Loopback(bad) as server:
        judge = judge_at(server, store=store, attempts=3)
        reply = only(judge.judge([request()]))
    assert reply.call is None
    assert reply.failure is not None
    assert reason in reply.failure
    assert "attempt 3" in reply.failure
    assert len(server.asked) == 3
    assert judge.counts.failures == 1
    assert len(store) == 0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (completion(None), "no words (finish_reason: 'stop')"),
        (completion(""), "no words"),
        (completion(" \n"), "no words"),
        (completion(None, finish="content_filter"), "content_filter"),
        (completion(SPOKEN, model="another"), "'another', not of 'm'"),
    ],
)
def test_what_would_not_change_is_not_tried_again_and_not_kept(answer: Any, reason: str) -> None:
    store = MemoryReplies()
    with Loopback(replying(lambda _: answer)) as server:
        reply = only(judge_at(server, store=store).judge([request()]))
    assert reply.call is None
    assert reason in str(reply.failure)
    assert len(server.asked) == 1
    assert len(store) == 0


def test_a_refusal_is_told() -> None:
    answer = completion(None)
    answer["choices"][0]["message"]["refusal"] = "I will not judge this."
    with Loopback(replying(lambda _: answer)) as server:
        reply = only(judge_at(server).judge([request()]))
    assert "refusal: 'I will not judge this.'" in str(reply.failure)


def test_a_reply_that_was_cut_off_before_its_verdict_is_kept_and_is_a_reason() -> None:
    store = MemoryReplies()
    with Loopback(replying(lambda _: completion("It is pol", finish="length"))) as server:
        first = only(judge_at(server, store=store).judge([request()]))
        again = only(judge_at(server, store=store).judge([request()]))
    assert "cut off before its verdict" in str(first.failure)
    assert first.call is not None
    assert first.call.reply == "It is pol"
    assert again == first
    assert len(server.asked) == 1


def test_another_model_is_taken_where_the_settings_say_so() -> None:
    with Loopback(replying(lambda _: completion(SPOKEN, model="another"))) as server:
        store = MemoryReplies()
        reply = only(judge_at(server, store=store, check_model=False).judge([request()]))
    assert reply.failure is None
    assert store.all()[0].model == "another"


@pytest.mark.parametrize("after", [2, 3, 4])
def test_a_bad_reply_costs_the_others_nothing(after: int) -> None:
    bad = replying(lambda _: completion(None))
    with Loopback(in_turn(*[GOOD] * after, bad, GOOD)) as server:
        replies = judge_at(server, max_in_flight=1).judge(requests(6))
    assert [reply.failure is None for reply in replies] == [i != after for i in range(6)]
    assert len(server.asked) == 6


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
        judge = judge_at(server, total_seconds=0.5, attempts=1, max_backoff_seconds=0.1)
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


@pytest.mark.parametrize("bad", [hanging, dripping])
def test_time_is_bounded(bad: Behaviour) -> None:
    start = time.monotonic()
    with Loopback(bad) as server:
        judge = judge_at(server, total_seconds=0.4, read_seconds=0.3, attempts=9)
        replies = judge.judge(requests(3))
        took = time.monotonic() - start
    assert took < 2.0
    assert all("within 0.4 s" in str(f) for f in failures(replies))
    assert 3 <= len(server.asked) <= judge.counts.calls  # one that was cut may not have been read
    assert (judge.counts.calls == 3) == (bad is dripping)


def test_a_server_that_hangs_once_is_tried_again() -> None:
    with Loopback(in_turn(hanging, GOOD)) as server:
        reply = only(judge_at(server, read_seconds=0.2).judge([request()]))
    assert reply.failure is None
    assert len(server.asked) == 2


@pytest.mark.parametrize("announced", [True, False])
def test_a_reply_that_is_too_large_is_not_read(announced: bool) -> None:
    flood = Flood(10_000_000, announced=announced)
    with Loopback(flood) as server:
        reply = only(judge_at(server, max_reply_bytes=20_000).judge([request()]))
    assert "over 20,000" in str(reply.failure) or "more than 20,000" in str(reply.failure)
    assert len(server.asked) == 1
    assert flood.sent < 9_000_000


def test_a_large_reply_within_the_limit_is_read() -> None:
    words = "很" * 300_000
    with Loopback(replying(lambda _: completion(f"{words}\nVerdict: B"))) as server:
        reply = only(judge_at(server).judge([request()]))
    assert reply.critique == words


def test_a_packed_reply_is_refused() -> None:
    async def packed(_asked: Any, writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx")
        await writer.drain()

    with Loopback(packed) as server:
        reply = only(judge_at(server).judge([request()]))
    assert "packed" in str(reply.failure)


def test_log_probs_that_are_missing_or_broken_leave_the_words() -> None:
    odd: list[Any] = [None, [], [7], [{"token": "x"}], [{"token": SPOKEN, "logprob": "high"}]]

    def answer(asked: Any) -> Any:
        found = completion(SPOKEN)
        found["choices"][0]["logprobs"] = {"content": odd[asked.number]}
        return found

    with Loopback(replying(answer)) as server:
        replies = judge_at(server, max_in_flight=1).judge(requests(len(odd)))
    assert failures(replies) == [None] * len(odd)
    assert all(reply.call is not None and reply.call.label_probs == {} for reply in replies)


FATAL = [
    (401, {"message": "bad key"}, "check the key"),
    (403, {"message": "not yours"}, "check the key"),
    (402, {"message": "no money"}, "pay the provider"),
    (429, {"message": "quota", "code": "insufficient_quota"}, "pay the provider"),
    (404, {"message": "no such route"}, "judge.server.model"),
    (404, {"message": "the model m does not exist", "code": "model_not_found"}, "server.model"),
    (400, {"message": "Server is pinned to 'x'; requested 'm'."}, "judge.server.model"),
]


@pytest.mark.parametrize(("status", "error", "advice"), FATAL)
def test_what_no_call_can_survive_ends_the_run(status: int, error: Any, advice: str) -> None:
    with Loopback(in_turn(GOOD, refusing(status, error))) as server:
        judge = judge_at(server, max_in_flight=2)
        with pytest.raises(ModelError) as raised:
            judge.judge(requests(500))
    assert str(status) in str(raised.value)
    assert error["message"] in str(raised.value)
    assert advice in str(raised.value)
    assert len(server.asked) <= 3


@pytest.mark.parametrize(("status", "error", "advice"), FATAL)
def test_a_server_that_no_call_can_survive_is_left_out_and_the_others_go_on(
    status: int, error: Any, advice: str
) -> None:
    told: list[str] = []
    with Loopback(refusing(status, error)) as bad, Loopback(GOOD) as good:
        judge = judge_at(bad, good, max_in_flight=3, attempts=1, tell=told.append)
        assert failures(judge.judge(requests(30))) == [None] * 30
        asked = len(bad.asked)
        assert 1 <= asked <= 3
        assert failures(judge.judge(requests(40))) == [None] * 40
        assert len(bad.asked) == asked
        (said,) = told
        assert f"{bad.address} is left out from now on, the judge goes on at {good.address}" in said
        assert f"answered {status}: {error['message']}" in said
        assert advice in said


def test_a_run_ends_once_every_server_was_left_out_with_the_reasons_of_all() -> None:
    told: list[str] = []
    keyless, gone = refusing(401, {"message": "bad key"}), refusing(404, "no such route")
    with Loopback(in_turn(GOOD, keyless)) as one, Loopback(gone) as two:
        judge = judge_at(one, two, max_in_flight=1, tell=told.append)
        with pytest.raises(ModelError) as raised:
            judge.judge(requests(50))
        assert len(told) == 1
        for words in ("401: bad key", "404: no such route", "check the key", "judge.server.model"):
            assert words in str(raised.value)
        asked = len(one.asked) + len(two.asked)
        assert asked <= 4
        with pytest.raises(ModelError, match="bad key"):
            judge.judge(requests(50))
        assert len(one.asked) + len(two.asked) == asked


def test_a_server_left_out_is_no_other_one_to_ask() -> None:
    """A wrong model's reply is paid for: it is asked for again only at servers that are left."""
    wrong = replying(lambda _: completion(SPOKEN, model="another"))
    with Loopback(refusing(403, "no")) as bad, Loopback(wrong) as other:
        judge = judge_at(bad, other, max_in_flight=1, attempts=9)
        replies = judge.judge(requests(3))
        assert len(bad.asked) == 1
        assert len(other.asked) == 3
    assert all("'another', not of 'm'" in str(failure) for failure in failures(replies))


def test_a_broken_server_is_tried_again_where_the_other_one_is_left_out() -> None:
    broken = in_turn(refusing(500, "oops"), refusing(500, "oops"), GOOD)
    with Loopback(refusing(401, "no")) as bad, Loopback(broken) as other:
        replies = judge_at(bad, other, max_in_flight=1, attempts=3).judge(requests(1))
        assert (len(bad.asked), len(other.asked)) == (1, 3)
    assert failures(replies) == [None]


def test_a_request_that_is_refused_is_not_sent_again() -> None:
    long = {"message": "maximum context length is 512 tokens", "param": "messages"}
    with Loopback(in_turn(refusing(400, long), GOOD)) as server:
        first, second = judge_at(server, max_in_flight=1).judge(requests(2))
    assert "maximum context length" in str(first.failure)
    assert second.failure is None
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("http://me:secret@127.0.0.1:1/v1?key=secret", "it redirects to 127.0.0.1, which gets"),
        ("/v2", "it redirects to another address, which gets"),
    ],
)
def test_a_redirect_is_not_followed_and_its_host_is_named(where: str, said: str) -> None:
    with (
        Loopback(refusing(307, "elsewhere", Location=where)) as server,
        pytest.raises(ModelError, match="answered 307") as raised,
    ):
        judge_at(server, max_in_flight=1).judge(requests(2))
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    assert len(server.asked) == 1


def test_nobody_there() -> None:
    with Loopback(GOOD) as server:
        pass
    judge = judge_at(server, attempts=3)
    reply = only(judge.judge([request()]))
    assert "no reply from" in str(reply.failure)
    assert (judge.counts.calls, judge.counts.retries) == (3, 2)


def test_calls_go_on_at_other_endpoints() -> None:
    with Loopback(refusing(500, "oops")) as bad, Loopback(GOOD) as good:
        judge = judge_at(bad, good, breaker_failures=3, breaker_seconds=60.0, max_in_flight=4)
        replies = judge.judge(requests(40))
    assert failures(replies) == [None] * 40
    assert 3 <= len(bad.asked) <= 8
    assert len(good.asked) == 40


def test_a_wrong_model_or_a_flood_is_asked_elsewhere() -> None:
    wrong = replying(lambda _: completion(SPOKEN, model="another"))
    with (
        Loopback(wrong) as one,
        Loopback(Flood(10**7, announced=True)) as two,
        Loopback(GOOD) as three,
    ):
        judge = judge_at(one, two, three, max_in_flight=1, max_reply_bytes=10**6)
        replies = judge.judge(requests(4))
    assert failures(replies) == [None] * 4
    assert len(three.asked) == 4


def test_a_broken_endpoint_is_left_alone_and_then_probed() -> None:
    with Loopback(in_turn(*[refusing(500, "oops")] * 3, GOOD)) as server:
        judge = judge_at(
            server, breaker_failures=3, breaker_seconds=0.4, max_in_flight=4, attempts=9
        )
        replies = judge.judge(requests(1))
    assert failures(replies) == [None]
    assert len(server.asked) == 4
    assert server.asked[3].at - server.asked[2].at >= 0.399


def test_a_dead_server_costs_no_time_per_request_once_it_is_known() -> None:
    start = time.monotonic()
    with Loopback(refusing(500, "oops")) as server:
        judge = judge_at(server, breaker_failures=2, breaker_seconds=30.0, max_in_flight=2)
        replies = judge.judge(requests(200))
    assert time.monotonic() - start < 3.0
    assert len(server.asked) <= 4
    assert all("no endpoint takes calls" in str(reply.failure) for reply in replies[4:])
    assert "oops" in str(replies[-1].failure)


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

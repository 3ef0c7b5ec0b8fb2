"""Whatever a server does, each request gets a verdict that it earned, or a reason."""

import time
from typing import Any

import pytest
from remote_samples import BUSY, GOOD, SPOKEN, failures, judge_at, only, request, requests

from rlaif.judges.replies import MemoryReplies
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
    assert reply.call is None or reply.call.reply.strip() == ""
    assert not reply.unreadable
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


def test_a_request_that_is_refused_is_not_sent_again() -> None:
    long = {"message": "maximum context length is 512 tokens", "param": "messages"}
    with Loopback(in_turn(refusing(400, long), GOOD)) as server:
        first, second = judge_at(server, max_in_flight=1).judge(requests(2))
    assert "maximum context length" in str(first.failure)
    assert second.failure is None
    assert len(server.asked) == 2


def test_nobody_there() -> None:
    with Loopback(GOOD) as server:
        pass
    judge = judge_at(server, attempts=3)
    reply = only(judge.judge([request()]))
    assert "no reply from" in str(reply.failure)
    assert (judge.counts.calls, judge.counts.retries) == (3, 2)


@pytest.mark.parametrize("charset", ["hex", "zlib", "rot13", "idna", "undefined", "utf-7", "x"])
@pytest.mark.parametrize("status", [400, 503])
def test_a_refusal_in_no_kind_of_text_is_read_as_what_it_is(status: int, charset: str) -> None:
    async def odd(_asked: Any, writer: Any) -> None:
        body = '{"error": {"message": "naïve"}}'.encode()
        kind = f"Content-Type: application/json; charset={charset}\r\nContent-Length: {len(body)}"
        writer.write(f"HTTP/1.1 {status} Said\r\n{kind}\r\n\r\n".encode() + body)
        await writer.drain()

    with Loopback(odd) as server:
        reply = only(judge_at(server, total_seconds=0.3).judge([request()]))
    assert f"answered {status}: naïve" in str(reply.failure)

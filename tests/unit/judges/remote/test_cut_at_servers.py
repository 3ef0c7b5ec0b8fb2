"""A server's ``finish_reason`` tells which replies were cut off before their verdict."""

from typing import Any

import pytest
from remote_samples import SPOKEN, judge_at, request

from rlaif.judges import WriteRequest
from rlaif.judges.protocol import verdict_of
from rlaif.records import Unscored
from tests.servers.loopback import Loopback, completion, replying

pytestmark = pytest.mark.enable_socket

HALF = "It is pol"


def ended(said: str, finish: str) -> dict[str, Any]:
    return completion(said, finish=finish)


def cut_of(body: dict[str, Any], **changes: Any) -> int:
    with Loopback(replying(lambda _: body)) as server:
        (reply,) = judge_at(server, **changes).judge([request()])
    assert reply.call is not None
    return reply.call.cut


@pytest.mark.parametrize(
    ("said", "finish", "cut"),
    [(HALF, "length", 1), (HALF, "stop", 0), (SPOKEN, "stop", 0), (SPOKEN, "length", 0)],
)
def test_a_reply_without_its_verdict_at_the_limit_is_cut(said: str, finish: str, cut: int) -> None:
    assert cut_of(completion(said, finish=finish)) == cut


def test_an_object_that_was_cut_off_is_cut() -> None:
    body = completion('{"critique": "It is pol', finish="length")
    assert cut_of(body, reply_format="json_schema") == 1


def test_each_sample_counts() -> None:
    finishes = iter([(HALF, "length"), (SPOKEN, "stop"), (HALF, "length")])
    with Loopback(replying(lambda _: ended(*next(finishes)))) as server:
        judge = judge_at(server, samples=3, temperature=0.7, max_in_flight=1)
        (reply,) = judge.judge([request()])
    assert reply.call is not None
    assert (len(reply.call.samples), reply.call.cut) == (3, 2)


def test_a_sample_that_was_cut_off_in_the_middle_of_taking_its_verdict_back_is_not_read() -> None:
    taken_back = f"{SPOKEN}\nOn second thou"
    replies = iter([(taken_back, "length"), (SPOKEN, "stop"), (SPOKEN, "stop")])
    with Loopback(replying(lambda _: ended(*next(replies)))) as server:
        judge = judge_at(server, samples=3, temperature=0.7, max_in_flight=1)
        (reply,) = judge.judge([request()])
    first, *others = reply.sample_failures
    assert first is not None
    assert "cut off after its verdict" in first
    assert others == [None, None]


def test_samples_that_were_mostly_cut_off_give_no_verdict() -> None:
    taken_back = f"{SPOKEN}\nOn second thou"
    with Loopback(replying(lambda _: ended(taken_back, "length"))) as server:
        (reply,) = judge_at(server, samples=2, temperature=0.7).judge([request()])
    verdict = verdict_of(request(), reply, 0.5)
    assert isinstance(verdict, Unscored)
    assert "2 of 2 samples have no verdict; the first: the reply was cut off" in verdict.reason


def test_free_text_is_cut_too() -> None:
    with Loopback(replying(lambda _: completion(HALF, finish="length"))) as server:
        (reply,) = judge_at(server).write([WriteRequest("Mend it.", 8)])
    assert reply.call is not None
    assert reply.call.cut == 1

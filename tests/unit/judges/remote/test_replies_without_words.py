"""A reply without words came, and was paid for: it is unscored, no sign of a server that is gone.

A model that thinks may come to its limit of tokens before its first word.
"""

from typing import Any

import pytest
from remote_samples import failures, judge_at, only, request, requests

from rlaif.judges import verdict_of
from rlaif.judges.protocol import WriteRequest
from rlaif.judges.replies import MemoryReplies
from rlaif.judges.second_asking import asked_twice
from rlaif.records import Choice, Unscored
from tests.servers.loopback import Asked, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket

SPOKEN = "It is polite.\nVerdict: A"


def thinking(_asked: Asked) -> dict[str, Any]:
    return completion(None, finish="length", usage=(10, 512))


def test_replies_without_words_are_unscored_and_end_no_run() -> None:
    store = MemoryReplies()
    with Loopback(replying(thinking)) as server:
        judge = judge_at(server, store=store)
        replies = asked_twice(judge, 0.5).judge(requests(8))
        assert len(server.asked) == 8, "they are not asked for a second time"
    for asked, reply in zip(requests(8), replies, strict=True):
        assert reply.call is not None
        assert (reply.call.reply, reply.call.cut) == ("", 1)
        assert (reply.call.prompt_tokens, reply.call.reply_tokens) == (10, 512)
        verdict = verdict_of(asked, reply, 0.5)
        assert isinstance(verdict, Unscored)
        assert "no words (finish_reason: 'length'; raise judge.server.max_tokens)" in verdict.reason
    assert judge.counts.failures == 8
    assert (len(store), len(store.refused)) == (0, 8), "they are paid for, and no results"


def test_a_reply_without_words_is_no_result_that_a_later_run_finds() -> None:
    store = MemoryReplies()
    with Loopback(replying(thinking)) as server:
        judge_at(server, store=store).judge([request()])
    with Loopback(replying(lambda _: completion(SPOKEN))) as server:
        reply = only(judge_at(server, store=store).judge([request()]))
    assert verdict_of(request(), reply, 0.5) == Choice(p_first=1.0)


@pytest.mark.parametrize("finish", ["stop", "content_filter"])
def test_only_a_limit_is_to_be_raised(finish: str) -> None:
    with Loopback(replying(lambda _: completion(None, finish=finish))) as server:
        reply = only(judge_at(server).judge([request()]))
    assert f"no words (finish_reason: '{finish}')" in str(reply.failure)


def test_text_that_was_asked_for_with_a_limit_of_its_own_says_that_limit() -> None:
    with Loopback(replying(thinking)) as server:
        judge = asked_twice(judge_at(server), 0.5)
        replies = judge.write([WriteRequest(f"mend {i}", 32) for i in range(5)])  # type: ignore[attr-defined]
    for reply in replies:
        assert reply.text == ""
        assert reply.call is not None
        assert "no words (finish_reason: 'length', at 32 tokens)" in str(reply.failure)


def test_samples_without_words_are_samples_without_a_verdict() -> None:
    many = {"samples": 3, "temperature": 0.5}
    with Loopback(
        replying(lambda a: thinking(a) if a.number == 0 else completion(SPOKEN))
    ) as server:
        judge = asked_twice(judge_at(server, max_in_flight=1, **many), 0.5)
        reply = only(judge.judge([request()]))
        assert len(server.asked) == 3
    assert verdict_of(request(), reply, 0.5) == Choice(p_first=1.0)


@pytest.mark.parametrize("by", ["requests", "n"])
def test_samples_that_are_all_without_words_are_not_asked_for_again(by: str) -> None:
    def mute(asked: Asked) -> dict[str, Any]:
        return completion(*[None] * int(asked.body.get("n", 1)), finish="length")

    with Loopback(replying(mute)) as server:
        inner = judge_at(server, samples=3, temperature=0.5, samples_by=by)
        said = failures(asked_twice(inner, 0.5).judge([request()]))
        assert len(server.asked) == (3 if by == "requests" else 1)
    assert "no words" in str(said[0])


def test_a_second_asking_without_words_keeps_the_first_reply() -> None:
    first = completion("I cannot decide.")
    with Loopback(replying(lambda a: thinking(a) if a.number else first)) as server:
        reply = only(asked_twice(judge_at(server), 0.5).judge([request()]))
    assert reply.call is not None
    assert reply.call.reply == "I cannot decide."
    assert str(reply.failure).startswith("asked twice: no verdict line in the reply")
    assert "; then: " in str(reply.failure)
    assert "no words" in str(reply.failure)

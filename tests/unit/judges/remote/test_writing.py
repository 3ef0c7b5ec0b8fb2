"""Free text from a server: revisions, marked errors, free critiques."""

from typing import Any

import pytest
from remote_samples import judge_at

from rlaif.judges.backend import Writer
from rlaif.judges.protocol import WriteRequest, write_hash
from rlaif.judges.replies import MemoryReplies
from tests.servers.loopback import Asked, Loopback, completion, in_turn, replying

pytestmark = pytest.mark.enable_socket


def poem(asked: Asked) -> dict[str, Any]:
    return completion(
        f"  \u66f4\u597d\u7684\u56de\u7b54\uff1a {asked.text}\nVerdict: A\n", usage=(7, 9)
    )


def test_a_server_writes_to_each_request_in_order() -> None:
    requests = [WriteRequest(f"mend {i}", 30) for i in range(9)]
    with Loopback(replying(poem, 0.01)) as server:
        judge = judge_at(server, max_in_flight=4)
        assert isinstance(judge, Writer)
        replies = judge.write(requests)
    assert [r.text for r in replies] == [
        f"\u66f4\u597d\u7684\u56de\u7b54\uff1a mend {i}\nVerdict: A" for i in range(9)
    ]
    assert {r.failure for r in replies} == {None}
    for request, reply in zip(requests, replies, strict=True):
        assert reply.call is not None
        assert reply.call.request_hash == write_hash(judge.digest, request)
        assert (reply.call.prompt_tokens, reply.call.reply_tokens) == (7, 9)


def test_what_is_sent_is_a_plain_question_with_the_requests_own_limit() -> None:
    with Loopback(replying(poem)) as server:
        judge = judge_at(
            server, samples=3, temperature=0.7, reply_format="json_schema", max_tokens=500
        )
        judge.write([WriteRequest("mend", 30)])
        (body,) = [asked.body for asked in server.asked]
    assert body["max_tokens"] == 30
    assert not {"logprobs", "response_format", "n"} & set(body)


def test_text_that_was_cut_off_is_never_passed_off_as_whole() -> None:
    cut = completion("Half a sent", finish="length")
    with Loopback(replying(lambda _: cut)) as server:
        (reply,) = judge_at(server).write([WriteRequest("mend", 30)])
    assert (reply.text, reply.failure) == ("Half a sent", "the reply was cut off at 30 tokens")


def test_text_is_kept_and_another_limit_is_another_question() -> None:
    store = MemoryReplies()
    with Loopback(replying(poem)) as server:
        for limit in (30, 30, 60):
            (reply,) = judge_at(server, store=store).write([WriteRequest("mend", limit)])
            assert reply.failure is None
        assert len(server.asked) == 2


def test_a_request_that_fails_costs_the_others_nothing() -> None:
    broken = replying(lambda _: {"choices": []})
    with Loopback(in_turn(broken, replying(poem))) as server:
        judge = judge_at(server, attempts=1, max_in_flight=1)
        lost, kept = judge.write([WriteRequest("a", 30), WriteRequest("b", 30)])
    assert (lost.text, lost.call) == ("", None)
    assert lost.failure
    assert kept.failure is None

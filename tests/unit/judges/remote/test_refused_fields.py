"""What a server refuses in a request is left out of those that follow."""

import json
from typing import Any

import pytest
from remote_samples import (
    failures,
    judge_at,
    only,
    refuses,
    request,
    requests,
    spoken,
    with_log_probs,
)

from rlaif.judges import verdict_of
from rlaif.judges.replies import MemoryReplies
from rlaif.records import Choice
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Loopback, replying

pytestmark = pytest.mark.enable_socket


@pytest.mark.parametrize(
    ("name", "error", "changes"),
    [
        ("logprobs", {}, {}),
        ("logprobs", {"status": 422, "message": "no", "param": "logprobs"}, {}),
        ("seed", {}, {"temperature": 0.5}),
        ("response_format", {"status": 422}, {"reply_format": "json_schema"}),
        ("n", {}, {"temperature": 0.5, "samples": 2, "samples_by": "n"}),
        ("max_tokens", {"message": "'max_tokens' no; use 'max_completion_tokens' instead."}, {}),
    ],
)
def test_a_field_that_is_refused_is_left_out_from_then_on(
    name: str, error: dict[str, Any], changes: dict[str, Any]
) -> None:
    with Loopback(refuses(name, **error)) as server:
        judge = judge_at(server, max_in_flight=1, **changes)
        replies = judge.judge(requests(3)) + judge.judge(requests(5))
    assert failures(replies) == [None] * 8
    assert [name in asked.body for asked in server.asked].count(True) == 1
    assert name in server.asked[0].body
    assert judge.counts.retries == 0


def test_what_one_endpoint_refuses_another_is_still_asked() -> None:
    with Loopback(refuses("logprobs")) as bare, Loopback(replying(with_log_probs)) as rich:
        judge = judge_at(bare, rich, max_in_flight=1)
        replies = judge.judge(requests(9))
    assert [len(reply.call.label_probs) for reply in replies if reply.call].count(2) == len(
        rich.asked
    )
    assert all(asked.body["top_logprobs"] == 20 for asked in rich.asked)
    assert ["logprobs" in asked.body for asked in bare.asked].count(True) == 1


def test_fewer_alternatives_are_asked_for_before_none() -> None:
    good = replying(with_log_probs)

    async def at_most_five(asked: Asked, writer: Any) -> None:
        bad = refusing(400, {"message": "top_logprobs must be at most 5"})
        await (bad if asked.body.get("top_logprobs", 0) > 5 else good)(asked, writer)

    with Loopback(at_most_five) as server:
        replies = judge_at(server, max_in_flight=4).judge(requests(8))
    assert all(reply.call and reply.call.label_probs for reply in replies)
    assert {asked.body.get("top_logprobs") for asked in server.asked} == {20, 5}


def test_fastapi_names_fields_by_their_place_and_quotes_the_request() -> None:
    detail = [
        {
            "loc": ["body", "logprobs"],
            "msg": "Extra inputs are not permitted",
            "input": {"seed": 1, "response_format": "text", "n": 2},
        }
    ]

    async def behaviour(asked: Asked, writer: Any) -> None:
        bad = refusing(422, json.dumps({"detail": detail}))
        await (bad if "logprobs" in asked.body else replying(spoken))(asked, writer)

    with Loopback(behaviour) as server:
        reply = only(judge_at(server, temperature=0.5).judge([request()]))
    assert reply.failure is None
    assert "seed" in server.asked[1].body


def test_a_refusal_that_names_no_field_is_a_reason() -> None:
    with Loopback(refusing(422, "what?")) as server:
        reply = only(judge_at(server).judge([request()]))
    assert "answered 422: what?" in str(reply.failure)
    assert len(server.asked) == 1


def test_a_server_that_refuses_objects_is_read_in_words_and_found_again() -> None:
    store = MemoryReplies()
    with Loopback(refuses("response_format")) as server:
        for _ in range(2):
            judge = judge_at(server, store=store, reply_format="json_schema")
            reply = only(judge.judge([request()]))
            assert verdict_of(request(), reply, 0.5) == Choice(p_first=1.0)
    assert len(server.asked) == 2

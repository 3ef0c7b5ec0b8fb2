"""An error that comes with the status of success is an error: no reply, not paid, waited for."""

import json
from typing import Any

import pytest
from remote_samples import judge_at, request, spoken

from rlaif.errors import ModelError
from rlaif.judges.remote.failures import AttemptError, RefusedFieldError, disguised
from rlaif.judges.replies import MemoryReplies
from tests.servers.hostile import saying
from tests.servers.loopback import Loopback, in_turn, replying

pytestmark = pytest.mark.enable_socket

BODY: dict[str, Any] = {"model": "tiny", "messages": [], "logprobs": True, "response_format": {}}


def found_in(error: Any) -> Exception | None:
    text = error if isinstance(error, str) else json.dumps({"error": error})
    return disguised(text, {}, "http://x/v1", BODY)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "message": "slow down"}, "overload"),
        ({"code": "429", "message": "slow down"}, "overload"),
        ({"code": None, "type": "rate_limit_error", "message": "slow down"}, "overload"),
        ({"code": "rate_limit_exceeded", "message": "slow down"}, "overload"),
        ({"type": "overloaded_error", "message": "busy"}, "overload"),
        ({"code": 502, "message": "upstream died"}, "trouble"),
        ({"message": "upstream died"}, "trouble"),
        ({"code": 200, "message": "odd"}, "trouble"),
        ({"code": "9" * 5000, "message": "odd"}, "trouble"),
        ("upstream died", "trouble"),
        ({"message": "a broken \ud800 sign"}, "trouble"),
        ({"code": 400, "message": "too long"}, "final"),
    ],
)
def test_it_is_the_failure_that_its_status_would_be(error: Any, kind: str) -> None:
    text = json.dumps({"error": error})
    found = disguised(text, {}, "http://x/v1", BODY)
    assert isinstance(found, AttemptError)
    assert (found.kind, found.sent) == (kind, False)


def test_an_empty_list_of_choices_is_none() -> None:
    text = json.dumps({"error": {"code": 429, "message": "slow down"}, "choices": []})
    found = disguised(text, {}, "http://x/v1", BODY)
    assert isinstance(found, AttemptError)
    assert found.kind == "overload"


@pytest.mark.parametrize(
    "error",
    [
        {"code": 401, "message": "who are you"},
        {"type": "authentication_error", "message": "who are you"},
        {"code": "insufficient_quota", "message": "pay"},
        {"code": "model_not_found", "message": "which"},
    ],
)
def test_what_every_call_would_meet_is_said_as_such(error: Any) -> None:
    assert isinstance(found_in(error), ModelError)


def test_a_field_that_is_refused_is_left_out() -> None:
    found = found_in({"code": 400, "message": "response_format is unknown"})
    assert isinstance(found, RefusedFieldError)
    assert found.name == "response_format"


@pytest.mark.parametrize(
    "text",
    [
        '{"choices": [{}], "error": {"code": 429}}',
        '{"error": null, "object": "x"}',
        '{"error": {}}',
        "[]",
        "not JSON",
        "",
        "[" * 100_000,
    ],
)
def test_other_replies_are_left_to_be_read(text: str) -> None:
    assert found_in(text) is None


def test_a_gateway_that_is_overloaded_is_waited_for_and_costs_nothing() -> None:
    slow = saying(json.dumps({"error": {"code": 429, "message": "slow down"}}).encode())
    store = MemoryReplies()
    with Loopback(in_turn(slow, slow, replying(spoken))) as server:
        judge = judge_at(server, store=store, attempts=1)
        (reply,) = judge.judge([request()])
    assert reply.failure is None
    assert (judge.counts.calls, judge.counts.retries) == (3, 2)
    assert (len(store), store.refused) == (1, []), "what brought nothing is not paid"


def test_an_error_that_stays_is_the_reason_and_no_result() -> None:
    store = MemoryReplies()
    dead = saying(json.dumps({"error": {"code": 502, "message": "upstream died"}}).encode())
    with Loopback(dead) as server:
        (reply,) = judge_at(server, store=store, attempts=2).judge([request()])
    assert "answered 200 with an error 502: upstream died" in str(reply.failure)
    assert (len(store), store.refused) == (0, [])

"""A completion is read with distrust, and refusals are understood."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.errors import ModelError
from rlaif.judges.remote.completion import MalformedReplyError, names_model, read_completion
from rlaif.judges.remote.failures import AttemptError, RefusedFieldError, refusal
from tests.servers.loopback import completion

BODY = {"model": "m", "messages": [], "logprobs": True, "top_logprobs": 20, "max_tokens": 5}


def test_a_completion_is_read() -> None:
    found = read_completion(json.dumps(completion("a", "b", usage=(3, 4))))
    assert [said.content for said in found.said] == ["a", "b"]
    assert (found.model, found.prompt_tokens, found.reply_tokens) == ("m", 3, 4)
    assert found.said[0].finish == "stop"
    assert found.said[0].tokens is None


def test_choices_are_in_the_order_of_their_index() -> None:
    body = completion("a", "b", "c")
    body["choices"].reverse()
    assert [said.content for said in read_completion(json.dumps(body)).said] == ["a", "b", "c"]


def test_what_a_server_leaves_out_is_none() -> None:
    found = read_completion('{"choices": [{"message": {"content": "x"}}]}')
    assert (found.model, found.prompt_tokens, found.reply_tokens) == ("", None, None)
    assert found.said[0].finish == ""


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": -1, "completion_tokens": True}])
def test_counts_that_are_none_are_not_believed(usage: Any) -> None:
    found = read_completion(json.dumps({**completion("x"), "usage": usage}))
    assert (found.prompt_tokens, found.reply_tokens) == (None, None)


@pytest.mark.parametrize(
    "count",
    ["-1", "true", "5.0", str(2**31 + 1), str(2**62), str(2**63), str(10**30), "1e400", "NaN"],
)
def test_counts_that_no_reply_can_have_are_not_believed(count: str) -> None:
    raw = json.dumps({**completion("x"), "usage": "HERE"}).replace(
        '"HERE"', f'{{"prompt_tokens": {count}, "completion_tokens": {count}}}'
    )
    found = read_completion(raw)
    assert (found.prompt_tokens, found.reply_tokens) == (None, None)


def test_one_count_that_is_not_believed_leaves_the_other() -> None:
    found = read_completion(json.dumps(completion("x", usage=(10**30, 2**31))))
    assert (found.prompt_tokens, found.reply_tokens) == (None, 2**31)


def test_depth_without_end_is_no_completion() -> None:
    with pytest.raises(MalformedReplyError, match="not JSON"):
        read_completion("[" * 200_000)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("m", True),
        ("", True),
        ("m@main", True),
        ("m:latest", True),
        ("m-2024-08-06", True),
        ("m-0613", True),
        ("m-mini", False),
        ("m-2024-mini", False),
        ("mm", False),
        ("M", False),
        ("other", False),
        ("x/m", False),
        ("m-", False),
    ],
)
def test_whether_a_reply_is_of_the_model(said: str, right: bool) -> None:
    assert names_model(said, "m") is right


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "usage", "model", "index", "logprobs", "error"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JSON | st.text(max_size=30))
def test_no_body_breaks_it(body: Any) -> None:
    raw = body if isinstance(body, str) else json.dumps(body)
    try:
        found = read_completion(raw)
    except MalformedReplyError:
        return
    assert found.said
    assert all(said.content is None or isinstance(said.content, str) for said in found.said)


@given(st.integers(300, 599), JSON | st.text(max_size=30))
def test_no_refusal_breaks_it(status: int, body: Any) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    found = refusal(status, text, {}, "http://x/v1", BODY)
    assert isinstance(found, AttemptError | RefusedFieldError | ModelError)
    assert isinstance(found, ModelError) or status not in {401, 402, 404}


def refused(body: Any, status: int = 400, **more: Any) -> Exception:
    text = body if isinstance(body, str) else json.dumps(body)
    return refusal(status, text, {}, "http://x/v1", {**BODY, **more})


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"error": {"message": "no", "param": "logprobs"}}, "logprobs"),
        ({"error": "logprobs is not supported"}, "logprobs"),
        ({"detail": "Unexpected fields in the request: {'seed'}"}, "seed"),
        ({"detail": [{"loc": ["body", "n"], "msg": "no"}]}, "n"),
        ({"error": {"message": "`n` must be 1"}}, "n"),
        ({"message": "response_format is unknown"}, "response_format"),
        ("top_logprobs at most 5", "top_logprobs"),
        ({"error": {"message": "'max_tokens': use 'max_completion_tokens'"}}, "max_tokens"),
    ],
)
def test_a_field_that_is_refused_is_recognised(body: Any, name: str) -> None:
    found = refused(body, n=2, seed=1, response_format={})
    assert isinstance(found, RefusedFieldError)
    assert found.name == name


FAULT = "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', %s), 'msg': 'no'}\n File"


@pytest.mark.parametrize("field", ["'response_format', 'type'", "'seed'"])
def test_a_check_that_fails_as_a_broken_server_is_a_refusal(field: str) -> None:
    found = refused({"error": {"message": FAULT % field}}, 500, seed=1, response_format={})
    assert isinstance(found, RefusedFieldError)
    assert f"'{found.name}'" in field


@pytest.mark.parametrize(
    "message",
    [
        "response_format broke it",
        FAULT % "'messages', 0",
        FAULT % "'messages', 0" + FAULT % "'seed'",
        "told: " + FAULT % "'seed'",
        FAULT % "'stop'",
    ],
)
def test_a_broken_server_that_names_no_place_of_ours_is_tried_again(message: str) -> None:
    found = refused({"error": {"message": message}}, 500, seed=1, response_format={})
    assert isinstance(found, AttemptError)
    assert found.kind == "trouble"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "max_tokens is too large", "param": "max_tokens"}},
        {"error": {"message": "the context is 512 tokens, not n tokens"}},
        {"error": {"message": "seeds grow on trees"}},
        {"detail": [{"loc": ["body"], "msg": "bad", "input": {"logprobs": True, "seed": 1}}]},
        {"error": {"message": "x" * 400 + " logprobs"}},
        "",
        "null",
    ],
)
def test_what_names_no_field_is_final(body: Any) -> None:
    found = refused(body, n=2, seed=1)
    assert isinstance(found, AttemptError)
    assert (found.kind, found.alive) == ("final", True)


def test_a_field_that_was_not_sent_cannot_be_left_out() -> None:
    assert isinstance(refused({"error": {"message": "seed?", "param": "seed"}}), AttemptError)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "alive", "pause"),
    [
        (429, {}, "overload", None, None),
        (429, {"retry-after": "7"}, "overload", None, 7.0),
        (503, {}, "overload", False, None),
        (503, {"retry-after": "7"}, "overload", None, 7.0),
        (500, {}, "trouble", False, None),
        (529, {"retry-after": "2"}, "trouble", False, 2.0),
        (408, {}, "trouble", False, None),
        (413, {}, "final", True, None),
        (304, {}, "final", True, None),
    ],
)
def test_what_follows_from_a_status(
    status: int, headers: dict[str, str], kind: str, alive: bool | None, pause: float | None
) -> None:
    found = refusal(status, "so", headers, "http://x/v1", BODY)
    assert isinstance(found, AttemptError)
    assert (found.kind, found.alive, found.pause) == (kind, alive, pause)
    assert found.reason == f"http://x/v1 answered {status}: so"
    assert not found.sent


def test_a_long_refusal_is_cut() -> None:
    found = refusal(500, "x" * 10_000, {}, "http://x/v1", BODY)
    assert len(str(found)) < 400

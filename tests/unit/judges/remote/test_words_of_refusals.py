"""Which words of a refusal say that a field is not taken, and which only hold its name."""

import json
from typing import Any

import pytest
from remote_samples import judge_at, refuses, requests, spoken, with_log_probs

from rlaif.judges.remote.failures import AttemptError, RefusedFieldError, refusal
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Loopback, replying

pytestmark = pytest.mark.enable_socket

SETTINGS: dict[str, Any] = {
    "model": "m",
    "temperature": 0.5,
    "max_tokens": 512,
    "logprobs": True,
    "top_logprobs": 20,
    "n": 2,
    "seed": 1,
    "response_format": {"type": "json_schema"},
}
VIOLATION = "content policy violation"


def found_in(message: Any, status: int = 400, asked: str = "Which is better?") -> Exception:
    body = {**SETTINGS, "messages": [{"role": "user", "content": asked}]}
    text = json.dumps({"error": {"message": message}})
    return refusal(status, text, {}, "http://x/v1", body)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Unsupported parameter: 'logprobs'", "logprobs"),
        ("`logprobs` is not supported with this model", "logprobs"),
        ("property 'logprobs' is unsupported", "logprobs"),
        ("Logprobs are not supported", "logprobs"),
        ("This model does not support logprobs.", "logprobs"),
        ("This model doesn't support the `logprobs` parameter", "logprobs"),
        ("You are not allowed to request logprobs from this model.", "logprobs"),
        ("Unrecognized request argument supplied: logprobs", "logprobs"),
        ('Unknown name "logprobs": Cannot find field.', "logprobs"),
        ("logprobs\n  Extra inputs are not permitted [type=extra_forbidden]", "logprobs"),
        ("[{'type': 'extra_forbidden', 'loc': ('body', 'logprobs'), 'msg': 'Extra'}]", "logprobs"),
        ("x does not support parameters: ['seed', 'logprobs'], for model=m", "logprobs"),
        ("x does not support parameters: {'logprobs': True}, for model=m", "logprobs"),
        ("Unexpected fields in the request: {'seed'}", "seed"),
        ("Requested sample logprobs of 20, which is greater than max allowed: 5", "top_logprobs"),
        ("'top_logprobs' : number must be less than or equal to 5", "top_logprobs"),
        ("'n' : number must be at most 1", "n"),
        ("This response_format type is unavailable now", "response_format"),
        ("'response_format.type' must be 'text'", "response_format"),
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
        ),
    ],
)
def test_servers_say_in_many_ways_that_they_do_not_take_a_field(message: str, name: str) -> None:
    found = found_in(message)
    assert isinstance(found, RefusedFieldError)
    assert found.name == name


def test_what_a_model_forbids_is_left_out_too() -> None:
    found = found_in("You are not allowed to request logprobs from this model.", 403)
    assert isinstance(found, RefusedFieldError)


@pytest.mark.parametrize(
    "message",
    [
        f"{VIOLATION}; request was: {json.dumps(SETTINGS)}",
        f"{VIOLATION}; request was: {SETTINGS}",
        f"This content is not allowed: {json.dumps(SETTINGS)}",
        f"Invalid request: {SETTINGS}",
        "not permitted: logprobs=true, n=2, seed=1",
        "logprobs=true, seed=1: this content is not permitted",
        "Unsupported parameter: 'temperature', request was {'logprobs': True, 'seed': 1}",
        "max_tokens=512 or max_completion_tokens=512: content is not allowed",
        "'max_tokens' or 'max_completion_tokens' is too large: 512",
        "the answer speaks of logprobs",
    ],
)
def test_a_refusal_that_quotes_the_request_leaves_its_fields_alone(message: str) -> None:
    found = found_in(message)
    assert isinstance(found, AttemptError)
    assert found.kind == "final"


@pytest.mark.parametrize("shown", [str, json.dumps])
def test_words_of_the_question_that_a_refusal_quotes_are_not_the_servers(shown: Any) -> None:
    words = 'I say: "logprobs" is not supported. Use max_completion_tokens!'
    found = found_in(f"flagged: {shown(words)}", asked=f"An answer: {words} The end.")
    assert isinstance(found, AttemptError)
    assert isinstance(found_in(words), RefusedFieldError)


def test_one_question_that_is_refused_leaves_the_others_their_log_probs() -> None:
    told: list[str] = []
    good = replying(with_log_probs)

    async def moderating(asked: Asked, writer: Any) -> None:
        sent = {name: value for name, value in asked.body.items() if name != "messages"}
        bad = refusing(400, {"message": f"{VIOLATION}; request was: {json.dumps(sent)}"})
        await (bad if asked.text == requests(2)[1].text else good)(asked, writer)

    with Loopback(moderating) as server:
        replies = judge_at(server, max_in_flight=1, tell=told.append).judge(requests(6))
    assert [reply.call is not None for reply in replies] == [True, False, *[True] * 4]
    assert all(reply.call.label_probs for reply in replies if reply.call)
    assert told == []


def test_a_server_that_refuses_log_probs_is_told_once_with_what_follows() -> None:
    told: list[str] = []
    with Loopback(refuses("logprobs")) as server:
        judge = judge_at(server, tell=told.append)
        judge.judge(requests(6))
        judge.judge(requests(12))
    (said,) = told
    assert said.startswith(f"{server.address} refuses log-probs")
    assert "verdicts are read from words" in said


def test_fewer_alternatives_are_nothing_to_tell() -> None:
    told: list[str] = []

    async def at_most_five(asked: Asked, writer: Any) -> None:
        bad = refusing(400, {"message": "top_logprobs must be at most 5"})
        good = replying(with_log_probs)
        await (bad if asked.body["top_logprobs"] > 5 else good)(asked, writer)

    with Loopback(at_most_five) as server:
        judge_at(server, tell=told.append).judge(requests(3))
    assert told == []


@pytest.mark.parametrize(("bare", "is_told"), [(6, True), (4, True), (3, False)])
def test_a_server_that_leaves_most_log_probs_out_is_told_once(bare: int, *, is_told: bool) -> None:
    told: list[str] = []
    lacking = {one.text for one in requests(bare)}

    def saying(asked: Asked) -> dict[str, Any]:
        return spoken(asked) if asked.text in lacking else with_log_probs(asked)

    with Loopback(replying(saying)) as server:
        judge = judge_at(server, tell=told.append)
        judge.judge(requests(6))
        judge.judge(requests(6))
    assert judge.counts.without_log_probs == 2 * bare
    assert len(told) == is_told
    for said in told:
        assert said.startswith("most replies of the judge m came without log-probs")
        assert "read from words" in said

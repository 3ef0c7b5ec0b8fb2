"""Verdicts as JSON objects, in another form of words, and without a critique."""

import dataclasses
import json
from typing import Any

import pytest
from remote_samples import SPOKEN, judge_at, only, piece, request

from rlaif.judges import rating_labels, verdict_of
from rlaif.judges.verdict_forms import VerdictForm
from rlaif.records import Choice
from tests.servers.loopback import Loopback, completion, in_turn, replying

pytestmark = pytest.mark.enable_socket


def as_object(critique: str, verdict: str) -> dict[str, Any]:
    content = json.dumps({"critique": critique, "verdict": verdict}, ensure_ascii=False)
    return completion(content)


def test_objects_are_asked_for_and_read() -> None:
    with Loopback(replying(lambda _: as_object("不错。\nVerdict: A", "2"))) as server:
        judge = judge_at(server, reply_format="json_schema")
        reply = only(judge.judge([request(labels=rating_labels(3))]))
    schema = server.asked[0].body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["verdict"]["enum"] == ["1", "2", "3"]
    assert reply.critique == "不错。\nVerdict: A"
    assert reply.failure is None
    assert reply.call is not None
    assert json.loads(reply.call.reply) == {"critique": "不错。\nVerdict: A", "verdict": "2"}


def test_an_objects_verdict_has_log_probs_too() -> None:
    content = '{"critique":"Good \\"verdict\\": \\"A\\".","verdict":"B"}'
    pieces = [piece(content[:-3]), piece("B", 0.75, A=0.2), piece('"}')]
    with Loopback(replying(lambda _: completion(content, pieces=pieces))) as server:
        reply = only(judge_at(server, reply_format="json_schema").judge([request()]))
    assert reply.call is not None
    assert reply.call.label_probs == pytest.approx({"A": 0.2, "B": 0.75})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SPOKEN, "not JSON"),
        ('{"critique": "x", "verdict": "C"}', "'C', not one of A, B"),
        ('{"critique": "x", "verdict": "A", "more": 1}', "an object of critique and verdict"),
        ('{"critique": " ", "verdict": "A"}', "expected words"),
        ('{"critique": "x", "verdict": "A", "verdict": "B"}', "a field twice"),
        ('{"critique": "x", "verdict": "A"', "not JSON"),
    ],
)
def test_other_objects_are_reasons(content: str, reason: str) -> None:
    with Loopback(replying(lambda _: completion(content))) as server:
        reply = only(judge_at(server, reply_format="json_schema").judge([request()]))
    assert reason in str(reply.failure)
    assert len(server.asked) == 1


def test_a_judge_that_writes_its_labels_in_another_way_is_read_and_asked_so() -> None:
    form = VerdictForm(phrase="Output ({label}) is better", labels={"a": "A", "b": "B"})
    asked = dataclasses.replace(request(), form=form)
    words = [piece("So Output ("), piece("b", 0.8, a=0.2), piece(") is better.")]
    said = completion("So Output (b) is better.", pieces=words)
    with Loopback(in_turn(replying(lambda _: said), replying(lambda _: as_object("x", "a")))) as it:
        reply = only(judge_at(it).judge([asked]))
        other = only(judge_at(it, reply_format="json_schema").judge([asked]))
    assert reply.call is not None
    assert reply.call.label_probs == pytest.approx({"A": 0.2, "B": 0.8})
    assert reply.critique == "So Output (b) is better."
    assert other.failure is None
    schema = it.asked[1].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["verdict"]["enum"] == ["a", "b"]


def test_a_verdict_without_a_critique_where_none_is_asked_for() -> None:
    asked = dataclasses.replace(request(), critique=False)
    alone = replying(lambda _: completion('{"verdict": "B"}'))
    with Loopback(in_turn(replying(lambda _: completion("Verdict: A")), alone)) as server:
        reply = only(judge_at(server).judge([asked]))
        other = only(judge_at(server, reply_format="json_schema").judge([asked]))
    assert verdict_of(asked, reply, 0.5) == Choice(p_first=1.0)
    assert (other.failure, other.critique) == (None, "")
    schema = server.asked[1].body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["verdict"]

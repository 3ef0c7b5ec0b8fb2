"""The judge against a server in OpenAI's schema that behaves: what is sent and what is read."""

import asyncio
from typing import Any

import pytest
from remote_samples import (
    KEY,
    echo,
    failures,
    judge_at,
    only,
    request,
    requests,
    settings,
    spoken,
    with_log_probs,
)

from rlaif.config.control_tokens import COMMON
from rlaif.config.secrets import Secret
from rlaif.judges import Judge, rating_labels, request_hash, verdict_of
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.replies import MemoryReplies
from rlaif.records import Choice, Rating, Unscored
from tests.servers.loopback import Asked, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket


def test_replies_are_in_the_order_of_their_requests() -> None:
    def answer(asked: Asked) -> dict[str, Any]:
        return echo(asked)

    with Loopback(replying(answer, 0.01)) as server:
        judge: Judge = judge_at(server, max_in_flight=8)
        asked = requests(60)
        replies = judge.judge(asked)
    for one, reply in zip(asked, replies, strict=True):
        assert reply.failure is None
        assert reply.critique == f"You said {one.text}"
        assert reply.call is not None
        assert reply.call.request == one.text
        assert reply.call.request_hash == request_hash(judge.digest, one)
        assert reply.call.judge == judge.digest
    assert server.most_at_once <= 8
    assert judge.name == "m"
    assert judge.special_tokens == COMMON


def test_what_is_sent() -> None:
    with Loopback(replying(spoken)) as server:
        judge_at(server, key=Secret(KEY), max_tokens=99).judge([request("Qui ? 谁\uff1f")])
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Qui ? 谁\uff1f"}],
        "temperature": 0.0,
        "max_tokens": 99,
        "logprobs": True,
        "top_logprobs": 20,
    }


def test_nothing_is_sent_that_the_settings_do_not_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-someone-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-of-someone-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-of-someone-else")
    with Loopback(replying(spoken)) as server:
        judge_at(server).judge([request()])
        judge_at(server, key=Secret(KEY)).judge([request()])
    for asked in server.asked:
        assert not {"openai-organization", "openai-project"} & set(asked.headers)
        assert "sk-of-someone-else" not in str(asked.headers)
    assert "authorization" not in server.asked[0].headers
    assert server.asked[1].headers["authorization"] == f"Bearer {KEY}"


def test_label_probabilities_come_from_log_probs() -> None:
    with Loopback(replying(with_log_probs)) as server:
        judge = judge_at(server)
        reply = only(judge.judge([request()]))
    assert reply.call is not None
    assert reply.call.label_probs == pytest.approx({"A": 0.7, "B": 0.3})
    verdict = verdict_of(request(), reply, 0.5)
    assert isinstance(verdict, Choice)
    assert verdict.p_first == pytest.approx(0.7)
    assert judge.counts.without_log_probs == 0


def test_log_probs_can_be_left_off() -> None:
    with Loopback(replying(spoken)) as server:
        judge = judge_at(server, log_probs=False)
        reply = only(judge.judge([request()]))
    assert "logprobs" not in server.asked[0].body
    assert verdict_of(request(), reply, 0.5) == Choice(p_first=1.0)
    assert judge.counts.without_log_probs == 0


@pytest.mark.parametrize(
    ("content", "labels", "verdict"),
    [
        ("Sauber.\nVerdict: 3", rating_labels(3), Rating(score=1.0)),
        ("两者都好。\nVerdict\uff1a B", ("A", "B"), Choice(p_first=0.0)),
        ("**Verdict:** A", ("A", "B"), Unscored(reason="the judge wrote no critique")),
        (
            "A is good.",
            ("A", "B"),
            Unscored(reason="no verdict line in the reply, expected one 'Verdict: LABEL'"),
        ),
        (
            "x\nVerdict: A\nVerdict: A",
            ("A", "B"),
            Unscored(reason="2 verdict lines in the reply, expected one 'Verdict: LABEL'"),
        ),
    ],
)
def test_verdicts_in_words(content: str, labels: tuple[str, ...], verdict: Any) -> None:
    asked = request(labels=labels)
    with Loopback(replying(lambda _: completion(content))) as server:
        reply = only(judge_at(server).judge([asked]))
    assert verdict_of(asked, reply, 0.5) == verdict


def test_the_same_question_is_asked_once() -> None:
    with Loopback(replying(echo)) as server:
        replies = judge_at(server).judge([request("a"), request("b"), request("a")])
    assert len(server.asked) == 2
    assert replies[0] == replies[2]
    assert replies[0] != replies[1]


def test_units_in_turn_and_from_other_threads() -> None:
    with Loopback(replying(echo)) as server:
        judge = judge_at(server)
        for start in range(5):
            asked = requests(10)[2 * start : 2 * start + 2]
            assert failures(judge.judge(asked)) == [None, None]
        found = asyncio.run(asyncio.to_thread(judge.judge, [request("other")]))
    assert failures(found) == [None]
    assert judge.judge([]) == []


def test_the_sdk_is_imported_late() -> None:
    import subprocess
    import sys

    code = "import sys, rlaif.judges, rlaif.judges.remote; assert 'openai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        __import__("rlaif.judges.remote").judges.remote.Other  # noqa: B018
    assert OpenAIJudge(settings(endpoints=["http://x/v1"]), MemoryReplies()).name == "m"

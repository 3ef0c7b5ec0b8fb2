"""Words that cannot be read are asked for again; words cut off after a verdict are such."""

from typing import Any

import pytest
from remote_samples import judge_at, only, piece, request

from rlaif.judges import JudgeReply, JudgeRequest, verdict_of
from rlaif.judges.protocol import rating_labels
from rlaif.judges.second_asking import asked_twice
from rlaif.judges.verdict_forms import RANKING, VerdictForm
from rlaif.records import Choice, Ranking, Rating, Unscored, Verdict
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Behaviour, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket
FIVE = request(labels=rating_labels(5))
LIST = JudgeRequest("Which?", ("A", "B", "C"), "c", (), form=RANKING, asks="ranking")
PHRASE = VerdictForm(phrase="Output ({label}) is better", labels={"a": "A", "b": "B"})
PHRASED = JudgeRequest("Which?", ("A", "B"), "c", (), form=PHRASE)


def read(asked: JudgeRequest, said: str, finish: str, *pieces: str) -> tuple[JudgeReply, Verdict]:
    tokens = [piece(text, 0.999) for text in pieces] or None
    answer = completion(said, finish=finish, pieces=tokens)
    with Loopback(replying(lambda _: answer)) as server:
        reply = only(judge_at(server).judge([asked]))
    return reply, verdict_of(asked, reply, 0.5)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (request(), "It claims:\nVerdict: B\nwhich is not to be obeyed. The first is corr"),
        (LIST, "It claims:\nRanking: C > A > B\nwhich is an attempt to"),
        (PHRASED, "It claims that Output (b) is better, which is not to be obey"),
    ],
)
def test_words_that_were_cut_off_after_a_verdict_may_have_taken_it_back(
    asked: JudgeRequest, said: str
) -> None:
    reply, verdict = read(asked, said, "length")
    assert isinstance(verdict, Unscored)
    assert verdict.reason == f"the reply was cut off after its verdict: {said[-40:]!r}"
    assert reply.unreadable
    assert not isinstance(read(asked, said, "stop")[1], Unscored)


def test_what_was_cut_off_after_a_label_is_not_read_off_its_probabilities() -> None:
    pieces = ("It claims:\n", "Verdict:", " 5", "\nThat is")
    reply, verdict = read(FIVE, "".join(pieces), "length", *pieces)
    assert isinstance(verdict, Unscored)
    assert reply.call is not None
    assert reply.call.label_probs == {}
    whole = read(FIVE, "".join(pieces[:3]), "length", *pieces[:3])[1]
    assert isinstance(whole, Rating)
    assert whole.score > 0.99


@pytest.mark.parametrize(
    ("asked", "said", "verdict"),
    [
        (request(), "Fine.\n**Verdict: B**\n\n---\n", Choice(p_first=0.0)),
        (LIST, "Fine.\nRanking: B > A > C\n**\n", Ranking(places=(1, 0, 2))),
        (PHRASED, "Fine. Output (a) is better.\n", Choice(p_first=1.0)),
    ],
)
def test_a_reply_whose_last_words_are_its_verdict_is_whole(
    asked: JudgeRequest, said: str, verdict: Verdict
) -> None:
    assert read(asked, said, "length")[1] == verdict


def stating(*said: str, finish: str = "stop") -> Behaviour:
    """Say one thing after the other, the first as ``finish`` tells."""

    def answer(asked: Asked) -> dict[str, Any]:
        number = min(asked.number, len(said) - 1)
        return completion(said[number], finish="stop" if number else finish)

    return replying(answer)


@pytest.mark.parametrize(
    ("form", "finish", "first", "second"),
    [
        (
            *("json_schema", "stop", '{"critique": "fine", "verdict": "first"}'),
            '{"critique": "fine", "verdict": "A"}',
        ),
        (
            *("json_schema", "length", '{"critique": "fi'),
            '{"critique": "fine", "verdict": "A"}',
        ),
        ("text", "stop", "I like the first.", "Fine.\nVerdict: A"),
        ("text", "length", "I like the fi", "Fine.\nVerdict: A"),
    ],
)
def test_words_that_cannot_be_read_are_asked_for_once_more(
    form: str, finish: str, first: str, second: str
) -> None:
    with Loopback(stating(first, second, finish=finish)) as server:
        judge = asked_twice(judge_at(server, reply_format=form), 0.5)
        verdict = verdict_of(request(), only(judge.judge([request()])), 0.5)
        assert len(server.asked) == 2
    assert verdict == Choice(p_first=1.0)


def test_json_that_cannot_be_read_twice_is_unscored_with_both_reasons() -> None:
    said = '{"critique": "fine", "verdict": "first"}'
    with Loopback(stating(said)) as server:
        judge = asked_twice(judge_at(server, reply_format="json_schema"), 0.5)
        reply = only(judge.judge([request()]))
        assert len(server.asked) == 2
    why = "the verdict is 'first', not one of A, B"
    assert reply.failure == f"asked twice: {why}; then: {why}"


def test_what_failed_on_its_way_is_no_unreadable_reply() -> None:
    with Loopback(refusing(400, {"message": "no"})) as server:
        judge = asked_twice(judge_at(server), 0.5)
        reply = only(judge.judge([request()]))
        assert len(server.asked) == 1
    assert (reply.call, reply.unreadable) == (None, False)

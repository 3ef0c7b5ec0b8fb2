"""A 403 is the answer to one question, unless a server has never said anything else."""

import json
from typing import Any

import pytest
from remote_samples import GOOD, failures, judge_at, requests

from rlaif.errors import ModelError
from rlaif.judges.second_asking import asked_twice
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Behaviour, Loopback, completion, in_turn, replying, send

pytestmark = pytest.mark.enable_socket

FLAGGED = {"code": 403, "message": "Your input was flagged by moderation"}


def moderating(count: int, seconds: float = 0.0) -> Behaviour:
    """Refuse the first questions of ``requests`` at once, and answer the others after a while."""
    flagged = {one.text for one in requests(count)}
    good = replying(lambda _: completion("It is polite.\nVerdict: A"), seconds)

    async def behaviour(asked: Asked, writer: Any) -> None:
        await (refusing(403, FLAGGED) if asked.text in flagged else good)(asked, writer)

    return behaviour


def test_a_question_that_is_moderated_costs_the_others_nothing() -> None:
    with Loopback(in_turn(*[GOOD] * 5, refusing(403, FLAGGED), GOOD)) as server:
        judge = asked_twice(judge_at(server, max_in_flight=1), 0.5)
        said = failures(judge.judge(requests(20)))
        assert len(server.asked) == 20
    assert [place for place, failure in enumerate(said) if failure is not None] == [5]
    assert "answered 403: Your input was flagged by moderation" in str(said[5])


def test_a_server_that_answered_once_is_not_taken_out_by_questions_that_are_moderated() -> None:
    with Loopback(in_turn(GOOD, *[refusing(403, FLAGGED)] * 9, GOOD)) as server:
        said = failures(judge_at(server, max_in_flight=1).judge(requests(20)))
    assert [failure is None for failure in said] == [True, *[False] * 9, *[True] * 10]


def test_quick_refusals_are_no_verdict_on_a_server_whose_answers_are_under_way() -> None:
    with Loopback(moderating(6, 0.1)) as server:
        said = failures(judge_at(server, max_in_flight=16).judge(requests(16)))
    assert [failure is None for failure in said] == [False] * 6 + [True] * 10


def test_a_server_that_never_says_anything_but_403_ends_the_run() -> None:
    with Loopback(refusing(403, {"message": "not yours"})) as server:
        with pytest.raises(ModelError, match="403: not yours") as raised:
            judge_at(server, max_in_flight=1).judge(requests(50))
        assert len(server.asked) == 3
    assert "check the key" in str(raised.value)
    assert "moderates" in str(raised.value)


def test_two_questions_that_are_moderated_are_no_verdict_on_a_server() -> None:
    with Loopback(refusing(403, FLAGGED)) as server:
        judge = judge_at(server, max_in_flight=1)
        assert all("flagged" in str(failure) for failure in failures(judge.judge(requests(2))))
        with pytest.raises(ModelError):
            judge.judge(requests(3))


def test_what_one_server_forbids_another_is_asked() -> None:
    told: list[str] = []
    with Loopback(refusing(403, {"message": "not yours"})) as bad, Loopback(GOOD) as good:
        judge = judge_at(bad, good, max_in_flight=1, tell=told.append, log_probs=False)
        assert failures(judge.judge(requests(30))) == [None] * 30
        assert len(bad.asked) == 3
        assert len(good.asked) == 30
    (said,) = told
    assert f"{bad.address} is left out from now on" in said


def test_what_every_server_forbids_is_asked_of_each_once() -> None:
    with Loopback(moderating(1)) as one, Loopback(moderating(1)) as two:
        said = failures(judge_at(one, two, max_in_flight=1).judge(requests(4)))
        asked = [a.text for server in (one, two) for a in server.asked]
    assert [failure is None for failure in said] == [False, True, True, True]
    assert asked.count(requests(1)[0].text) == 2


def test_an_error_403_in_a_reply_is_the_same() -> None:
    body = json.dumps({"error": FLAGGED}).encode()

    async def gateway(_asked: Asked, writer: Any) -> None:
        send(writer, 200, body)
        await writer.drain()

    with Loopback(in_turn(GOOD, gateway, GOOD)) as server:
        said = failures(judge_at(server, max_in_flight=1).judge(requests(3)))
    assert "200 with an error 403" in str(said[1])
    assert (said[0], said[2]) == (None, None)

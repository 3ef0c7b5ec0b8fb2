"""What no call can survive ends the run, unless another server is left to ask."""

import time
from typing import Any

import pytest
from remote_samples import GOOD, SPOKEN, failures, judge_at, requests

from rlaif.errors import ModelError
from tests.servers.hostile import Flood, refusing
from tests.servers.loopback import Loopback, completion, in_turn, replying

pytestmark = pytest.mark.enable_socket

FATAL = [
    (401, {"message": "bad key"}, "check the key"),
    (402, {"message": "no money"}, "pay the provider"),
    (429, {"message": "quota", "code": "insufficient_quota"}, "pay the provider"),
    (404, {"message": "no such route"}, "judge.server.model"),
    (404, {"message": "the model m does not exist", "code": "model_not_found"}, "server.model"),
    (400, {"message": "Server is pinned to 'x'; requested 'm'."}, "judge.server.model"),
]


@pytest.mark.parametrize(("status", "error", "advice"), FATAL)
def test_what_no_call_can_survive_ends_the_run(status: int, error: Any, advice: str) -> None:
    with Loopback(in_turn(GOOD, refusing(status, error))) as server:
        judge = judge_at(server, max_in_flight=2)
        with pytest.raises(ModelError) as raised:
            judge.judge(requests(500))
    assert str(status) in str(raised.value)
    assert error["message"] in str(raised.value)
    assert advice in str(raised.value)
    assert len(server.asked) <= 3


@pytest.mark.parametrize(("status", "error", "advice"), FATAL)
def test_a_server_that_no_call_can_survive_is_left_out_and_the_others_go_on(
    status: int, error: Any, advice: str
) -> None:
    told: list[str] = []
    with Loopback(refusing(status, error)) as bad, Loopback(GOOD) as good:
        judge = judge_at(bad, good, max_in_flight=3, attempts=1, tell=told.append, log_probs=False)
        assert failures(judge.judge(requests(30))) == [None] * 30
        asked = len(bad.asked)
        assert 1 <= asked <= 3
        assert failures(judge.judge(requests(40))) == [None] * 40
        assert len(bad.asked) == asked
        (said,) = told
        assert f"{bad.address} is left out from now on, the judge goes on at {good.address}" in said
        assert f"answered {status}: {error['message']}" in said
        assert advice in said


def test_a_run_ends_once_every_server_was_left_out_with_the_reasons_of_all() -> None:
    told: list[str] = []
    keyless, gone = refusing(401, {"message": "bad key"}), refusing(404, "no such route")
    with Loopback(in_turn(GOOD, keyless)) as one, Loopback(gone) as two:
        judge = judge_at(one, two, max_in_flight=1, tell=told.append, log_probs=False)
        with pytest.raises(ModelError) as raised:
            judge.judge(requests(50))
        assert len(told) == 1
        for words in ("401: bad key", "404: no such route", "check the key", "judge.server.model"):
            assert words in str(raised.value)
        asked = len(one.asked) + len(two.asked)
        assert asked <= 4
        with pytest.raises(ModelError, match="bad key"):
            judge.judge(requests(50))
        assert len(one.asked) + len(two.asked) == asked


def test_a_server_left_out_is_no_other_one_to_ask() -> None:
    """A wrong model's reply is paid for: it is asked for again only at servers that are left."""
    wrong = replying(lambda _: completion(SPOKEN, model="another"))
    with Loopback(refusing(401, "no")) as bad, Loopback(wrong) as other:
        judge = judge_at(bad, other, max_in_flight=1, attempts=9)
        replies = judge.judge(requests(3))
        assert len(bad.asked) == 1
        assert len(other.asked) == 3
    assert all("'another', not of 'm'" in str(failure) for failure in failures(replies))


def test_a_broken_server_is_tried_again_where_the_other_one_is_left_out() -> None:
    broken = in_turn(refusing(500, "oops"), refusing(500, "oops"), GOOD)
    with Loopback(refusing(401, "no")) as bad, Loopback(broken) as other:
        replies = judge_at(bad, other, max_in_flight=1, attempts=3).judge(requests(1))
        assert (len(bad.asked), len(other.asked)) == (1, 3)
    assert failures(replies) == [None]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("http://me:secret@127.0.0.1:1/v1?key=secret", "it redirects to 127.0.0.1, which gets"),
        ("/v2", "it redirects to another address, which gets"),
        ("http://[evil", "it redirects to another address, which gets"),
        ("http://[::1/x", "it redirects to another address, which gets"),
    ],
)
def test_a_redirect_is_not_followed_and_its_host_is_named(where: str, said: str) -> None:
    with (
        Loopback(refusing(307, "elsewhere", Location=where)) as server,
        pytest.raises(ModelError, match="answered 307") as raised,
    ):
        judge_at(server, max_in_flight=1).judge(requests(2))
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    assert len(server.asked) == 1


def test_calls_go_on_at_other_endpoints() -> None:
    with Loopback(refusing(500, "oops")) as bad, Loopback(GOOD) as good:
        judge = judge_at(bad, good, breaker_failures=3, breaker_seconds=60.0, max_in_flight=4)
        replies = judge.judge(requests(40))
    assert failures(replies) == [None] * 40
    assert 3 <= len(bad.asked) <= 8
    assert len(good.asked) == 40


def test_a_wrong_model_or_a_flood_is_asked_elsewhere() -> None:
    wrong = replying(lambda _: completion(SPOKEN, model="another"))
    with (
        Loopback(wrong) as one,
        Loopback(Flood(10**7, announced=True)) as two,
        Loopback(GOOD) as three,
    ):
        judge = judge_at(one, two, three, max_in_flight=1, max_reply_bytes=10**6)
        replies = judge.judge(requests(4))
    assert failures(replies) == [None] * 4
    assert len(three.asked) == 4


def test_a_broken_endpoint_is_left_alone_and_then_probed() -> None:
    with Loopback(in_turn(*[refusing(500, "oops")] * 3, GOOD)) as server:
        judge = judge_at(
            server, breaker_failures=3, breaker_seconds=0.4, max_in_flight=4, attempts=9
        )
        replies = judge.judge(requests(1))
    assert failures(replies) == [None]
    assert len(server.asked) == 4
    assert server.asked[3].at - server.asked[2].at >= 0.399


def test_a_dead_server_costs_no_time_per_request_once_it_is_known() -> None:
    start = time.monotonic()
    with Loopback(refusing(500, "oops")) as server:
        judge = judge_at(server, breaker_failures=2, breaker_seconds=30.0, max_in_flight=2)
        replies = judge.judge(requests(200))
    assert time.monotonic() - start < 3.0
    assert len(server.asked) <= 4
    assert all("no endpoint takes calls" in str(reply.failure) for reply in replies[4:])
    assert "oops" in str(replies[-1].failure)

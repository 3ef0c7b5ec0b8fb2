"""Several samples of one reply: by requests of their own, or by the field n."""

from typing import Any

import pytest
from remote_samples import judge_at, only, request, spoken

from rlaif.judges.replies import MemoryReplies
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Loopback, completion, in_turn, replying

pytestmark = pytest.mark.enable_socket

SAMPLES: dict[str, Any] = {"temperature": 0.7, "samples": 3}


def test_samples_are_drawn_by_requests_with_seeds_of_their_own() -> None:
    def answer(asked: Asked) -> dict[str, Any]:
        return completion(f"Seed {asked.body['seed']}.\nVerdict: A", usage=(7, 2))

    with Loopback(replying(answer)) as server:
        judge = judge_at(server, **SAMPLES)
        one, other = judge.judge([request("a"), request("b")])
        again = judge_at(server, **SAMPLES).judge([request("a")])
    seeds = [asked.body["seed"] for asked in server.asked]
    assert len(set(seeds[:6])) == 6
    assert sorted(seeds[6:]) == sorted({s for s in seeds[:6] if f"Seed {s}." in str(one.call)})
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert all("n" not in asked.body and "logprobs" not in asked.body for asked in server.asked)
    assert one.call is not None
    assert other.call is not None
    assert len(set(one.call.samples)) == 3
    assert one.call.reply == one.call.samples[0]
    assert one.call.label_probs == {}
    assert (one.call.prompt_tokens, one.call.reply_tokens) == (21, 6)
    assert again[0].call is not None
    assert again[0].call.samples == one.call.samples


def test_samples_are_drawn_by_n() -> None:
    words = ["a\nVerdict: A", "b\nVerdict: B", "c\nVerdict: A", "d\nVerdict: A"]
    store = MemoryReplies()
    with Loopback(replying(lambda _: completion(*words))) as server:
        judge = judge_at(server, store=store, samples_by="n", **SAMPLES)
        first = judge.judge([request()])
        again = judge_at(server, store=store, samples_by="n", **SAMPLES).judge([request()])
    assert [asked.body["n"] for asked in server.asked] == [3]
    assert first[0].call is not None
    assert first[0].call.samples == tuple(words[:3])
    assert again == first


def test_the_first_critique_that_there_is_stands_for_all_samples() -> None:
    words = ["Verdict: A", "Because.\nVerdict: B", "So.\nVerdict: A"]
    with Loopback(replying(lambda _: completion(*words))) as server:
        reply = only(judge_at(server, samples_by="n", **SAMPLES).judge([request()]))
    assert reply.critique == "Because."
    assert reply.call is not None
    assert reply.call.reply == "Verdict: A"


def test_samples_that_a_server_left_out_are_asked_for_one_by_one() -> None:
    store = MemoryReplies()

    def answer(asked: Asked) -> dict[str, Any]:
        return completion(f"{asked.number}\nVerdict: A")

    with Loopback(replying(answer)) as server:
        judge = judge_at(server, store=store, samples_by="n", **SAMPLES)
        first = judge.judge([request()])
        again = judge_at(server, store=store, samples_by="n", **SAMPLES).judge([request()])
    assert [asked.body.get("n") for asked in server.asked] == [3, None, None]
    assert len({asked.body["seed"] for asked in server.asked}) == 3
    assert first[0].call is not None
    assert [sample[0] for sample in first[0].call.samples] == ["0", "1", "2"]
    assert again == first


def test_a_sample_that_does_not_come_is_a_reason_and_the_others_are_kept() -> None:
    store = MemoryReplies()
    good = replying(spoken)
    with Loopback(in_turn(good, refusing(400, "no"), good)) as server:
        judge = judge_at(server, store=store, max_in_flight=1, **SAMPLES)
        failed = only(judge.judge([request()]))
        whole = only(judge.judge([request()]))
    assert "1 of 3 samples did not come" in str(failed.failure)
    assert failed.call is None
    assert whole.failure is None
    assert len(server.asked) == 4

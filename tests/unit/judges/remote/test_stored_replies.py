"""Replies in the store: what is kept of each, how soon, and what is never asked for again."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from remote_samples import (
    SPOKEN,
    echo,
    failures,
    judge_at,
    only,
    request,
    requests,
    spoken,
    with_log_probs,
)

from rlaif.cycle.paying import LedgerReplies
from rlaif.judges.replies import MemoryReplies
from rlaif.ledger.writer import Ledger
from rlaif.records import Spent, StoredReply
from tests.servers.loopback import Behaviour, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket


def test_a_stored_reply_is_never_asked_for_again() -> None:
    store = MemoryReplies()
    with Loopback(replying(echo)) as server:
        first = judge_at(server, store=store).judge(requests(10))
        again = judge_at(server, store=store)
        assert again.judge(requests(12))[:10] == first
    assert len(server.asked) == 12
    assert (again.counts.reused, again.counts.calls) == (10, 2)


def test_stored_replies_serve_without_a_server() -> None:
    store = MemoryReplies()
    with Loopback(replying(with_log_probs)) as server:
        first = judge_at(server, store=store).judge(requests(3))
    assert judge_at(server, store=store).judge(requests(3)) == first


def test_what_is_kept() -> None:
    store = MemoryReplies()
    with Loopback(replying(echo, 0.05)) as server:
        judge = judge_at(server, store=store, prompt_price=2.0, reply_price=10.0)
        judge.judge([request("warm")])
        reply = judge.judge([request("what?")])[0]
    kept = store.all()[1]
    assert kept.judge == judge.digest
    assert kept.model == "m"
    assert json.loads(kept.raw)["choices"][0]["message"]["content"].startswith("You said what?")
    assert (kept.prompt_tokens, kept.reply_tokens) == (1, 3)
    assert kept.cost == pytest.approx((1 * 2.0 + 3 * 10.0) / 1e6)
    assert 0.05 <= kept.latency < 2.0
    assert reply.call is not None
    assert (reply.call.prompt_tokens, reply.call.reply_tokens) == (1, 3)
    assert (reply.call.cost, reply.call.latency) == (kept.cost, kept.latency)


def test_tokens_that_a_server_does_not_count_are_estimated() -> None:
    store = MemoryReplies()
    with Loopback(replying(lambda _: completion(SPOKEN, usage=None))) as server:
        judge_at(server, store=store).judge([request("x" * 30)])
    assert (store.all()[0].prompt_tokens, store.all()[0].reply_tokens) == (10, 8)


@pytest.mark.parametrize("count", [-1, True, 2**62, 2**63, 10**30])
def test_counts_that_no_reply_can_have_are_estimated_and_the_ledger_keeps_the_reply(
    count: int, tmp_path: Path
) -> None:
    server = Loopback(replying(lambda _: completion(SPOKEN, usage=(count, count))))
    with server, Ledger.open(tmp_path / "ledger.db") as ledger:
        judge = judge_at(server, store=LedgerReplies(ledger, cycle=None))
        reply = only(judge.judge([request("x" * 30)]))
        assert reply.call is not None
        assert (reply.call.prompt_tokens, reply.call.reply_tokens) == (10, 8)
        assert ledger.spent() == Spent(calls=1, tokens=18)


class Durable(MemoryReplies):
    """Notes how many requests had come when replies were put; can be slow, and can fail."""

    def __init__(self, server: Loopback, fail_at: int | None = None, seconds: float = 0.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._server = server
        self._fail_at = fail_at
        self.seen: list[int] = []

    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        if self._fail_at is not None and len(self) >= self._fail_at:
            raise OSError("no space left on the device")
        time.sleep(self._seconds)
        stored = super().put(replies)
        self.seen.append(len(self._server.asked))
        return stored


def test_replies_that_come_together_are_put_together() -> None:
    """A store that takes 20 ms is asked again after 10 at the soonest."""
    with Loopback(replying(echo, 0.1)) as server:
        store = Durable(server, seconds=0.02)
        start = time.monotonic()
        judge_at(server, store=store, max_in_flight=32).judge(requests(128))
        took = time.monotonic() - start
    assert sum(store.groups) == 128
    assert len(store.groups) <= 2 + took / 0.03


class Overtaken(MemoryReplies):
    """Another process puts a reply to the same question just before."""

    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        theirs = json.dumps(completion("Theirs.\nVerdict: B"))
        super().put([reply.model_copy(update={"raw": theirs}) for reply in replies])
        return super().put(replies)


def test_a_judge_goes_on_with_the_reply_that_a_later_run_finds() -> None:
    store = Overtaken()
    with Loopback(replying(spoken)) as server:
        (reply,) = judge_at(server, store=store).judge([request()])
        (later,) = judge_at(server, store=store).judge([request()])
        assert len(server.asked) == 1
    assert reply == later
    assert reply.critique == "Theirs."
    assert len(store.refused) == 1


def test_no_more_than_the_calls_in_flight_are_not_kept() -> None:
    with Loopback(replying(echo, 0.01)) as server:
        store = Durable(server)
        judge_at(server, store=store, max_in_flight=8).judge(requests(80))
    kept = 0
    for group, asked in zip(store.groups, store.seen, strict=True):
        assert asked - kept <= 8
        kept += group


def test_a_store_that_fails_ends_the_run_and_what_it_has_stays() -> None:
    with Loopback(replying(echo)) as server:
        store = Durable(server, fail_at=5)
        judge = judge_at(server, store=store, max_in_flight=2)
        with pytest.raises(OSError, match="no space left"):
            judge.judge(requests(100))
    assert 5 <= len(store) < 10
    assert len(server.asked) < 20


def test_a_killed_run_repeats_only_what_was_in_flight() -> None:
    with Loopback(replying(echo, 0.005)) as server:
        store = MemoryReplies()
        judge = judge_at(server, store=store, max_in_flight=4)

        def stop(replies: Sequence[StoredReply]) -> list[StoredReply]:
            stored = MemoryReplies.put(store, replies)
            if len(store) >= 20:
                raise KeyboardInterrupt
            return stored

        store.put = stop  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            judge.judge(requests(60))
        before, kept = len(server.asked), len(store)
        del store.put
        replies = judge_at(server, store=store, max_in_flight=4).judge(requests(60))
    assert failures(replies) == [None] * 60
    assert before - kept <= 4
    assert len(server.asked) - before == 60 - kept


def named(model: str) -> Behaviour:
    return replying(lambda _: completion(SPOKEN, model=model))


def test_a_reply_of_another_model_that_was_taken_unchecked_is_not_used_once_it_is_checked() -> None:
    store = MemoryReplies()
    with Loopback(named("another")) as server:
        taken = judge_at(server, store=store, check_model=False)
        assert failures(taken.judge([request()])) == [None]
        (reply,) = judge_at(server, store=store).judge([request()])
        assert "of the model 'another', not of 'm'" in str(reply.failure)
    with Loopback(named("m")) as right:
        for _ in range(2):
            assert failures(judge_at(right, store=store).judge([request()])) == [None]
        assert len(right.asked) == 1, "the right model's reply is found again"
        loose = judge_at(right, store=store, check_model=False)
        assert failures(loose.judge([request()])) == [None]
        assert len(right.asked) == 1, "it serves unchecked too"
    assert [kept.model for kept in store.all()] == ["another", "m"]


def test_a_reply_of_the_right_model_is_not_paid_for_again_whether_it_is_checked_or_not() -> None:
    for first in (True, False):
        store = MemoryReplies()
        with Loopback(named("m")) as server:
            for checked in (first, not first, first):
                judge_at(server, store=store, check_model=checked).judge(requests(3))
            assert len(server.asked) == 3

"""A budget is checked before each call, and what it lets through is kept."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from remote_samples import failures, judge_at, request, requests, spoken

from rlaif.config.serving import BudgetConfig
from rlaif.errors import BudgetSpentError
from rlaif.judges.budget import Budget
from rlaif.judges.protocol import WriteRequest
from rlaif.judges.replies import MemoryReplies
from rlaif.records import Spent
from tests.servers.hostile import cutting, half, hanging, refusing, saying
from tests.servers.loopback import Behaviour, Loopback, completion, in_turn, replying

pytestmark = pytest.mark.enable_socket

PRICES = {"prompt_price": 1e6, "reply_price": 2e6}  # 1 a prompt token, 2 a reply token


def budget(**limits: Any) -> Budget:
    return Budget(BudgetConfig(**limits), lambda: datetime(2026, 11, 29, tzinfo=UTC))


def test_calls_up_to_the_limit_are_made_and_kept() -> None:
    store = MemoryReplies()
    of = budget(cycle_calls=7)
    with Loopback(replying(spoken, 0.02)) as server:
        with pytest.raises(BudgetSpentError) as raised:
            judge_at(server, store=store, budget=of, max_in_flight=4).judge(requests(20))
        assert len(server.asked) == len(store) == 7
        assert (raised.value.limit, raised.value.spent) == ("budget.cycle_calls", 7)
        assert of.cycle == Spent(calls=7, tokens=7 * 15)
        more = judge_at(server, store=store, budget=budget(cycle_calls=13))
        assert failures(more.judge(requests(20))) == [None] * 20
        assert len(server.asked) == 20


def test_what_the_store_holds_costs_nothing() -> None:
    store = MemoryReplies()
    with Loopback(replying(spoken)) as server:
        first = judge_at(server, store=store).judge(requests(5))
        spent = budget(cycle_calls=1, day_money=0.001)
        assert judge_at(server, store=store, budget=spent).judge(requests(5)) == first
    assert spent.cycle == Spent()


def test_calls_under_way_are_waited_for_and_kept() -> None:
    store = MemoryReplies()
    with Loopback(replying(spoken, 0.3)) as server:
        judge = judge_at(server, store=store, budget=budget(cycle_calls=3), max_in_flight=8)
        start = time.monotonic()
        with pytest.raises(BudgetSpentError):
            judge.judge(requests(30))
        assert time.monotonic() - start >= 0.3
    assert len(store) == 3


def test_money_and_tokens_are_counted_as_the_server_counts_them() -> None:
    of = budget()
    with Loopback(replying(lambda _: completion("x\nVerdict: A", usage=(30, 4)))) as server:
        replies = judge_at(server, budget=of, **PRICES).judge(requests(3))
    assert of.cycle == of.day == Spent(calls=3, tokens=102, money=114.0)
    assert [reply.call.cost for reply in replies if reply.call] == [38.0] * 3


def test_no_limit_is_passed_by_calls_that_run_at_once() -> None:
    """Each call may take 10 tokens of prompt and 50 of reply: five fit at once, then one by one."""
    of = budget(day_tokens=300)
    asked = [request(f"{number:030d}") for number in range(64)]
    with Loopback(replying(spoken, 0.02)) as server:
        judge = judge_at(server, budget=of, max_tokens=50)
        with pytest.raises(BudgetSpentError, match=r"budget\.day_tokens is spent: 255 of 300"):
            judge.judge(asked)
    assert server.most_at_once <= 5
    assert of.day == Spent(calls=17, tokens=255)


@pytest.mark.parametrize(
    ("bad", "calls"),
    [
        (refusing(429, "slow down"), 1),
        (refusing(500, "oops"), 1),
        (hanging, 2),
        (saying(b"garbage"), 2),
    ],
)
def test_attempts_that_a_provider_may_charge_for_count(bad: Behaviour, calls: int) -> None:
    of = budget()
    with Loopback(in_turn(bad, replying(spoken))) as server:
        replies = judge_at(server, budget=of, read_seconds=0.2).judge([request()])
    assert failures(replies) == [None]
    assert of.cycle.calls == calls


def test_each_attempt_needs_room() -> None:
    of = budget(cycle_calls=2)
    with Loopback(saying(b"garbage")) as server, pytest.raises(BudgetSpentError):
        judge_at(server, budget=of, attempts=9).judge([request()])
    assert len(server.asked) == 2
    assert of.cycle.calls == 2


@pytest.mark.parametrize("limit", [{"day_tokens": 2 * 56 + 55}, {"cycle_money": 2 * 106 + 105}])
@pytest.mark.parametrize("bad", [hanging, saying(b"garbage")])
def test_what_calls_without_a_count_may_have_cost_reaches_the_limit(
    bad: Behaviour, limit: dict[str, int]
) -> None:
    """A call may take 6 tokens of prompt and 50 of reply, which cost 106."""
    of = budget(**limit)
    changes: dict[str, Any] = {"read_seconds": 0.1, "attempts": 9, "max_tokens": 50, **PRICES}
    with Loopback(bad) as server, pytest.raises(BudgetSpentError):
        judge_at(server, budget=of, **changes).judge([request()])
    assert len(server.asked) == 2
    assert of.cycle == Spent(calls=2, tokens=2 * 56, money=2 * 106.0)


@pytest.mark.parametrize("late", [{"read_seconds": 0.1}, {"total_seconds": 0.1}])
def test_a_call_for_several_samples_may_have_cost_all_of_them(late: dict[str, float]) -> None:
    of, store = budget(), MemoryReplies()
    drawing = {"samples": 3, "samples_by": "n", "temperature": 1.0, "max_tokens": 50}
    with Loopback(hanging) as server:
        judge = judge_at(server, store=store, budget=of, attempts=1, **late, **drawing, **PRICES)
        judge.judge([request()])
    (kept,) = store.refused
    assert (kept.prompt_tokens, kept.reply_tokens, kept.cost) == (6, 150, 306.0)
    assert of.cycle == Spent(calls=1, tokens=156, money=306.0)


def test_a_reply_of_the_wrong_model_is_paid_for() -> None:
    of = budget()
    with Loopback(replying(lambda _: completion("x", model="another"))) as server:
        judge_at(server, budget=of).judge([request()])
    assert of.cycle == Spent(calls=1, tokens=15)


NOT_UTF_8 = b'{"choices": "\xff"}'


@pytest.mark.parametrize(
    ("bad", "raw", "tokens"),
    [
        (replying(lambda _: completion("x", model="another")), '"model": "another"', 15),
        (replying(lambda _: completion(" \n")), '"content": " \\n"', 15),
        (replying(lambda _: completion(None, finish="length")), '"finish_reason": "length"', 15),
        (saying("\u5783\u573e".encode()), "\u5783\u573e", 56),
        (half(), '"choices": [{', 56),
        (saying(NOT_UTF_8), '{"choices": "\\xff"}', 56),
        (cutting, "", 56),
        (hanging, "", 56),
    ],
)
def test_what_is_refused_is_kept_raw_as_paid_and_never_used_again(
    bad: Behaviour, raw: str, tokens: int
) -> None:
    store = MemoryReplies()
    of = budget()
    changes: dict[str, Any] = {"attempts": 1, "read_seconds": 0.2, "max_tokens": 50, **PRICES}
    with Loopback(in_turn(bad, bad, replying(spoken))) as server:
        for _ in range(2):
            (reply,) = judge_at(server, store=store, budget=of, **changes).judge([request()])
            assert reply.failure is not None
            assert reply.call is None or reply.call.reply.strip() == ""
        assert len(store) == 0
        (reply,) = judge_at(server, store=store, budget=of, **changes).judge([request()])
        assert reply.failure is None
    assert len(store.refused) == 2
    assert all(raw in kept.raw for kept in store.refused)
    assert [k.prompt_tokens + k.reply_tokens for k in store.refused] == [tokens] * 2
    kept = [*store.all(), *store.refused]
    assert of.cycle.calls == len(kept) == 3
    assert of.cycle.money == sum(reply.cost for reply in kept)


def test_what_a_server_did_no_work_for_is_not_kept() -> None:
    store = MemoryReplies()
    with Loopback(in_turn(refusing(500, "oops"), refusing(429, "slow"), replying(spoken))) as it:
        judge_at(it, store=store).judge([request()])
    assert (len(store), store.refused) == (1, [])


@pytest.mark.parametrize(("limit", "fits"), [(30, True), (32, False)])
def test_a_call_that_writes_is_reckoned_at_its_own_limit(limit: int, *, fits: bool) -> None:
    """A prompt of 10 tokens and a reply of up to 32 are more than 40, of up to 30 are not."""
    asked = [WriteRequest("x" * 30, limit)]
    with Loopback(replying(spoken)) as server:
        judge = judge_at(
            server, budget=budget(cycle_tokens=40), max_tokens=20 if limit > 30 else 60
        )
        if fits:
            assert [reply.failure for reply in judge.write(asked)] == [None]
        else:
            with pytest.raises(BudgetSpentError):
                judge.write(asked)
        assert [a.body["max_tokens"] for a in server.asked] == [limit] * fits

"""Replies that a ledger paid for: found again by whoever opens it next, counted once for all."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from rlaif.config import BudgetConfig, ServerConfig
from rlaif.cycle.paying import LedgerReplies, budget_of
from rlaif.errors import BudgetSpentError
from rlaif.judges import PAIR_LABELS, JudgeReply, JudgeRequest, verdict_of
from rlaif.judges.remote import OpenAIJudge
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import Choice, Spent, StoredReply
from tests.cycle.served import begin
from tests.servers.loopback import Asked, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket


def question(text: str = "Which?") -> JudgeRequest:
    return JudgeRequest(text, PAIR_LABELS, "kind", ("a", "b"))


def test_replies_are_found_again_by_whoever_opens_the_ledger_next(tmp_path: Path) -> None:
    """A kill between a reply and its unit's commit costs nothing."""
    path = tmp_path / "ledger.db"
    request = question()
    with Loopback(replying(lambda _: completion("Fine.\nVerdict: B", model="m"))) as server:
        config = ServerConfig(endpoints=(server.address,), model="m")
        for cycle in (1, 1, 2):
            with Ledger.open(path) as ledger:
                begin(ledger, cycle)
                (reply,) = OpenAIJudge(config, LedgerReplies(ledger, cycle)).judge([request])
                assert verdict_of(request, reply, 0.5) == Choice(p_first=0.0)
                assert ledger.spent(cycle=cycle).calls == (1 if cycle == 1 else 0)
        assert len(server.asked) == 1


def test_what_is_asked_anew_is_asked_once_in_every_cycle(tmp_path: Path) -> None:
    """A judge behind a server may have changed: a stored reply would hide it."""
    path = tmp_path / "ledger.db"
    request = question()
    verdicts = iter("BAABBB")
    said = []
    with Loopback(
        replying(lambda _: completion(f"Fine.\nVerdict: {next(verdicts)}", model="m"))
    ) as server:
        config = ServerConfig(endpoints=(server.address,), model="m")
        for cycle in (1, 1, 2):
            with Ledger.open(path) as ledger:
                begin(ledger, cycle)
                replies = LedgerReplies(ledger, cycle)
                judge = OpenAIJudge(config, replies)
                (plain,) = judge.judge([request])
                with replies.anew("calibration"):
                    (anew,) = judge.judge([request])
                (again,) = judge.judge([request])
                said.append([verdict_of(request, r, 0.5) for r in (plain, anew, again)])
                assert ledger.spent(cycle=cycle).calls == (2 if cycle == 1 else 1)
        assert len(server.asked) == 3
    first, second = Choice(p_first=0.0), Choice(p_first=1.0)
    assert said == [[first, second, first]] * 3


def test_the_budget_knows_what_was_spent_before_the_process_began(tmp_path: Path) -> None:
    reply = StoredReply(
        key="k",
        judge="j",
        model="m",
        raw="{}",
        prompt_tokens=30,
        reply_tokens=12,
        latency=0.1,
        cost=0.5,
    )
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        begin(ledger, 1)
        LedgerReplies(ledger, 1).put([reply])
        begin(ledger, 2)
        LedgerReplies(ledger, 2).put([reply.model_copy(update={"key": "k2"})])
        budget = budget_of(ledger, BudgetConfig(), 2)
    assert budget.cycle == Spent(calls=1, tokens=42, money=0.5)
    assert budget.day == Spent(calls=2, tokens=84, money=1.0)


@pytest.mark.parametrize("limits", [{"cycle_money": 95e-6}, {"day_money": 95e-6}])
def test_replies_that_were_refused_count_after_a_restart(
    tmp_path: Path, limits: dict[str, float]
) -> None:
    """Six replies of a wrong model cost 90e-6, whoever opens the ledger next."""
    path = tmp_path / "ledger.db"
    asked = [question(f"Which, {i}?") for i in range(9)]
    prices = {"prompt_price": 1.0, "reply_price": 1.0, "max_tokens": 5, "max_in_flight": 1}
    with Loopback(replying(lambda _: completion("Fine.\nVerdict: B", model="other"))) as server:
        config = ServerConfig(endpoints=(server.address,), model="m", **prices)
        for _ in range(3):
            with Ledger.open(path) as ledger:
                begin(ledger, 1)
                replies = LedgerReplies(ledger, 1)
                budget = budget_of(ledger, BudgetConfig(**limits), 1)
                with pytest.raises(BudgetSpentError):
                    OpenAIJudge(config, replies, budget=budget).judge(asked)
                spent = ledger.spent()
            assert (spent.calls, spent.tokens) == (6, 90)
            assert spent.money == pytest.approx(90e-6)
        assert len(server.asked) == 6


def test_a_trial_and_a_cycle_see_what_the_other_spends_of_the_day(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    plain = replying(lambda _: completion("Fine.\nVerdict: B", model="judge-8b"))
    with Loopback(plain) as server, Ledger.open(path) as one, Ledger.open(path) as other:
        begin(one, 1)
        config = ServerConfig(endpoints=(server.address,), model="judge-8b", max_in_flight=1)
        judges = []
        for ledger, cycle in ((one, 1), (other, None)):
            replies = LedgerReplies(ledger, cycle)
            budget = budget_of(ledger, BudgetConfig(day_calls=5), cycle, replies)
            judges.append((OpenAIJudge(config, replies, budget=budget), budget))
        for turn in range(4):
            judge, _ = judges[turn % 2]
            judge.judge([question(f"Which, {turn}?")])
        asked = [question(f"Or {i}?") for i in range(3)]
        for judge, _ in judges:
            with pytest.raises(BudgetSpentError, match="day_calls is spent: 5 of 5"):
                judge.judge(asked)
        assert len(server.asked) == 5
        assert [budget.cycle.calls for _, budget in judges] == [3, 2]
        assert [budget.day.calls for _, budget in judges] == [5, 5]
        assert (one.spent(cycle=1).calls, one.spent().calls) == (3, 5)


def test_two_processes_pass_a_days_limit_by_no_more_than_the_other_has_under_way(
    tmp_path: Path,
) -> None:
    path, one_call = tmp_path / "ledger.db", Spent(calls=1)
    with Ledger.open(path) as one, Ledger.open(path) as other:
        stores = [LedgerReplies(ledger, None) for ledger in (one, other)]
        first, second = (
            budget_of(ledger, BudgetConfig(day_calls=5), None, store)
            for ledger, store in zip((one, other), stores, strict=True)
        )
        under_way = [first.begin(one_call) for _ in range(3) if first.admits(one_call)]
        while second.admits(one_call):
            second.begin(one_call)
        assert len(second._under_way) == 5
        stores[0].put([StoredReply(**PAID, key=f"k{i}") for i in range(3)])
        for bill in under_way:
            bill.add(one_call)
            first.end(bill)
        assert not second.admits(one_call)
        stores[1].put([StoredReply(**PAID, key=f"l{i}") for i in range(2)])
        with pytest.raises(BudgetSpentError, match="day_calls is spent: 5 of 5"):
            first.admits(one_call)


PAID: dict[str, Any] = {
    **{"judge": "j", "model": "m", "raw": "{}"},
    **{"prompt_tokens": 1, "reply_tokens": 1, "latency": 0.1},
}


@pytest.mark.parametrize("apart", [False, True])
def test_a_trial_and_a_cycle_that_ask_the_same_at_once_use_one_reply_and_pay_two(
    tmp_path: Path, *, apart: bool
) -> None:
    """Both are under way before either is answered, and the answers differ: as kept, so used."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        begin(ledger, 1)

    async def at_once(asked: Asked, writer: asyncio.StreamWriter) -> None:
        while len(server.asked) < 2:
            await asyncio.sleep(0.01)
        said = f"Reply {asked.number}.\nVerdict: {'AB'[asked.number]}"
        await replying(lambda _: completion(said, model="m", usage=(40, 8)))(asked, writer)

    def judged(cycle: int | None) -> JudgeReply:
        with Ledger.open(path) as ledger:
            replies = LedgerReplies(ledger, cycle)
            kept_apart = replies.anew("a stage") if apart else nullcontext()
            budget = budget_of(ledger, BudgetConfig(), cycle, replies)
            judge = OpenAIJudge(config, replies, budget=budget)
            with kept_apart:
                (found,) = judge.judge([question()])
            return found

    with Loopback(at_once) as server, ThreadPoolExecutor(2) as threads:
        config = ServerConfig(endpoints=(server.address,), model="m", prompt_price=1.0)
        first, second = threads.map(judged, [1, 1 if apart else None])
        resumed = judged(1)
        assert len(server.asked) == 2
    assert first.critique.startswith("Reply ")
    assert first == second == resumed
    with LedgerReader.open(path) as reads:
        assert reads.spent() == Spent(calls=2, tokens=96, money=80e-6)
        assert reads.spent(cycle=1).calls == (2 if apart else 1)

"""A judge on a server: whole cycles, kills that pay for nothing twice, budgets that park."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rlaif.cli import main
from rlaif.config import BudgetConfig, ServerConfig
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.cycle.paying import LedgerReplies, budget_of
from rlaif.errors import BudgetSpentError
from rlaif.judges import PAIR_LABELS, JudgeReply, JudgeRequest, verdict_of
from rlaif.judges.remote import OpenAIJudge
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.progress import Silent
from rlaif.project import Project, load_project
from rlaif.records import Choice, Completion, Message, Prompt, Spent, StoredReply
from tests.cycle.conftest import JUDGED, Maker
from tests.cycle.watchers import Notes, StopAt, Stopped
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket

KEY = "sk-test-0123456789abcdef"
KEY_NAME = "SERVED_JUDGE_KEY"
FEWER_PROMPTS = {"prompts_per_cycle": 4, "eval_prompts": 2, "duplicate_similarity": 1.0}


def short_is_kind(asked: Asked) -> dict[str, Any]:
    """Prefer short answers; rate by length."""
    answers = re.findall(r"<answer>\n(.*?)\n</answer>", asked.text, re.DOTALL)
    if len(answers) == 2:
        label = "A" if len(answers[0]) <= len(answers[1]) else "B"
    else:
        label = "3" if len(answers[0]) < 25 else "1"
    return completion(f"It is as long as it is.\nVerdict: {label}", model="judge-8b", usage=(40, 8))


GOOD = replying(short_is_kind)


def served(
    make: Maker,
    server: Loopback,
    name: str = "project",
    also: tuple[Loopback, ...] = (),
    **changes: Any,
) -> Project:
    judge = {
        "backend": "openai",
        "template": "detailed",
        "batch_size": 4,
        "server": {
            "endpoints": [one.address for one in (server, *also)],
            "model": "judge-8b",
            "key_variable": KEY_NAME,
            "prompt_price": 1.0,
            "reply_price": 10.0,
        },
    }
    untried = {"probe_share": 0.0, "again_share": 0.0}
    given = {"audit": untried, "sampling": FEWER_PROMPTS, **changes}
    return make(name, rubric=JUDGED, judge=judge, **given)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)


def test_a_cycle_is_judged_on_a_server_and_every_label_says_how(make_project: Maker) -> None:
    with Loopback(GOOD) as server:
        project = served(make_project, server)
        assert run_cycles(project, more=1, watcher=Silent()) == [1]
        assert {asked.headers["authorization"] for asked in server.asked} == {f"Bearer {KEY}"}
    with LedgerReader.open(project.ledger_path) as reads:
        judged = reads.judgements(cycle=1, stage="judging")
        assert {(j.judge, j.method) for j in judged} == {("judge-8b", "words")}
        assert {j.critique for j in judged} == {"It is as long as it is."}
        calls = [j.call for j in judged if j.call is not None]
        assert len(calls) == len(judged)
        assert [c.cost for c in calls] == [pytest.approx(40e-6 + 80e-6)] * len(calls)
        spent = reads.spent(cycle=1)
        assert spent.calls == len(server.asked)
        assert spent.money == pytest.approx(spent.calls * 120e-6)
        assert reads.preferences() != []
    assert KEY not in everything(project.root)


def everything(root: Path) -> str:
    """Return all that a project holds, as text."""
    files = [p for p in root.rglob("*") if p.is_file() and not p.is_symlink()]
    return "".join(p.read_bytes().decode("latin-1") for p in files)


def test_a_killed_cycle_asks_for_nothing_that_it_has_paid_for(make_project: Maker) -> None:
    with Loopback(GOOD) as server:
        whole = served(make_project, server, "whole")
        run_cycles(whole, more=1, watcher=Silent())
        calls = len(server.asked)
        killed = served(make_project, server, "killed")
        for noun, done in (("batches of ratings", 1), ("batches of comparisons", 1)):
            with pytest.raises(Stopped):
                run_cycles(killed, more=1, watcher=StopAt(noun, done))
        run_cycles(killed, more=1, watcher=Silent())
        assert len(server.asked) == 2 * calls
    digests = []
    for project in (whole, killed):
        with LedgerReader.open(project.ledger_path) as reads:
            digests.append(reads.digest())
    assert digests[0] == digests[1]


def test_replies_are_found_again_by_whoever_opens_the_ledger_next(tmp_path: Path) -> None:
    """A kill between a reply and its unit's commit costs nothing."""
    path = tmp_path / "ledger.db"
    request = JudgeRequest("Which?", PAIR_LABELS, "kind", ("a", "b"))
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
    request = JudgeRequest("Which?", PAIR_LABELS, "kind", ("a", "b"))
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


def test_a_frozen_answer_is_shown_with_what_was_said_and_paid_each_time(
    make_project: Maker,
) -> None:
    said = {
        1: ("\u5f88\u597d \U0001f642\nVerdict: 3", (40, 8)),
        2: ("Rude by now.\nVerdict: 1", (41, 30)),
    }
    message = Message(role="user", content="Hello?")
    prompt = Prompt(id="p", messages=(message,), split="train")
    answer = Completion(
        id="c", prompt_id="p", policy="d", index=0, text="Go away.", length=2, ended=True
    )
    words = iter(said.values())

    def reply(_: Asked) -> dict[str, Any]:
        text, usage = next(words)
        return completion(text, model="judge-8b", usage=usage)

    with Loopback(replying(reply)) as server:
        project = served(make_project, server)
        for cycle in said:
            with Ledger.open(project.ledger_path) as ledger:
                begin(ledger, cycle)
                ledger.add_human_labels([], prompts=[prompt], completions=[answer], source="f")
                ledger.begin_stage(cycle, "calibration")
                replies = LedgerReplies(ledger, cycle)
                panel = Crew(project, project.config, replies).panel(project.config.jury)
                ledger.add_rubric(panel.rubric_hash, "judged", "1", JUDGED)
                with ledger.unit(cycle, "calibration", "0") as unit:
                    with replies.anew("calibration"):
                        ((judged,),) = panel.rate([(prompt, answer)])
                    named = judged.model_copy(update={"id": f"frozen-{cycle}"})
                    unit.add_judgements(panel.rubric_hash, [named])
                ledger.finish_stage(cycle, "calibration")
    for cycle, (text, (read, written)) in said.items():
        shown = shown_critique(project, f"frozen-{cycle}")
        called = json.loads(shown_critique(project, f"frozen-{cycle}", "--json"))["told"]["call"]
        assert called["reply"] == text
        assert called["cost"] == pytest.approx((read + 10 * written) * 1e-6)
        assert "Go away." in called["request"]
        assert " ".join(text.split()) in " ".join(shown.split())
        assert f"{read} + {written} tokens, cost {called['cost']:g}" in shown


def shown_critique(project: Project, *arguments: str) -> str:
    show = ["--project", str(project.root), "critiques", "show", *arguments]
    done = CliRunner().invoke(main, show, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def begin(ledger: Ledger, cycle: int) -> None:
    known = ledger.latest_cycle()
    if known is not None and known.number < cycle:
        ledger.finish_cycle(known.number)
    ledger.add_rubric("h", "r", "1", "text")
    ledger.register_base("v0000", "d", "p", {})
    ledger.begin_cycle(
        cycle, run_seed=1, config={}, config_hash="c", rubric_hash="h", incumbent="v0000"
    )


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
    asked = [JudgeRequest(f"Which, {i}?", PAIR_LABELS, "kind", ("a", "b")) for i in range(9)]
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
            judge.judge([JudgeRequest(f"Which, {turn}?", PAIR_LABELS, "kind", ("a", "b"))])
        asked = [JudgeRequest(f"Or {i}?", PAIR_LABELS, "kind", ("a", "b")) for i in range(3)]
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
                (found,) = judge.judge([JudgeRequest("Which?", PAIR_LABELS, "kind", ("a", "b"))])
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


def test_a_spent_budget_parks_the_cycle_and_a_larger_one_lets_it_go_on(
    make_project: Maker,
) -> None:
    with Loopback(GOOD) as server:
        project = served(make_project, server, budget={"cycle_calls": 10})
        for _ in range(2):
            with pytest.raises(BudgetSpentError, match="cycle_calls is spent: 10 of 10"):
                run_cycles(project, more=1, watcher=Silent())
            assert len(server.asked) == 10
        with LedgerReader.open(project.ledger_path) as reads:
            assert reads.cycles()[0].status == "running"
            (parked,) = [e for e in reads.events() if e.kind == "parked"]
            assert parked.message == (
                "cycle 1 is parked: budget.cycle_calls is spent, which is 10; room for a call"
            )
        project = with_calls(project, 10, 12)
        with pytest.raises(BudgetSpentError, match="cycle_calls is spent: 12 of 12"):
            run_cycles(project, more=1, watcher=Silent())
        with LedgerReader.open(project.ledger_path) as reads:
            parked = [e.message for e in reads.events() if e.kind == "parked"]
            assert ["is 12" in message for message in parked] == [True, False]
        assert run_cycles(with_calls(project, 12, 1000), more=1, watcher=Silent()) == [1]


def with_calls(project: Project, old: int, new: int) -> Project:
    """Change how many calls a cycle may take."""
    text = project.config_path.read_text(encoding="utf-8")
    raised = text.replace(f"cycle_calls = {old}", f"cycle_calls = {new}")
    project.config_path.write_text(raised, encoding="utf-8")
    return load_project(project.root)


def test_a_server_whose_key_is_refused_is_left_out_and_said_once(make_project: Maker) -> None:
    said = []
    with Loopback(refusing(401, {"message": "bad key"})) as bad, Loopback(GOOD) as good:
        project = served(make_project, bad, also=(good,), budget={"cycle_calls": 12})
        for most in (12, 14):
            notes = Notes()
            with pytest.raises(BudgetSpentError):
                run_cycles(with_calls(project, 12, most), more=1, watcher=notes)
            said.append(notes.notes)
        assert len(good.asked) == 14
    (first,), (second,) = said
    assert first == second
    assert f"cycle 1: {bad.address} is left out from now on" in first
    assert "answered 401: bad key" in first
    with LedgerReader.open(project.ledger_path) as reads:
        assert [e.message for e in reads.events() if e.kind == "endpoint-out"] == [first]

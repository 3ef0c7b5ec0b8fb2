"""A judge on a server: whole cycles, kills that pay for nothing twice, budgets that park."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rlaif.cli import main
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.cycle.paying import LedgerReplies
from rlaif.errors import BudgetSpentError
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.progress import Silent
from rlaif.project import Project, load_project
from rlaif.records import Completion, Message, Prompt
from tests.cycle.conftest import JUDGED, Maker
from tests.cycle.served import GOOD, KEY, KEY_NAME, begin, served
from tests.cycle.watchers import Notes, StopAt, Stopped
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket


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
                "cycle 1 is parked: budget.cycle_calls is spent, which is 10; "
                "raise budget.cycle_calls to go on"
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
        assert [e.message for e in reads.events() if e.kind == "judge-servers"] == [first]

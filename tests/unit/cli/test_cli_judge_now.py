"""``rlaif judge audit --now`` tries the judge between cycles, and keeps what it finds apart."""

import json
import re
from typing import Any

import pytest

from cli.conftest import Rlaif
from cli.filled import RUBRIC
from cli.judged_pairs import DRAFT, compare_pairs, takes_the_bench, tells
from rlaif.config import RlaifConfig
from rlaif.config_file import render_config
from rlaif.crew import Crew
from rlaif.cycle.auditing import audit_now
from rlaif.errors import BudgetSpentError, ConfigError, ProjectLockedError
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.progress import Silent
from rlaif.project import Project
from rlaif.testing import ScriptedJudge
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Loopback, completion, replying

FIGURES = {
    "order kept",
    "longer",
    "injection by rating",
    "self-consistency by rating",
    "self-consistency by comparison",
    "consistent",
    "failures",
}


@pytest.fixture
def compared(project: Project) -> Project:
    """The filled project, whose third cycle compared two pairs; its rubric has one judge."""
    rubric = project.file(project.config.rubric.path)
    rubric.parent.mkdir(parents=True, exist_ok=True)
    rubric.write_text(DRAFT, encoding="utf-8")
    compare_pairs(project)
    return project


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedJudge:
    judge = ScriptedJudge(tells)
    monkeypatch.setattr(Crew, "_juror", takes_the_bench(judge))
    return judge


def state_of(project: Project) -> tuple[Any, ...]:
    """Everything that cycles know of: the digest, reports, probes, costs."""
    with LedgerReader.open(project.ledger_path) as reads:
        reports = [reads.report(cycle, "judge_audit") for cycle in (1, 2, 3)]
        hashes = [row[0] for row in reads.connection.execute("SELECT hash FROM rubrics")]
        probes = [reads.probes(found) for found in hashes]
        return reads.digest(), reports, probes, reads.spent(cycle=3), reads.last_critique()


@pytest.mark.usefixtures("scripted")
def test_an_audit_now_judges_stored_pairs_and_is_kept_apart_from_cycles(
    compared: Project, here: Rlaif
) -> None:
    before = state_of(compared)
    result = here("judge", "audit", "--now", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["number"], found["audit"]["asked"]) == (1, "on demand")
    assert (found["audit"]["cycles"], found["audit"]["rubric"]) == ([3], "draft")
    figures = {f["name"]: f for f in found["audit"]["report"]["figures"]}
    assert set(figures) >= FIGURES
    assert figures["order kept"]["count"] == figures["self-consistency by rating"]["count"] == 2
    assert figures["self-consistency by comparison"]["value"] == 1.0
    assert len(found["audit"]["verdicts"]) == 2
    assert {p["kind"] for p in found["audit"]["probes"]} > {"again"}
    assert len(found["audit"]["probes"]) == 2 * 2 + 2 * 2
    assert state_of(compared) == before
    shown = json.loads(here("judge", "audit", "--on-demand", "--json").stdout)
    assert shown == found


@pytest.mark.usefixtures("scripted")
def test_an_audit_now_for_people(compared: Project, here: Rlaif) -> None:
    shown = here("judge", "audit", "--now", "--n", 1).stdout
    assert "Audit 1 on demand" in shown
    assert "1 pairs of cycle 3 judged by tiny-judge under draft 7: " in shown
    assert "self-consistency by rating" in shown
    with LedgerReader.open(compared.ledger_path) as reads:
        (event,) = [e for e in reads.events() if e.kind == "judge-audit-on-demand"]
        assert event.message == "an audit on demand, of 1 pairs: nothing lies beyond its limit"
    assert "Audit 2 on demand" in here("judge", "audit", "--now").stdout
    assert "Audit 2 on demand" in here("judge", "audit", "--on-demand").stdout


def test_a_breach_is_told_and_stops_nothing(
    compared: Project, here: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that looks at the last sign contradicts itself when a space is added."""
    fickle = ScriptedJudge(
        lambda r: dict.fromkeys(r.labels, 0.0) | {r.labels[-r.shown[0][-1].isspace()]: 1.0}
    )
    monkeypatch.setattr(Crew, "_juror", takes_the_bench(fickle))
    text = compared.config_path.read_text(encoding="utf-8")
    strict = re.sub(r'min_self_consistency = "off"', "min_self_consistency = 0.9", text)
    compared.config_path.write_text(strict, encoding="utf-8")
    result = here("judge", "audit", "--now")
    assert result.exit_code == 0
    assert "beyond its limit: answers that it gives the same ratings" in result.stdout
    assert "≥ 0.90 !" in result.stdout


@pytest.mark.usefixtures("scripted")
def test_no_audit_while_a_cycle_runs(compared: Project, here: Rlaif) -> None:
    with ProjectLock(compared.lock_path, command="rlaif run"):
        result = here("judge", "audit", "--now")
    assert result.exit_code == ProjectLockedError.exit_code == 75
    with LedgerReader.open(compared.ledger_path) as reads:
        assert reads.last_audit() == 0


@pytest.mark.usefixtures("scripted")
def test_what_cannot_be_audited_is_refused(project: Project, here: Rlaif) -> None:
    nothing = here("judge", "audit", "--now")
    assert nothing.exit_code == 2
    assert "has compared pairs yet" in nothing.stderr
    assert here("judge", "audit", "--on-demand").exit_code == 2
    for wrong in (("--now", "--cycle", 1), ("--now", "--on-demand"), ("--n", 3)):
        assert here("judge", "audit", *wrong).exit_code == 2
    compare_pairs(project)
    rules = DRAFT[: DRAFT.index("[[criteria]]")] + DRAFT[DRAFT.rindex("[[criteria]]") :]
    project.file(project.config.rubric.path).write_text(rules, encoding="utf-8")
    with pytest.raises(ConfigError, match="asks no judge"):
        audit_now(project, 5, Silent())


def served(project: Project, *servers: Loopback, **budget: int) -> Project:
    """The same project with its judge on servers."""
    settings = project.config.model_dump(mode="json")
    judge = settings["judge"] | {"backend": "openai", "template": "detailed", "batch_size": 1}
    addresses = [server.address for server in servers]
    judge["server"] = {"endpoints": addresses, "model": "judge-8b", "max_in_flight": 1}
    settings |= {"judge": judge, "budget": settings["budget"] | budget}
    return Project(project.root, RlaifConfig.model_validate(settings))


def says(asked: Asked) -> dict[str, Any]:
    label = "A" if "Answer B:" in asked.text else "2"
    return completion(f"So.\nVerdict: {label}", model="judge-8b", usage=(40, 8))


@pytest.mark.enable_socket
def test_a_judge_on_a_server_is_asked_anew_and_pays_from_the_budget(compared: Project) -> None:
    with Loopback(replying(says)) as server:
        whole = audit_now(served(compared, server), 2, Silent())
        calls = len(server.asked)
        assert whole.audit.calls == calls > 0
        again = audit_now(served(compared, server), 2, Silent())
        assert len(server.asked) == 2 * calls
        assert again.number == 2
        small = served(compared, server, cycle_calls=calls - 3)
        with pytest.raises(BudgetSpentError, match="cycle_calls is spent") as stopped:
            audit_now(small, 2, Silent())
        assert stopped.value.action.startswith("ask for it again: it goes on where it stopped")
        third = audit_now(small, 2, Silent())
        assert (third.number, len(server.asked)) == (3, 3 * calls)
    with Ledger.open(compared.ledger_path) as ledger:
        assert ledger.spent().calls == 3 * calls
        assert ledger.spent(cycle=3).calls == 0
        assert ledger.rubric(RUBRIC) is not None


@pytest.mark.enable_socket
def test_an_audit_without_room_says_when_there_is_some_and_to_try_then(
    compared: Project, here: Rlaif
) -> None:
    with Loopback(replying(says)) as server:
        small = served(compared, server, day_calls=3)
        compared.config_path.write_text(render_config(small.config), encoding="utf-8")
        done = here("judge", "audit", "--now")
        assert len(server.asked) == 3
    assert done.exit_code == 75
    assert "Stopped: budget.day_calls is spent: 3 of 3" in done.stderr
    assert re.search(r"a call, which comes at \d{4}-\d\d-\d\d 00:00 UTC", done.stderr)
    assert "to do: ask for it again then, or raise budget.day_calls" in done.stderr


@pytest.mark.enable_socket
def test_a_server_that_is_left_out_of_an_audit_is_said(compared: Project) -> None:
    notes: list[str] = []

    class Noting(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    with Loopback(refusing(401, "not yours")) as bad, Loopback(replying(says)) as good:
        audit_now(served(compared, bad, good), 2, Noting())
        assert len(bad.asked) == 1
    (told,) = [note for note in notes if "left out" in note]
    assert told.startswith(f"{bad.address} is left out from now on")

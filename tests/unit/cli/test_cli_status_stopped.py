"""``rlaif status`` on a cycle that the judge's audit has stopped."""

import json
from typing import Any

import pytest

from cli.conftest import Rlaif
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import AuditFigure, AuditReport

WHY = (
    "the judge is not to be trusted: injections preferred: 0.90 (0.80 to 1.00, of 20), at most 0.10"
)


@pytest.fixture(autouse=True)
def audited(project: Project) -> None:
    """The judge of the cycle under way has passed a limit."""
    figure = AuditFigure(
        name="injection",
        meaning="injections preferred",
        value=0.9,
        low=0.8,
        high=1.0,
        count=20,
        limit=0.1,
        breached=True,
    )
    report = AuditReport(rubric_hash="r" * 64, figures=(figure,))
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "audit") as unit:
        unit.add_report("judge_audit", report)


def stopped(here: Rlaif) -> Any:
    return json.loads(here("status", "--json").stdout)["cycle"]["stopped"]


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings say that a breach ends the run."""
    monkeypatch.setenv("RLAIF_AUDIT__ON_BREACH", "stop")


@pytest.mark.usefixtures("stops")
def test_a_cycle_that_the_audit_stopped_says_why_and_what_to_do(here: Rlaif) -> None:
    shown = here("status").stdout
    assert "cycle     3, stopped by the judge's audit: 'rlaif run' fails again\n" in shown
    assert f"\nstopped   {WHY}\n" in shown
    assert "\nto do     see rlaif judge audit; mend rubric or judge" in shown
    assert "goes on with it" not in shown
    found = stopped(here)
    assert found["why"] == WHY
    assert "[audit] on_breach" in found["to_do"]


@pytest.mark.parametrize("now", ["warn", "quarantine"])
def test_settings_that_let_it_go_on_are_not_called_a_stop(
    here: Rlaif, monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    monkeypatch.setenv("RLAIF_AUDIT__ON_BREACH", now)
    assert "cycle     3, unfinished: 'rlaif run' goes on with it" in here("status").stdout
    assert stopped(here) is None


@pytest.mark.usefixtures("stops")
def test_a_cycle_that_runs_or_has_got_beyond_judging_is_not_stopped(
    here: Rlaif, project: Project
) -> None:
    with ProjectLock(project.lock_path, command="rlaif run"):
        assert "cycle     3, running" in here("status").stdout
        assert stopped(here) is None
    with Ledger.open(project.ledger_path) as ledger:
        ledger.finish_stage(3, "judging")
    assert stopped(here) is None

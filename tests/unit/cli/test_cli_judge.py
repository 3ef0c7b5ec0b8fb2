"""``rlaif judge audit`` shows what a cycle's audit found."""

import json

import pytest

from cli.conftest import Rlaif
from cli.filled import RUBRIC
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import AuditFigure, AuditReport

FENCE = AuditFigure(
    name="fence by comparison",
    meaning="answers with the attack fence\x1b[2J that the judge prefers",
    value=0.9,
    low=0.6,
    high=1.0,
    count=10,
    unscored=1,
    limit=0.5,
    breached=True,
)
EMPTY = AuditFigure(
    name="有用 ~ 语气", meaning="correlation", value=None, low=-1.0, high=1.0, count=2
)
REPORT = AuditReport(rubric_hash=RUBRIC, figures=(FENCE, EMPTY))


@pytest.fixture
def audited(project: Project) -> Project:
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "audit") as unit:
        unit.add_report("judge_audit", REPORT)
    return project


@pytest.mark.usefixtures("audited")
def test_the_last_audit_is_shown_with_its_intervals_and_what_lies_beyond(here: Rlaif) -> None:
    shown = here("judge", "audit").stdout
    assert "cycle 3" in shown
    assert "\x1b[2J" not in shown
    fence = next(line for line in shown.splitlines() if line.startswith("fence by comparison"))
    assert fence.split()[3:] == ["0.90", "[0.60,", "1.00]", "10", "1", "0.50", "!"]
    assert "beyond its limit: answers with the attack fence" in shown
    empty = next(line for line in shown.splitlines() if line.startswith("有用"))
    assert empty.split()[3:] == ["-", "2", "0", "-"]


@pytest.mark.usefixtures("audited")
def test_an_audit_as_json_is_the_stored_one(here: Rlaif) -> None:
    found = json.loads(here("judge", "audit", "--cycle", "3", "--json").stdout)
    assert (found.pop("cycle"), found.pop("drift")) == (3, None)
    assert AuditReport.model_validate(found) == REPORT


@pytest.mark.parametrize("options", [(), ("--cycle", 1)])
def test_where_there_is_no_audit_it_says_so(here: Rlaif, options: tuple[object, ...]) -> None:
    result = here("judge", "audit", *options)
    assert result.exit_code == 2
    assert "an audit of its judge" in result.stderr
    assert ("cycle 1 has not" if options else "no cycle has") in result.stderr

"""``rlaif judge accept``: the owner's word on a judge that changed, kept and shown."""

import json

from click.testing import Result

from cli.calibrated import measured
from cli.conftest import Rlaif
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import AuditReport
from rlaif.stages.drift_reference import ACCEPTED

REASON = "a new model\nbehind the name \U0001f642"
KEPT = "a new model behind the name \U0001f642"


def accept(here: Rlaif, *more: str, reason: str = REASON) -> Result:
    return here("judge", "accept", "--reason", reason, *more)


def test_it_is_an_event_with_cycle_time_and_reason(here: Rlaif, project: Project) -> None:
    with Ledger.open(project.ledger_path) as ledger:
        measured(ledger, 3)
    done = accept(here)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("accepted: the judge as cycle 3 measured it, agreement ")
    with LedgerReader.open(project.ledger_path) as reads:
        event = reads.last_event(ACCEPTED)
        assert event == reads.events()[0]
    assert event is not None
    assert (event.kind, event.cycle, event.message) == ("judge_accepted", 3, KEPT)
    assert event.at
    assert "judge_accepted: a new model behind the name" in here("status").stdout


def test_as_json(here: Rlaif, project: Project) -> None:
    with Ledger.open(project.ledger_path) as ledger:
        measured(ledger, 3)
    found = json.loads(accept(here, "--json").stdout)
    assert (found["kind"], found["cycle"], found["message"]) == ("judge_accepted", 3, KEPT)
    assert (found["labels"], found["drift"]["found"]) == (12, False)


def test_the_last_one_counts(here: Rlaif, project: Project) -> None:
    with Ledger.open(project.ledger_path) as ledger:
        measured(ledger, 3)
    accept(here)
    accept(here, reason="once more")
    with LedgerReader.open(project.ledger_path) as reads:
        event = reads.last_event(ACCEPTED)
        assert event is not None
        assert event.message == "once more"
        assert reads.last_event("no such kind") is None


def test_there_must_be_something_to_accept_and_a_reason(here: Rlaif, project: Project) -> None:
    done = accept(here)
    assert done.exit_code != 0
    assert "no cycle has measured the judge by frozen labels yet" in done.stderr
    assert here("judge", "accept").exit_code == 2
    blank = accept(here, reason=" \n ")
    assert blank.exit_code == 2
    assert "--reason needs a word or more" in blank.stderr
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.last_event(ACCEPTED) is None


def test_an_audit_says_whether_the_judge_drifted_and_since_when(
    here: Rlaif, project: Project
) -> None:
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "audit") as rows:
        rows.add_report("judge_audit", AuditReport(rubric_hash="r", figures=()))
    assert here("judge", "audit").stdout.endswith(
        "drift: not measured, no human has labelled answers\n"
    )
    assert json.loads(here("judge", "audit", "--json").stdout)["drift"] is None
    with Ledger.open(project.ledger_path) as ledger:
        measured(ledger, 3)
    told = here("judge", "audit").stdout.splitlines()[-1]
    assert told == "drift: no: the frozen labels are measured for the first time"
    found = json.loads(here("judge", "audit", "--json").stdout)["drift"]
    assert (found["found"], found["begins"], found["basis"]) == (False, False, "")

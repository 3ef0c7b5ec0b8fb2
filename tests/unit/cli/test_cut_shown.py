"""A critique that was cut off says so wherever it is shown; shares of them come with advice."""

import pytest

from cli.conftest import Rlaif
from rlaif.cli.judge import print_audit
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import AuditReport

TOLD = "37% of 100 critiques by it were cut off at 64 tokens: raise it"


def cut_some(project: Project, cut: int, samples: str = "[]") -> str:
    """Mark the calls of the first judge's critique as cut; return its id."""
    with Ledger.open(project.ledger_path) as ledger:
        row = ledger.connection.execute(
            "SELECT id, call_id FROM critiques WHERE call_id IS NOT NULL ORDER BY seq"
        ).fetchone()
        ledger.connection.execute(
            "UPDATE judge_calls SET cut = ?, samples = ?, reply_tokens = 64 WHERE id = ?",
            (cut, samples, row["call_id"]),
        )
        return str(row["id"])


def test_show_says_after_how_many_tokens_it_was_cut_off(here: Rlaif, project: Project) -> None:
    name = cut_some(project, 1)
    assert f"critique ({name}), cut off at 64 tokens" in here("critiques", "show", name).output


def test_show_counts_the_samples_that_were(here: Rlaif, project: Project) -> None:
    name = cut_some(project, 2, '["one", "two", "three"]')
    said = here("critiques", "show", name).output
    assert f"critique ({name}), 2 of 3 replies cut off at their limit of tokens" in said


def test_lists_mark_it(here: Rlaif, project: Project) -> None:
    assert "cut off" not in here("critiques", "--limit", 99).output
    name = cut_some(project, 1)
    listed = here("critiques", name)
    assert listed.output.count("(cut off)") == 1
    head, row = here("critiques", name, "--csv").output.splitlines()[:2]
    assert head.split(",")[-2] == "cut"
    assert ",1," in row


def test_an_audit_ends_with_its_advice(capsys: pytest.CaptureFixture[str]) -> None:
    print_audit("Audit", AuditReport(rubric_hash="r", figures=(), advice=(f"{TOLD}\x1b[31m",)))
    said = capsys.readouterr().out
    assert f"advice: {TOLD}" in said
    assert "\x1b[31m" not in said


def test_the_report_notes_a_cycles_advice(here: Rlaif, project: Project) -> None:
    report = AuditReport(rubric_hash="r", figures=(), advice=(TOLD,))
    with Ledger.open(project.ledger_path) as ledger:
        ledger.begin_stage(3, "judging")
        with ledger.unit(3, "judging", "audit") as unit:
            unit.add_report("judge_audit", report)
    assert f"note: cycle 3: {TOLD}" in " ".join(here("report").output.split())

"""What the oracle's report counts, on a ledger filled by hand."""

import sqlite3
from pathlib import Path

import pytest
from cli.filled import fill_project

from rlaif.bundled.oracle import HelpDeskOracle, OracleGrade
from rlaif.errors import LedgerError
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.oracle_report import measure, oracle_win_rate
from rlaif.project import Project
from rlaif.report import build_report

QUESTION = "What is the capital of France?"


def grades(*answers: str) -> dict[str, OracleGrade]:
    oracle = HelpDeskOracle()
    return {str(i): oracle.grade(QUESTION, a, ended=True) for i, a in enumerate(answers)}


def test_strictly_higher_wins_and_ties_count_half() -> None:
    good, wrong = "The answer is Paris.", "The answer is Lisbon."
    assert oracle_win_rate(grades(good, good), grades(wrong, wrong)) == 1.0
    assert oracle_win_rate(grades(good, wrong), grades(good, good)) == pytest.approx(0.25)
    assert oracle_win_rate(grades(wrong), grades(wrong)) == 0.5


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two finished cycles; the oracle has not graded the second, which asked two prompts."""
    return fill_project(tmp_path, cycles=2)


def ask_something_else(project: Project, *prompts: str) -> None:
    """Turn prompts of the help desk into ones that its grammar never makes."""
    messages = '[{"role": "user", "content": "Will it rain?"}]'
    with sqlite3.connect(project.ledger_path) as connection:
        for prompt in prompts:
            connection.execute(
                "UPDATE prompts SET messages = ?, text = 'Will it rain?' WHERE id = ?",
                (messages, prompt),
            )
    connection.close()


def test_prompts_that_the_oracle_does_not_know_are_left_out(project: Project) -> None:
    alone = measure(project, 2)
    assert alone is not None
    assert (alone["prompts"], alone["left_out"]) == (2, 0)
    with sqlite3.connect(project.ledger_path) as connection:
        connection.execute("DELETE FROM oracle_reports WHERE cycle = 2")
    connection.close()
    ask_something_else(project, "held-1")
    found = measure(project, 2)
    assert found is not None
    assert (found["prompts"], found["left_out"]) == (1, 1)
    with LedgerReader.open(project.ledger_path) as reader:
        assert reader.oracle_report(2) == found
        notes = build_report(reader).notes
    assert "cycle 2: the oracle left out 1 prompts that it does not know" in notes


def test_where_the_oracle_knows_no_prompt_it_reports_nothing(project: Project) -> None:
    ask_something_else(project, "held-1", "held-2")
    assert measure(project, 2) is None
    with LedgerReader.open(project.ledger_path) as reader:
        assert reader.oracle_report(2) is None


def test_a_report_that_another_process_was_faster_to_write_is_done(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = Ledger.add_oracle_report

    def late(self: Ledger, cycle: int, content: dict[str, object]) -> None:
        with Ledger.open(project.ledger_path) as other:
            insert(other, cycle, {"base": 0.5})
        insert(self, cycle, content)

    monkeypatch.setattr(Ledger, "add_oracle_report", late)
    assert measure(project, 2) == {"base": 0.5}


def test_a_cycle_whose_gate_has_not_decided_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "gate_decision", lambda _self, _cycle: None)
    with pytest.raises(LedgerError, match="no gate decision"):
        measure(project, 2)

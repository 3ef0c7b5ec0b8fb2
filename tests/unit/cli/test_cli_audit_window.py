"""``rlaif judge audit`` shows the latest cycles' rate, that of all, and what could not be told."""

import json

import pytest

from cli.conftest import Rlaif
from cli.filled import RUBRIC
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import AuditFigure, AuditReport, Tally

WHOLE = Tally(value=0.12, low=0.05, high=0.25, count=40, unscored=2, undecidable=9)
RISEN = AuditFigure(
    name="injection by rating",
    meaning="answers with an injection that it grades above the answer without",
    value=0.9,
    low=0.6,
    high=1.0,
    count=10,
    unscored=1,
    undecidable=4,
    limit=0.5,
    breached=True,
    overall=WHOLE,
)


def keep(project: Project, figure: AuditFigure, window: tuple[int, ...]) -> None:
    report = AuditReport(rubric_hash=RUBRIC, figures=(figure,), window=window)
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "audit") as unit:
        unit.add_report("judge_audit", report)


def test_the_window_and_all_cycles_are_shown(project: Project, here: Rlaif) -> None:
    keep(project, RISEN, (2, 3))
    shown = [" ".join(line.split()) for line in here("judge", "audit").stdout.splitlines()]
    row = next(n for n, line in enumerate(shown) if line.startswith("injection by rating"))
    assert shown[row].endswith("0.90 [0.60, 1.00] 10 1 0.50 !")
    assert shown[row + 1].endswith("0.12 [0.05, 0.25] 40 2")
    told = " ".join(shown)
    assert "without 4 that were rated too high to rise" in told
    assert "attacks and second askings: of cycle 2, 3, which limits go by;" in told
    assert "of 10, 1 unscored, 4 without room to rise), at most 0.50" in told
    found = json.loads(here("judge", "audit", "--json").stdout)
    assert found["window"] == [2, 3]
    assert found["figures"][0]["overall"] == WHOLE.model_dump()


@pytest.mark.parametrize("window", [(), (3,)])
def test_where_the_window_holds_all_there_is_one_rate(
    project: Project, here: Rlaif, window: tuple[int, ...]
) -> None:
    keep(project, RISEN.model_copy(update={"overall": None, "undecidable": 0}), window)
    shown = here("judge", "audit").stdout
    assert "0.12" not in shown
    assert "which limits go by" not in shown
    assert "rated too high" not in shown


def test_an_audit_of_before_there_was_a_window_is_read() -> None:
    stored = {
        "rubric_hash": RUBRIC,
        "figures": [
            {"name": "position", "meaning": "m", "value": None, "low": 0, "high": 1, "count": 0}
        ],
    }
    found = AuditReport.model_validate(stored)
    assert (found.window, found.figures[0].overall, found.figures[0].undecidable) == ((), None, 0)

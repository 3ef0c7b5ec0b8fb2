"""Limits on attacks go by the rubric's latest cycles: a late rise trips them, an old one heals."""

from collections.abc import Mapping

import pytest

from rlaif.cycle import run_cycles
from rlaif.judges import JudgeRequest
from rlaif.ledger.reader import LedgerReader
from rlaif.progress import Silent
from rlaif.records import AuditFigure, AuditReport
from tests.cycle.conftest import JUDGED, Maker
from tests.cycle.scripted import by_level
from tests.cycle.test_audit_cycle import judge_all

ATTACKED = ("Verdict:", "Note to the grader")
AUDIT = {
    "probe_share": 1.0,
    "again_share": 0.0,
    "max_length_bias": 0.0,  # always passed, so that no cycle of these trains
    "on_breach": "quarantine",
}


class Moods(Silent):
    """Tells a judge in which cycles it believes what answers say of themselves."""

    def __init__(self, believes: set[int]) -> None:
        self.believes, self.now = believes, False

    def stage(self, cycle: int, stage: str) -> None:  # noqa: ARG002 - the protocol's
        self.now = cycle in self.believes

    def moody(self, request: JudgeRequest) -> Mapping[str, float]:
        """Like long answers; of attacked ones all or nothing."""
        return by_level(
            request,
            [
                0.9 * self.now if any(word in t for word in ATTACKED) else 0.4 - 0.4 / (1 + len(t))
                for t in request.shown
            ],
        )


def injections(
    make_project: Maker, monkeypatch: pytest.MonkeyPatch, audit: dict[str, object], moods: Moods
) -> list[AuditFigure]:
    """Run three cycles, and return each one's figure of injections by comparison."""
    judge_all(monkeypatch, moods.moody)
    project = make_project(rubric=JUDGED, audit={**AUDIT, **audit, "window_cycles": 1})
    run_cycles(project, more=3, watcher=moods)
    with LedgerReader.open(project.ledger_path) as reads:
        reports = [AuditReport.model_validate(reads.report(n, "judge_audit")) for n in (1, 2, 3)]
    assert len({report.rubric_hash for report in reports}) == 1
    assert [report.window for report in reports] == [(1,), (2,), (3,)]
    return [next(f for f in r.figures if f.name == "injection by comparison") for r in reports]


def test_a_late_rise_trips_the_limit(make_project: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    found = injections(make_project, monkeypatch, {"max_injection": 0.5}, Moods({3}))
    assert [(figure.value, figure.breached) for figure in found] == [
        (0.0, False),
        (0.0, False),
        (1.0, True),
    ]
    whole = found[2].overall
    assert whole is not None
    assert whole.count == sum(figure.count for figure in found)
    assert whole.value is not None
    assert whole.value < 0.5  # all cycles together would not have told


def test_an_old_breach_heals_once_the_window_has_passed(
    make_project: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = injections(make_project, monkeypatch, {"max_injection": 0.1}, Moods({1}))
    assert [figure.breached for figure in found] == [True, False, False]
    whole = found[1].overall
    assert found[0].overall is None
    assert whole is not None
    assert whole.low > 0.1  # all cycles together would still breach it

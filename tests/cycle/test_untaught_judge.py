"""A run says where the bundled judge is asked what it was never taught."""

import pytest

from rlaif.config import BUNDLED_JUDGE
from rlaif.cycle import run_cycles
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project
from tests.cycle.conftest import JUDGED, RULES, Maker
from tests.cycle.watchers import Notes, Stopped

BUNDLED = {"path": BUNDLED_JUDGE, "template": "compact"}


class Beginning(Notes):
    """Keeps what it is told until the first stage begins."""

    def stage(self, cycle: int, stage: str) -> None:  # noqa: ARG002 - the protocol's
        raise Stopped


def notes_of(project: Project) -> list[str]:
    watcher = Beginning()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=watcher)
    return watcher.notes


def test_each_run_tells_of_criteria_that_the_bundled_judge_was_never_taught(
    make_project: Maker,
) -> None:
    project = make_project(rubric=JUDGED, judge=BUNDLED)
    for _ in range(2):
        (note,) = notes_of(project)
        assert "what it says of 'kind' means nothing; name another judge" in note
    with LedgerReader.open(project.ledger_path) as reads:
        assert [e.kind for e in reads.events()] == ["judge-untaught"]


def test_a_judge_that_is_not_asked_is_not_told_of(make_project: Maker) -> None:
    assert notes_of(make_project(rubric=RULES, judge=BUNDLED)) == []

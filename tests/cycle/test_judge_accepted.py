"""Cycles whose judge changes: behind its name, accepted by its owner, and on purpose."""

import json

import pytest

from rlaif.cycle import run_cycles
from rlaif.judges.protocol import PAIR_LABELS, JudgeRequest
from rlaif.ledger.reader import LedgerReader
from rlaif.progress import Silent
from rlaif.project import Project
from tests.cycle.test_human_feedback import Judged, Taste, command, report
from tests.cycle.test_human_feedback import judged as judged


class TasteForLabelled(Taste):
    """Likes kind answers, or rude ones; all that no human labelled is alike: a tie."""

    def __call__(self, request: JudgeRequest) -> dict[str, float]:
        if any("kind" in text or "Go away" in text for text in request.shown):
            return super().__call__(request)
        labels = request.labels
        return dict.fromkeys(labels, 0.5) if labels == PAIR_LABELS else {labels[1]: 1.0}


@pytest.fixture
def taste() -> Taste:
    return TasteForLabelled()


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def run(project: Project) -> list[str]:
    """Run a cycle that trains nothing, as all is tied; return what was told of the judge."""
    watcher = Notes()
    run_cycles(project, more=1, watcher=watcher)
    return [note for note in watcher.notes if "reference" in note or "drifted" in note]


def test_a_silent_change_alarms_until_accepted_and_a_new_rubric_begins_anew(
    judged: Judged, taste: Taste
) -> None:
    project = judged()
    assert run(project) == []
    taste.sign = -1.0
    for _ in range(2):
        (alarm,) = run(project)
        assert "the judge has drifted: " in alarm
        assert alarm.endswith("to go on from the judge as it is: rlaif judge accept")
    told = command(project, "judge", "accept", "--reason", "we know")
    assert "accepted: the judge as cycle 3 measured it" in told
    assert run(project) == []
    accepted = report(project, 4).drift
    assert (accepted.found, accepted.reference) == (False, 3)
    assert accepted.basis == (
        "compared with cycle 3; the judge was accepted as cycle 3 measured it: we know"
    )
    rubric = project.file(project.config.rubric.path)
    rubric.write_text(rubric.read_text("utf-8").replace("is kind", "is very kind"), "utf-8")
    (begun,) = run(project)
    assert begun.startswith("the rubric or the judge was changed since cycle 4 (")
    assert report(project, 5).drift.begins
    cycles = [c["judge"] for c in json.loads(command(project, "report", "--json"))["cycles"]]
    assert [c["drift_found"] for c in cycles] == [False, True, True, False, False]
    since = ["", "compared with cycle 1", "compared with 2 cycles, 1 to 2", accepted.basis, ""]
    assert [c["reference"] for c in cycles] == since
    with LedgerReader.open(project.ledger_path) as reads:
        kinds = [event.kind for event in reads.events()]
    assert [kinds.count(k) for k in ("judge_drift", "judge_accepted", "drift_reference")] == [
        *(2, 1, 1)
    ]

"""A run says on the terminal that a python criterion leaves answers unscored, judge or no judge."""

import pytest

from rlaif.config import RubricConfig
from rlaif.cycle import run_cycles
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project
from rlaif.report import build_report
from tests.cycle.conftest import JUDGED, RULES, Maker
from tests.cycle.scripted import by_level
from tests.cycle.test_audit_cycle import judge_all
from tests.cycle.watchers import Notes

BROKEN = """
[[criteria]]
name = "mine"
kind = "python"
weight = 0.5
function = "broken"
"""
CODE = """
def broken(prompt, completion, context):
    return {}["points"]
"""


@pytest.mark.parametrize("rubric", [RULES, JUDGED])
def test_a_broken_python_criterion_is_told(
    make_project: Maker, monkeypatch: pytest.MonkeyPatch, rubric: str
) -> None:
    judge_all(monkeypatch, lambda request: by_level(request, [0.5] * len(request.shown)))
    plain = make_project(rubric=rubric + BROKEN)
    (plain.root / "mine.py").write_text(CODE, encoding="utf-8")
    named = RubricConfig(path=plain.config.rubric.path, python="mine.py")
    project = Project(plain.root, plain.config.model_copy(update={"rubric": named}))
    heard = Notes()
    run_cycles(project, more=1, watcher=heard)
    (told,) = [note for note in heard.notes if "unscored by code" in note]
    assert told.startswith("mine: 36 of 36 answers are unscored by code, the first: ")
    assert "KeyError" in told
    with LedgerReader.open(project.ledger_path) as reads:
        assert f"cycle 1: {told}" in build_report(reads).notes

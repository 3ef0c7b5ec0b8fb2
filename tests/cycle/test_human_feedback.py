"""Cycles with humans' labels: measured, calibrated, trained beside, and the same when stopped."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import rlaif.crew
from rlaif.cli import main
from rlaif.cycle import run_cycles
from rlaif.judges.protocol import PAIR_LABELS, JudgeRequest
from rlaif.ledger.reader import LedgerReader
from rlaif.progress import Silent
from rlaif.project import Project
from rlaif.records import digest_of
from rlaif.stages.calibration import JudgeCalibration
from rlaif.testing import ScriptedJudge
from tests.cycle.conftest import Maker

JUDGED = """
name = "judged"
version = "1"
language = "en"

[[criteria]]
name = "kind"
kind = "judge"
weight = 1.0
text = "The answer is kind."
choices = ["rude", "plain", "kind"]
"""
FEEDBACK = {"min_labels": 20, "frozen_share": 0.4}
PROMPTS = 40


def chance(*names: object) -> float:
    return int(digest_of(list(map(str, names)))[:8], 16) / 2**32


def too_sure(request: JudgeRequest) -> dict[str, float]:
    """Prefer the kind word, much surer than the humans below find it right."""
    kind = [0.9 if "kind" in text else 0.1 for text in request.shown]
    if request.labels == PAIR_LABELS:
        p = 1.0 / (1.0 + math.exp(-6.0 * (kind[0] - kind[1]) - chance(request.shown) + 0.5))
        return {"A": p, "B": 1.0 - p}
    place = kind[0] * (len(request.labels) - 1)
    return {x: max(0.0, 1.0 - abs(i - place)) for i, x in enumerate(request.labels)}


def write_labels(path: Path, agreeing: float = 0.75, prompts: int = 40) -> Path:
    """Pairs of a kind and a rude answer; the humans take the kind one so often."""
    lines = []
    for number in range(prompts):
        pair = [f"A kind answer, {number}. \u4f60\u597d", f"Go away, {number}! \U0001f600"]
        if chance("side", number) >= agreeing:
            pair.reverse()
        line = {"prompt": f"How do I greet {number}?", "chosen": pair[0], "rejected": pair[1]}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


Judged = Callable[..., Project]


@pytest.fixture
def judged(make_project: Maker, monkeypatch: pytest.MonkeyPatch) -> Judged:
    """Make a project whose judge follows a script that tests may change."""

    def make(name: str = "project", **sections: dict[str, object]) -> Project:
        sections = {"feedback": FEEDBACK, **sections}
        monkeypatch.setattr(rlaif.crew, "TransformersJudge", lambda *_: ScriptedJudge(too_sure))
        return make_project(name, JUDGED, **sections)

    return make


def rlaif_command(project: Project, *args: object) -> str:
    done = CliRunner().invoke(
        main, ["--project", str(project.root), *map(str, args)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.output


def report(project: Project, cycle: int = 1) -> JudgeCalibration:
    with LedgerReader.open(project.ledger_path) as reads:
        return JudgeCalibration.model_validate(reads.report(cycle, "calibration"))


def test_the_thin_thread(judged: Judged, tmp_path: Path) -> None:
    project = judged()
    told = rlaif_command(project, "feedback", "import", write_labels(tmp_path / "a.jsonl"))
    assert "40 new" in told
    run_cycles(project, more=1, watcher=Silent())
    found = report(project)

    assert found.labels == 40

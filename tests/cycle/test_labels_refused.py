"""A judge that lacks a label of the rubric is refused before a row is written; others serve."""

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, normalizers

from rlaif.crew import Crew
from rlaif.cycle.preflight import preflight
from rlaif.errors import ModelError
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from tests.cycle.conftest import JUDGED, Maker

LONGER = JUDGED.replace('["rude", "plain", "kind"]', '["rude", "cold", "plain", "kind"]')


def split_4(folder: Path, model: Path) -> None:
    """Write a judge whose tokenizer reads every 4 as two tokens."""
    shutil.copytree(model, folder)
    file = str(folder / "tokenizer.json")
    core = Tokenizer.from_file(file)
    core.normalizer = normalizers.Replace("4", "44")
    core.save(file)


def check(project: Project) -> tuple[str, ...]:
    with Ledger.open(project.ledger_path) as ledger:
        return preflight(project, ledger, project.config, Crew(project, project.config))


def test_what_the_scale_needs_decides(make_project: Maker, tiny_policy: Path) -> None:
    judge = {"path": "judge"}
    short = make_project("short", JUDGED, judge=judge)
    longer = make_project("longer", LONGER, judge=judge)
    for project in (short, longer):
        split_4(project.root / "judge", tiny_policy)
    assert check(short)
    with pytest.raises(ModelError, match=r"labels 1, 2, 3, 4 .* '4' becomes 'Ġ4' \+ '4'") as told:
        check(longer)
    assert "3 choices at most" in str(told.value)

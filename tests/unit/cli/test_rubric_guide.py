"""The guide to rubrics: its rubric, its commands and what it names."""

import shlex
import tomllib
from pathlib import Path

import pytest

from cli.conftest import Rlaif
from cli.judged_pairs import compare_pairs, takes_the_bench, tells
from cli.rubric_samples import warnings, write
from rlaif.crew import Crew
from rlaif.judges import load_rubric
from rlaif.project import Project, share
from rlaif.testing import ScriptedJudge

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "rubric-in-five-minutes.md"


def guide_blocks(kind: str) -> list[str]:
    text = GUIDE.read_text(encoding="utf-8")
    if kind != "commands":
        return [part.partition("```")[0] for part in text.split(f"```{kind}\n")[1:]]
    return [line.strip() for line in text.splitlines() if line.startswith("    rlaif ")]


def test_the_guides_rubric_is_one(rlaif: Rlaif, tmp_path: Path) -> None:
    blocks = guide_blocks("toml")
    assert len(blocks) == 5
    for block in blocks:
        tomllib.loads(block)
    *plain, reference, examples = blocks
    path = write(tmp_path, "\n".join(plain), "our-desk.toml")
    assert warnings(rlaif, path) == []
    assert sum(c.weight for c in load_rubric(path).criteria) == pytest.approx(1.0)
    whole = load_rubric(write(tmp_path, "\n".join([*plain, examples, reference])))
    assert whole.reference_for(whole.references[0].prompt) == "On Thursday."
    assert len(whole.judge_criteria[-1].examples) == 2


def test_the_guides_commands_work(
    rlaif: Rlaif, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(Crew, "_juror", takes_the_bench(ScriptedJudge(tells)))
    compare_pairs(project)
    head, rubric = guide_blocks("toml")[:2]
    (labels,) = guide_blocks("jsonl")
    lines = guide_blocks("commands")
    assert len(lines) == 8
    for line in lines:
        if line.startswith("rlaif rubric validate"):
            write(project.root / "prompts" / "rubrics", head + rubric, "our-desk.toml")
            write(project.root, labels, "human.jsonl")
        assert rlaif(*shlex.split(line)[1:]).exit_code == 0, line


def test_the_guide_names_what_ships() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for path in share("prompts", "judge").iterdir():
        assert f"`{path.name}`" in text
    for name in ("helpful", "harmless", "honest", "concise", "support-desk", "constitution"):
        assert f"`{name}`" in text

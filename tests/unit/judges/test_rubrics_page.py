"""The page on rubrics: all its examples are run, and its tables name what there is."""

import re
import textwrap
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from judge_samples import completion, prompt

from rlaif.config import read_config
from rlaif.judges import (
    CriterionContext,
    JudgeContext,
    JudgeCriterion,
    JudgeReply,
    JudgeRequest,
    PythonCriterion,
    RuleSpec,
    Score,
    WriteReply,
    WriteRequest,
    load_code,
    load_rubric,
)
from rlaif.judges import plugins as judge_plugins
from rlaif.judges.code_criteria import judge_by_code
from rlaif.judges.code_sources import GROUP
from rlaif.judges.rubric import KINDS, PairExample, RatingExample, Rubric
from rlaif.records import Rating, Unscored

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "rubrics.md").read_text(encoding="utf-8")
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"^ *```(?:toml|python)\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
]
FILES = {block.splitlines()[0].removeprefix("# "): block for block in BLOCKS}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_blocks_are_these_files() -> None:
    assert list(FILES) == [
        "prompts/rubrics/desk.toml",
        "criteria.py",
        "rlaif.toml",
        "rlaif-no-phone-numbers/pyproject.toml",
        "rlaif-brief-judge/pyproject.toml",
    ]


def desk(project: Path) -> tuple[Path, Rubric]:
    path = project / read_config(project / "rlaif.toml").rubric.path
    return path, load_rubric(path)


def test_the_rubric_of_the_page_has_every_kind(project: Path) -> None:
    _, rubric = desk(project)
    assert [c.kind for c in rubric.criteria] == ["judge", *KINDS]
    helpful, kind = rubric.judge_criteria
    assert helpful.choices == ("poor", "fair", "good")
    assert kind.choices == ("rude", "kind")
    assert [type(e) for e in helpful.examples] == [RatingExample, PairExample]
    assert sum(c.weight for c in rubric.criteria) == pytest.approx(1.0)
    assert "follow the link" in (rubric.reference_for(" How do I reset my password? ") or "")


@pytest.mark.parametrize(
    ("text", "score", "words"),
    [
        ("你好。请点击“忘记密码”。", 1.0, "begins with 你好"),
        ("Click here.", 0.0, "does not greet the reader"),
        (" \n", None, "the answer is empty"),
    ],
)
def test_the_function_of_the_page_judges(
    project: Path, text: str, score: float | None, words: str
) -> None:
    path, rubric = desk(project)
    python = project / read_config(project / "rlaif.toml").rubric.python
    code = load_code(rubric, path, python)
    (criterion,) = rubric.python_criteria
    said = judge_by_code(rubric, criterion, code["addressed"], prompt(), completion("a", text))
    if score is None:
        assert said == (Unscored(reason=words), "")
    else:
        assert said == (Rating(score=score), words)


@pytest.mark.parametrize("name", ["rlaif-no-phone-numbers", "rlaif-brief-judge"])
def test_entry_points_are_those_of_the_packages(name: str) -> None:
    shown = tomllib.loads(FILES[f"{name}/pyproject.toml"])["project"]["entry-points"]
    whole = tomllib.loads((DOCS / "examples" / name / "pyproject.toml").read_text("utf-8"))
    assert shown == whole["project"]["entry-points"]
    assert f"(examples/{name})" in PAGE


def test_the_tables_name_every_kind_and_key() -> None:
    code = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", PAGE, flags=re.DOTALL | re.M))
    named = {word for text in code for word in re.findall(r"\w+", text)}
    tables = (RuleSpec, RatingExample, PairExample, JudgeCriterion, PythonCriterion, Rubric)
    for table in (*tables, Score, CriterionContext):
        assert set(table.model_fields) <= named, table
    for contract in (JudgeContext, JudgeRequest, JudgeReply, WriteRequest, WriteReply):
        assert {field.name for field in fields(contract)} <= named, contract
    assert set(KINDS) <= named
    assert {GROUP, judge_plugins.GROUP} <= set(code)

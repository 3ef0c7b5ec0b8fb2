"""A rubric to break, and what validating it says."""

import json
from pathlib import Path

from cli.conftest import Rlaif
from rlaif.project import Project

WHOLE = """\
name = "desk"
version = "3"
language = "en"

[[criteria]]
name = "right"
kind = "judge"
weight = 0.6
veto = true
threshold = 0.25
description = "For people."
text = "The answer is right."
choices = ["wrong", "half right", "right"]

[[criteria]]
name = "ends"
kind = "rule"
weight = 0.2
rule = { ends_with = ".", max_words = 40 }

[[criteria]]
name = "near"
kind = "embedding"
weight = 0.2
near = ["a friendly answer", "a warm answer"]
"""
RULE = 'rule = { ends_with = ".", max_words = 40 }'
LINES = {text: number for number, text in enumerate(WHOLE.splitlines(), start=1)}
EXAMPLE = """
[[criteria.examples]]
prompt = "2 + 2?"
answer = "5"
critique = "It is 4."
choice = "wrong"
"""


def write(folder: Path, text: str, name: str = "desk.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def changed(*changes: tuple[str, str]) -> str:
    text = WHOLE
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def general(project: Project) -> None:
    """Name a judge that is not the bundled one; validating loads none."""
    settings = project.config_path.read_text(encoding="utf-8")
    old = 'path = "bundled:tiny-judge"'
    assert settings.count(old) == 1
    named = settings.replace(old, 'path = "models/judge"')
    project.config_path.write_text(named, encoding="utf-8")


def warnings(rlaif: Rlaif, path: Path) -> list[tuple[int, str]]:
    result = rlaif("rubric", "validate", path, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["valid"]
    return [(w["line"], w["seen"]) for w in found["warnings"]]

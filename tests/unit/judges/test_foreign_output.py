"""What code of others prints goes to standard error: standard output is the command's."""

import sys
from pathlib import Path

import pytest
from judge_samples import completion, prompt
from plugin_samples import Install, install

from rlaif.judges import (
    JudgeContext,
    JudgeRequest,
    LoadedFunction,
    PythonCriterion,
    Rubric,
    Score,
    WriteRequest,
    load_code,
    load_rubric,
    make_judge,
)
from rlaif.judges.code_criteria import judge_by_code
from rlaif.judges.foreign import printing_aside
from rlaif.judges.plugins import WritingPluginJudge

__all__ = ["install"]

RUBRIC = """\
name = "desk"
version = "1"
language = "en"

[[criteria]]
name = "by code"
kind = "python"
weight = 1.0
function = "loud"
"""
FUNCTION = """\
from rlaif.judges import Score
print("at import")

def loud(prompt, completion, context):
    return Score(value=0.5, critique="half")
"""
JUDGE = """\
from rlaif.testing import ScriptedJudge
print("at import")

class Loud(ScriptedJudge):
    def judge(self, requests):
        print("judging")
        return super().judge(requests)

    def write(self, requests):
        for request in requests:
            print("writing")
            yield None

def own(settings, context):
    print("making")
    return Loud(lambda request: "Verdict: 2", "own")
"""
Captured = pytest.CaptureFixture[str]


def aside(capsys: Captured) -> str:
    """Return what went to standard error; nothing went to standard output."""
    out, err = capsys.readouterr()
    assert out == ""
    return err


def rubric_file(folder: Path) -> Path:
    path = folder / "desk.toml"
    path.write_text(RUBRIC, encoding="utf-8")
    return path


def test_a_function_prints_aside(capsys: Captured) -> None:
    def loud(*_: object) -> Score:
        sys.stdout.write("judging\n")
        return Score(value=0.5, critique="half")

    criterion = PythonCriterion(name="c", kind="python", weight=1.0, function="loud")
    whole = Rubric(name="desk", version="1", language="en", criteria=(criterion,))
    function = LoadedFunction("loud", loud, Path(__file__), "d")
    judge_by_code(whole, criterion, function, prompt(), completion("a"))
    assert aside(capsys) == "judging\n"


def test_the_owners_file_prints_aside(tmp_path: Path, capsys: Captured) -> None:
    own = tmp_path / "criteria.py"
    own.write_text(FUNCTION, encoding="utf-8")
    path = rubric_file(tmp_path)
    load_code(load_rubric(path), path, own)
    assert aside(capsys) == "at import\n"


def test_a_packages_function_prints_aside(
    install: Install, tmp_path: Path, capsys: Captured
) -> None:
    install("rlaif.criteria", "loud", FUNCTION)
    path = rubric_file(tmp_path)
    load_code(load_rubric(path), path, None)
    assert aside(capsys) == "at import\n"


def test_a_packages_judge_prints_aside(install: Install, capsys: Captured) -> None:
    install("rlaif.judges", "own", JUDGE)
    judge = make_judge("own", {}, JudgeContext(root=Path("project")))
    assert aside(capsys) == "at import\nmaking\n"
    judge.judge([JudgeRequest(text="Rate", labels=("1", "2"), criterion="c", shown=("a",))])
    assert aside(capsys) == "judging\n"
    assert isinstance(judge, WritingPluginJudge)
    judge.write([WriteRequest("Write.", 8)])
    assert aside(capsys) == "writing\n"


def test_standard_output_is_the_commands_again_after_an_error(capsys: Captured) -> None:
    before = sys.stdout
    with pytest.raises(SystemExit), printing_aside():
        raise SystemExit
    assert sys.stdout is before
    sys.stdout.write("ours\n")
    assert capsys.readouterr() == ("ours\n", "")

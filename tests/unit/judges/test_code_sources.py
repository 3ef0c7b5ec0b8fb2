"""Functions are found in the owner's file or an installed package, or refused with the place."""

import hashlib
import sys
from pathlib import Path

import pytest
from judge_samples import completion, prompt
from plugin_samples import Install, install
from pydantic import BaseModel

from rlaif.config import RlaifConfig
from rlaif.crew import Crew
from rlaif.errors import RubricError
from rlaif.judges import LoadedFunction, Rubric, Score, load_code, load_rubric
from rlaif.judges.code_criteria import judge_by_code
from rlaif.project import Project
from rlaif.records import Rating

__all__ = ["install"]

GROUP = "rlaif.criteria"
RUBRIC = """\
name = "desk"
version = "1"
language = "en"

[[criteria]]
name = "other"
kind = "rule"
weight = 1
rule = { min_words = 1 }

[[criteria]]
name = "mine"
kind = "python"
weight = 1
function = "short"
"""
FUNCTION_LINE = 15
SHORT = """\
from rlaif.judges import Score


def short(prompt, completion, context):
    return Score(value=0.5, critique="halb")
"""


def rubric_file(folder: Path, text: str = RUBRIC) -> Path:
    path = folder / "desk.toml"
    path.write_text(text, encoding="utf-8")
    return path


def owner_file(folder: Path, code: str | bytes) -> Path:
    path = folder / "criteria.py"
    path.write_bytes(code if isinstance(code, bytes) else code.encode("utf-8"))
    return path


def found(folder: Path, code: str | bytes | None, text: str = RUBRIC) -> dict[str, LoadedFunction]:
    path = rubric_file(folder, text)
    return load_code(load_rubric(path), path, None if code is None else owner_file(folder, code))


def refused(folder: Path, code: str | bytes | None, text: str = RUBRIC) -> RubricError:
    with pytest.raises(RubricError) as caught:
        found(folder, code, text)
    return caught.value


def judged(path: Path, functions: dict[str, LoadedFunction]) -> object:
    whole: Rubric = load_rubric(path)
    (criterion,) = whole.python_criteria
    function = functions[criterion.function]
    return judge_by_code(whole, criterion, function, prompt(), completion("a"))


def test_a_function_of_the_owners_file_judges(tmp_path: Path) -> None:
    functions = found(tmp_path, SHORT)
    assert list(functions) == ["short"]
    assert judged(tmp_path / "desk.toml", functions) == (Rating(score=0.5), "halb")
    assert functions["short"].file == tmp_path / "criteria.py"
    assert functions["short"].digest == hashlib.sha256(SHORT.encode()).hexdigest()


def test_any_change_of_the_file_changes_the_digest(tmp_path: Path) -> None:
    codes = (SHORT, SHORT + "# 备注\n", SHORT.replace("0.5", "0.6"))
    assert len({found(tmp_path, code)["short"].digest for code in codes}) == 3


def test_the_edited_file_is_what_runs(tmp_path: Path) -> None:
    first = found(tmp_path, SHORT)
    second = found(tmp_path, SHORT.replace("0.5", "0.75"))
    assert judged(tmp_path / "desk.toml", first) == (Rating(score=0.5), "halb")
    assert judged(tmp_path / "desk.toml", second) == (Rating(score=0.75), "halb")


def test_the_search_path_stays_what_it_was(tmp_path: Path) -> None:
    before = list(sys.path)
    (tmp_path / "neighbour_of_criteria.py").write_text("x = 1\n", encoding="utf-8")
    error = refused(tmp_path, "import neighbour_of_criteria\n" + SHORT)
    assert "cannot be run: ModuleNotFoundError: No module named 'neighbour_of" in str(error)
    assert "an installed package" in error.action
    assert (error.path, error.line) == (tmp_path / "criteria.py", 1)
    assert sys.path == before


def test_the_file_is_not_run_as_a_script(tmp_path: Path) -> None:
    code = SHORT + 'if __name__ == "__main__":\n    raise SystemExit("script")\n'
    assert list(found(tmp_path, code)) == ["short"]


def test_a_file_that_fails_leaves_no_module_behind(tmp_path: Path) -> None:
    before = {name for name in sys.modules if name.startswith("rlaif_owner_")}
    refused(tmp_path, "raise ValueError('x')\n")
    assert {name for name in sys.modules if name.startswith("rlaif_owner_")} == before


def test_records_and_annotations_work_in_the_file(tmp_path: Path) -> None:
    code = """\
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
from rlaif.judges import CriterionContext, Score
from rlaif.records import Completion, Prompt, Unscored

@dataclass(frozen=True)
class Limit:
    most: int
    name: ClassVar[str] = "limit"

    def __call__(
        self, prompt: Prompt, completion: Completion, context: CriterionContext
    ) -> Score | Unscored:
        return Score(value=1.0, critique=f"{Limit.name} {self.most}")

short = Limit(3)
"""
    functions = found(tmp_path, code)
    assert judged(tmp_path / "desk.toml", functions) == (Rating(score=1.0), "limit 3")


@pytest.mark.parametrize(
    ("code", "words", "line"),
    [
        ("def short(prompt:\n", "SyntaxError", 1),
        ("x = 1\n\n1 / 0\n", "ZeroDivisionError: division by zero", 3),
        ("def f():\n    raise KeyError('k')\nf()\n", "KeyError: 'k'", 2),
        ("import sys\nsys.exit()\n", "SystemExit", 2),
        ("raise GeneratorExit\n", "GeneratorExit", 1),
        ("x = 'caf\xe9'\n".encode("latin-1"), "SyntaxError", None),
        (b"x = 1\0\n", "null bytes", None),
    ],
)
def test_a_file_that_cannot_be_run_is_refused(
    tmp_path: Path, code: str | bytes, words: str, line: int | None
) -> None:
    error = refused(tmp_path, code)
    assert "cannot be run: " in str(error)
    assert words in str(error)
    assert error.path == tmp_path / "criteria.py"
    assert line is None or error.line == line


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = rubric_file(tmp_path)
    with pytest.raises(RubricError, match="No such file") as caught:
        load_code(load_rubric(path), path, tmp_path / "criteria.py")
    assert caught.value.path == tmp_path / "criteria.py"
    assert "[rubric] python" in caught.value.action


def test_a_missing_function_is_named_where_it_is_asked_for(tmp_path: Path) -> None:
    error = refused(tmp_path, "def long(prompt, completion, context): ...\n")
    assert (error.path, error.line) == (tmp_path / "desk.toml", FUNCTION_LINE)
    assert f"function = 'short' is not in {tmp_path / 'criteria.py'}" in error.seen
    assert "define it in criteria.py" in error.action


def test_without_a_file_the_error_says_how_to_name_one(tmp_path: Path) -> None:
    error = refused(tmp_path, None)
    assert (error.path, error.line) == (tmp_path / "desk.toml", FUNCTION_LINE)
    assert "[rubric] python names no file" in error.seen
    assert "(installed: none)" in error.expected
    assert "rlaif.toml under [rubric] python" in error.action


@pytest.mark.parametrize("name", ["print", "__class__", "__dir__"])
def test_what_python_brings_by_itself_is_not_in_the_file(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path, SHORT, RUBRIC.replace('"short"', f'"{name}"'))
    assert f"function = {name!r} is not in" in error.seen


@pytest.mark.parametrize(
    ("code", "words", "line"),
    [
        ("short = 3\n", "is of type int, not a function", None),
        ("\ndef short(prompt, completion): ...\n", "takes (prompt, completion)", 2),
        ("def short(a, b, c, d): ...\n", "missing a required argument: 'd'", 1),
        ("def short(*, prompt, completion, context): ...\n", "too many positional", 1),
        ("def short(): ...\n", "takes ()", 1),
        ("async def short(a, b, c): ...\n", "is async", 1),
        ("async def short(a, b, c):\n    yield\n", "is async", 1),
        ("def short(a, b, c):\n    yield\n", "is a generator", 1),
        ("class short: ...\n", "takes ()", None),
        ("short = dict.fromkeys\n", "takes (iterable, value=None, /)", None),
        ("short = type\n", "has no signature", None),
    ],
)
def test_a_wrong_signature_is_refused(
    tmp_path: Path, code: str, words: str, line: int | None
) -> None:
    error = refused(tmp_path, code)
    assert words in error.seen
    assert error.expected == "a function (prompt, completion, context) -> Score | Unscored"
    assert (error.path, error.line) == (tmp_path / "criteria.py", line)


@pytest.mark.parametrize(
    "code",
    [
        "def short(*everything): ...\n",
        "def short(a, b, c=None, d=None): ...\n",
        "short = lambda p, c, ctx: None\n",
        "class Short:\n    def __call__(self, a, b, c): ...\nshort = Short()\n",
        "import functools\ndef f(x, a, b, c): ...\nshort = functools.partial(f, 1)\n",
    ],
)
def test_whatever_can_be_called_with_three_is_taken(tmp_path: Path, code: str) -> None:
    assert list(found(tmp_path, code)) == ["short"]


def test_a_function_of_a_package_judges(tmp_path: Path, install: Install) -> None:
    module = install(GROUP, "short", SHORT)
    functions = found(tmp_path, None)
    assert judged(tmp_path / "desk.toml", functions) == (Rating(score=0.5), "halb")
    assert functions["short"].file == tmp_path / "site" / f"{module}.py"


def test_the_digest_sees_the_packages_version_and_code(tmp_path: Path, install: Install) -> None:
    module = install(GROUP, "short", SHORT)
    digests = [found(tmp_path, None)["short"].digest]
    for version, code in (("1.2", SHORT), ("1.3", SHORT), ("1.3", SHORT + "# more\n")):
        install(GROUP, "short", code, version=version, module=module)
        digests.append(found(tmp_path, None)["short"].digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_function_from_another_module_of_the_package_is_in_the_digest(
    tmp_path: Path, install: Install
) -> None:
    inner = install("nothing", "short", SHORT)
    install(GROUP, "short", f"from {inner} import short\n", package="outer")
    before = found(tmp_path, None)["short"].digest
    (tmp_path / "site" / f"{inner}.py").write_text(SHORT + "# more\n", encoding="utf-8")
    assert found(tmp_path, None)["short"].digest != before


def test_a_name_in_both_places_is_refused(tmp_path: Path, install: Install) -> None:
    module = install(GROUP, "short", SHORT)
    error = refused(tmp_path, SHORT)
    assert (error.path, error.line) == (tmp_path / "desk.toml", FUNCTION_LINE)
    assert f"both in {tmp_path / 'criteria.py'} and in parcel 1.2 ({module}:short)" in error.seen
    assert module not in sys.modules


def test_a_name_of_two_packages_is_refused(tmp_path: Path, install: Install) -> None:
    install(GROUP, "short", SHORT)
    install(GROUP, "short", SHORT, package="bundle", version="3")
    error = refused(tmp_path, None)
    assert error.line == FUNCTION_LINE
    assert "'short' is offered by bundle 3 (" in error.seen
    assert " and parcel 1.2 (" in error.seen


def test_a_name_that_no_package_has_is_refused_with_those_that_there_are(
    tmp_path: Path, install: Install
) -> None:
    module = install(GROUP, "shirt", SHORT)
    error = refused(tmp_path, None)
    assert "(installed: shirt)" in error.expected
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1 / 0\n", "cannot be imported: ZeroDivisionError"),
        ("raise SystemExit\n", "cannot be imported: SystemExit"),
        ("raise GeneratorExit\n", "cannot be imported: GeneratorExit"),
        ("import no_such_module_here\n", "cannot be imported: ModuleNotFoundError"),
        ("long = 1\n", "cannot be imported: AttributeError"),
    ],
)
def test_a_package_that_cannot_be_imported_is_refused(
    tmp_path: Path, install: Install, code: str, words: str
) -> None:
    install(GROUP, "short", code)
    error = refused(tmp_path, None)
    assert (error.path, error.line) == (tmp_path / "desk.toml", FUNCTION_LINE)
    assert words in error.seen
    assert "parcel 1.2" in error.seen


def test_a_wrong_function_of_a_package_is_refused(tmp_path: Path, install: Install) -> None:
    module = install(GROUP, "short", "def short(): ...\n")
    error = refused(tmp_path, None)
    assert f"'short' of parcel 1.2 ({module}:short) takes ()" in error.seen
    assert (error.path, error.line) == (tmp_path / "site" / f"{module}.py", 1)


def test_a_name_without_source_is_refused(tmp_path: Path, install: Install) -> None:
    install(GROUP, "short", SHORT)
    (info,) = (tmp_path / "site").glob("*.dist-info")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nshort = sys:exit\n", encoding="utf-8")
    assert "has no file of source" in refused(tmp_path, None).seen


def test_a_project_names_its_file_of_functions(tmp_path: Path) -> None:
    rubric_file(tmp_path)
    owner_file(tmp_path, SHORT)
    sections: dict[str, BaseModel | dict[str, str]] = {
        "rubric": {"path": "desk.toml", "python": "criteria.py"}
    }
    config = RlaifConfig.model_validate(sections)
    crew = Crew(Project(tmp_path, config), config)
    panel = crew.panel(config.jury)
    (rated,) = panel.rate([(prompt(), completion("a", "Two words."))])
    assert [(j.criterion, j.verdict) for j in rated] == [
        ("other", Rating(score=1.0)),
        ("mine", Rating(score=0.5)),
    ]
    owner_file(tmp_path, SHORT.replace("0.5", "0.6"))
    edited = Crew(Project(tmp_path, config), config).panel(config.jury)
    assert edited.rubric_hash != panel.rubric_hash


def test_a_project_without_such_a_file_says_so(tmp_path: Path) -> None:
    rubric_file(tmp_path)
    config = RlaifConfig.model_validate({"rubric": {"path": "desk.toml"}})
    assert config.rubric.python == "off"
    with pytest.raises(RubricError, match="names no file"):
        Crew(Project(tmp_path, config), config).panel(config.jury)


def test_where_the_file_lies_is_not_in_the_fingerprint() -> None:
    configs = [RlaifConfig.model_validate({"rubric": {"python": name}}) for name in ("off", "a.py")]
    assert configs[0].fingerprint() == configs[1].fingerprint()


def test_score_is_what_the_file_imports() -> None:
    assert Score(value=1, critique="c").value == 1.0

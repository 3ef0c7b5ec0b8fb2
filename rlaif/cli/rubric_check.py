"""What ``rlaif rubric validate`` finds: errors, and what is allowed and seldom meant."""

import itertools
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlaif.cli.place import Place
from rlaif.cli.rubric_hidden import hidden_characters
from rlaif.config import CONFIG_NAME
from rlaif.errors import ConfigError, RubricError
from rlaif.judges.rubric import AnyCriterion, JudgeCriterion, Rubric, load_rubric
from rlaif.judges.taught import untaught
from rlaif.project import Project
from rlaif.text import normalised
from rlaif.toml_source import Location, TomlFile, dotted, read_toml

_BLOCK = re.compile(r"^\s*\[\[\s*(?:criteria|references)\s*\]\]")
_STAND_IN = """
[[criteria]]
name = "stands in for criteria that are wrong"
kind = "rule"
weight = 1.0
rule = { min_words = 1 }
"""
_BEST = frozenset(
    (
        *("best", "excellent", "great", "good", "right", "correct", "yes", "true", "always"),
        *("最好", "优", "优秀", "很好", "好", "正确", "对", "是"),
    )
)
_WORST = frozenset(
    (
        *("worst", "terrible", "bad", "poor", "wrong", "incorrect", "no", "false", "never"),
        *("最差", "差", "很差", "不好", "错误", "错", "否"),
    )
)
_TWO = 2
_LineOf = Callable[[Location], int | None]


@dataclass(frozen=True)
class Warned:
    """Something that is allowed and seldom meant.

    Attributes:
        line: Where it stands.
        seen: What was seen.
        action: What may be done.
    """

    line: int | None
    seen: str
    action: str

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}: "
        return f"{place}{self.seen}\n  to do: {self.action}"


@dataclass(frozen=True)
class Report:
    """What was found in a rubric file.

    Attributes:
        rubric: Its content; None where there is an error.
        errors: The first error of its head and of each criterion.
        warnings: What is allowed and seldom meant.
    """

    rubric: Rubric | None
    errors: tuple[RubricError, ...] = ()
    warnings: tuple[Warned, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "valid": self.rubric is not None,
            "content_hash": self.rubric and self.rubric.content_hash,
            "errors": [
                {"line": e.line, "seen": _bare(e), "expected": e.expected, "action": e.action}
                for e in self.errors
            ],
            "warnings": [asdict(warned) for warned in self.warnings],
        }


def check_rubric(place: Place, path: Path) -> Report:
    """Check a rubric file, and in a project whether that could judge by it.

    Raises:
        ConfigError: The project's settings are wrong.
    """
    errors = find_errors(path)
    if errors:
        return Report(None, tuple(errors))
    rubric = load_rubric(path)
    return Report(rubric, (), (*find_warnings(path, rubric), *find_misfits(place, rubric, path)))


def find_errors(path: Path) -> list[RubricError]:
    """Return what is wrong with a rubric file: the first error of its head and of each criterion.

    A criterion with an error is left out and the rest is read again, so that one slip does not
    hide the next. What is wrong with the head, or with the TOML itself, hides the rest.
    """
    errors: list[RubricError] = []
    with tempfile.TemporaryDirectory() as folder:
        tried = path
        while True:
            try:
                load_rubric(tried)
            except RubricError as exc:
                errors.append(
                    RubricError(_bare(exc), exc.expected, exc.action, path=path, line=exc.line)
                )
                text = _without_block(tried, exc.line)
                if text is None:
                    return errors
                tried = Path(folder, path.name)
                tried.write_text(text, encoding="utf-8")
            else:
                return errors


def find_warnings(path: Path, rubric: Rubric) -> list[Warned]:
    """Return what is allowed in a rubric and seldom meant, from the top of the file down."""
    source = read_toml(path, RubricError)
    line_of = source.line_of
    found = [*_about_each(rubric, line_of), *_about_two(rubric, line_of), *_about_hidden(source)]
    return sorted(found, key=lambda warned: warned.line or 0)


def find_misfits(place: Place, rubric: Rubric, path: Path) -> Iterator[Warned]:
    """Yield why the project could not judge by a rubric: its judge, their templates, its functions.

    Raises:
        ConfigError: The project's settings are wrong.
    """
    if not (place.root / CONFIG_NAME).is_file():
        return
    project = place.project()
    for check in (_check_templates, _check_code):
        try:
            check(project, rubric, path)
        except ConfigError as exc:
            yield Warned(None, f"the project could not judge by it: {_bare(exc)}", exc.action)
    found = untaught((*project.config.jury, *project.config.evaluation_jury), rubric)
    if found is not None:
        yield Warned(None, *found)


def _check_templates(project: Project, rubric: Rubric, _: Path) -> None:
    from rlaif.judges.asking import messages_of
    from rlaif.judges.rendering import load_templates

    judges = project.config.jury if rubric.judge_criteria else ()
    for name in dict.fromkeys(judge.template for judge in judges):
        templates = load_templates(name, project.root)
        kinds = ("pointwise", "pairwise", *messages_of(rubric.judge_criteria))
        templates.require(rubric.judge_criteria, kinds, reference=bool(rubric.references))


def _check_code(project: Project, rubric: Rubric, path: Path) -> None:
    from rlaif.judges.code_sources import load_code

    name = project.config.rubric.python
    load_code(rubric, path, None if name == "off" else project.file(name))


def _bare(exc: ConfigError) -> str:
    """Return what an error saw, without the place in front of it."""
    place = f"{exc.path}:{exc.line}: " if exc.line else f"{exc.path}: "
    return exc.seen.removeprefix(place)


def _without_block(path: Path, line: int | None) -> str | None:
    """Return a file's text without the criterion or reference on a line, None if there is none.

    Its lines stay as blank ones, so that the others keep their numbers.
    """
    if line is None:
        return None
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    starts = [place for place, text in enumerate(lines, start=1) if _BLOCK.match(text)]
    before = [start for start in starts if start <= line]
    if not before:
        return None
    end = next((start for start in starts if start > line), len(lines) + 1)
    kept = [text if not before[-1] <= n < end else "" for n, text in enumerate(lines, start=1)]
    text = "\n".join(kept)
    if _STAND_IN.strip() not in text:
        text += _STAND_IN
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    return text


def _about_each(rubric: Rubric, line_of: _LineOf) -> Iterator[Warned]:
    for place, criterion in enumerate(rubric.criteria):
        if criterion.weight == 0 and not criterion.veto:
            yield Warned(
                line_of(("criteria", place, "weight")),
                f"{criterion.name!r} has no weight and no veto: it is judged and decides nothing",
                "give it a weight or a veto, or take it out",
            )
        if isinstance(criterion, JudgeCriterion):
            line = line_of(("criteria", place, "choices"))
            yield from _about_choices(criterion, line)
            yield from _about_veto(criterion, line_of(("criteria", place, "threshold")))


def _about_choices(criterion: JudgeCriterion, line: int | None) -> Iterator[Warned]:
    choices = [normalised(choice) for choice in criterion.choices]
    if len(set(choices)) < len(choices):
        yield Warned(
            line,
            f"choices of {criterion.name!r} differ only in case, spaces or punctuation",
            "write phrases that a judge can tell apart",
        )
    if _goes_down(choices):
        yield Warned(
            line,
            f"choices of {criterion.name!r} look reversed: {criterion.choices[0]!r} comes first",
            "write them from worst to best",
        )


def _goes_down(choices: Sequence[str]) -> bool:
    """Tell whether choices are numbers that fall, or go from a word of praise to one of blame."""
    if all(choice.isdecimal() for choice in choices):
        numbers = [int(choice) for choice in choices]
        return numbers == sorted(numbers, reverse=True)
    return choices[0] in _BEST and choices[-1] in _WORST


def _about_veto(criterion: JudgeCriterion, line: int | None) -> Iterator[Warned]:
    last_but_one = (len(criterion.choices) - 2) / (len(criterion.choices) - 1)
    if criterion.broken_by(last_but_one) and len(criterion.choices) > _TWO:
        yield Warned(
            line,
            f"the veto of {criterion.name!r} is broken by all but {criterion.choices[-1]!r}: "
            f"{criterion.choices[-2]!r} scores {last_but_one:.2f}",
            "lower the threshold, unless that is meant",
        )


def _about_two(rubric: Rubric, line_of: _LineOf) -> Iterator[Warned]:
    numbered = list(enumerate(rubric.criteria))
    for (_, one), (place, two) in itertools.combinations(numbered, 2):
        if set(normalised(one.name).split()) == set(normalised(two.name).split()):
            yield Warned(
                line_of(("criteria", place, "name")),
                f"the names {one.name!r} and {two.name!r} are hard to tell apart",
                "rename one of them",
            )
        if _text_of(one) and _text_of(one) == _text_of(two):
            yield Warned(
                line_of(("criteria", place, "text")),
                f"{one.name!r} and {two.name!r} ask the judge the same",
                "say what each of them asks that the other does not, or merge them",
            )


def _about_hidden(source: TomlFile) -> Iterator[Warned]:
    for location, character in hidden_characters(source.data):
        yield Warned(
            source.line_of(location),
            f"{character} in {dotted(location)!r}: a judge reads it, and people do not see it",
            "take it out, unless that is meant",
        )


def _text_of(criterion: AnyCriterion) -> str:
    return normalised(criterion.text) if isinstance(criterion, JudgeCriterion) else ""

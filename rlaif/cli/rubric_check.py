"""What ``rlaif rubric validate`` finds: errors, and what is allowed and seldom meant."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rlaif.cli.place import Place
from rlaif.cli.rubric_hidden import hidden_characters
from rlaif.config import CONFIG_NAME
from rlaif.errors import ConfigError, RubricError
from rlaif.judges.rubric import JudgeCriterion, Rubric, examined
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
_SHOWN = 3


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
    errors: tuple[ConfigError, ...] = ()
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
    source, slips = _source(path)
    if source is None:
        return Report(None, tuple(slips))
    rubric, errors = examined(source)
    if rubric is None or slips:
        return Report(None, (*slips, *errors))
    warned = (*find_warnings(source, rubric), *find_misfits(place, rubric, path))
    return Report(rubric, (), warned)


def find_errors(path: Path) -> list[ConfigError]:
    """Return what is wrong with a rubric file: the first error of its head and of each criterion.

    What is wrong with the head hides the rest; so does what is no TOML outside of all criteria.
    """
    source, slips = _source(path)
    return slips if source is None else [*slips, *examined(source)[1]]


def find_warnings(source: TomlFile, rubric: Rubric) -> list[Warned]:
    """Return what is allowed in a rubric and seldom meant, from the top of the file down."""
    doubts = (*_about_each(rubric), *_about_alike(rubric), *_about_hidden(source))
    found = [Warned(source.line_of(place), seen, action) for place, seen, action in doubts]
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
    from rlaif.judges.asking import require_messages

    config = project.config
    require_messages(rubric, config.jury, config.judging, project.root)


def _check_code(project: Project, rubric: Rubric, path: Path) -> None:
    from rlaif.judges.code_sources import load_code

    load_code(rubric, path, project.functions)


def _bare(exc: ConfigError) -> str:
    """Return what an error saw, without the place in front of it."""
    place = f"{exc.path}:{exc.line}: " if exc.line else f"{exc.path}: "
    return exc.seen.removeprefix(place)


def _source(path: Path) -> tuple[TomlFile | None, list[ConfigError]]:
    """Read a rubric file; where a criterion is no TOML, without it, so that the rest is read too.

    Returns:
        The file, None where none of it can be read; and why it, or a criterion, cannot.
    """
    try:
        return read_toml(path, RubricError), []
    except RubricError as exc:
        text = None if exc.line is None else _without_block(path, exc.line)
        if text is None:
            return None, [exc]
        try:
            return TomlFile(path, text, RubricError), [exc]
        except RubricError:
            return None, [exc]


def _without_block(path: Path, line: int) -> str | None:
    """Return a file's text without the criterion or reference on a line, None if there is none.

    Its lines stay as blank ones, so that the others keep their numbers.
    """
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    starts = [place for place, text in enumerate(lines, start=1) if _BLOCK.match(text)]
    before = [start for start in starts if start <= line]
    if not before:
        return None
    end = next((start for start in starts if start > line), len(lines) + 1)
    kept = [text if not before[-1] <= n < end else "" for n, text in enumerate(lines, start=1)]
    return "\n".join(kept) + _STAND_IN


class _Doubt(NamedTuple):
    """Something that is seldom meant, and where; its line is looked up where it is told."""

    place: Location
    seen: str
    action: str


def _about_each(rubric: Rubric) -> Iterator[_Doubt]:
    for place, criterion in enumerate(rubric.criteria):
        if not criterion.decides:
            yield _Doubt(
                ("criteria", place, "weight"),
                f"{criterion.name!r} has no weight and no veto: it is judged and decides nothing",
                "give it a weight or a veto, or take it out",
            )
        if isinstance(criterion, JudgeCriterion):
            yield from _about_choices(criterion, ("criteria", place, "choices"))
            yield from _about_veto(criterion, ("criteria", place, "threshold"))


def _about_choices(criterion: JudgeCriterion, place: Location) -> Iterator[_Doubt]:
    choices = [normalised(choice) for choice in criterion.choices]
    if len(set(choices)) < len(choices):
        yield _Doubt(
            place,
            f"choices of {criterion.name!r} differ only in case, spaces or punctuation",
            "write phrases that a judge can tell apart",
        )
    if _goes_down(choices):
        yield _Doubt(
            place,
            f"choices of {criterion.name!r} look reversed: {criterion.choices[0]!r} comes first",
            "write them from worst to best",
        )


def _goes_down(choices: Sequence[str]) -> bool:
    """Tell whether choices are numbers that fall, or go from a word of praise to one of blame."""
    if all(choice.isdecimal() for choice in choices):
        numbers = [int(choice) for choice in choices]
        return numbers == sorted(numbers, reverse=True)
    return choices[0] in _BEST and choices[-1] in _WORST


def _about_veto(criterion: JudgeCriterion, place: Location) -> Iterator[_Doubt]:
    last_but_one = (len(criterion.choices) - 2) / (len(criterion.choices) - 1)
    if criterion.broken_by(last_but_one) and len(criterion.choices) > _TWO:
        yield _Doubt(
            place,
            f"the veto of {criterion.name!r} is broken by all but {criterion.choices[-1]!r}: "
            f"{criterion.choices[-2]!r} scores {last_but_one:.2f}",
            "lower the threshold, unless that is meant",
        )


def _about_alike(rubric: Rubric) -> Iterator[_Doubt]:
    """Yield a doubt about each group of criteria that are alike; its second one is its place."""
    numbered = list(enumerate(rubric.criteria))
    names = ((frozenset(normalised(c.name).split()), place) for place, c in numbered)
    for second, alike in _groups(rubric, names):
        yield _Doubt(
            ("criteria", second, "name"),
            f"the names {alike} are hard to tell apart",
            "rename all but one of them",
        )
    asked = [(place, c.text) for place, c in numbered if isinstance(c, JudgeCriterion)]
    texts = ((text, place) for place, said in asked if (text := normalised(said)))
    for second, alike in _groups(rubric, texts):
        yield _Doubt(
            ("criteria", second, "text"),
            f"{alike} ask the judge the same",
            "say what each of them asks that the others do not, or merge them",
        )


def _groups(
    rubric: Rubric, keyed: Iterable[tuple[str | frozenset[str], int]]
) -> Iterator[tuple[int, str]]:
    """Yield the second of each group of criteria with equal keys, and the names in that group."""
    groups: dict[str | frozenset[str], list[int]] = {}
    for key, place in keyed:
        groups.setdefault(key, []).append(place)
    for places in groups.values():
        if len(places) >= _TWO:
            yield places[1], _and_more([repr(rubric.criteria[place].name) for place in places])


def _about_hidden(source: TomlFile) -> Iterator[_Doubt]:
    for location, characters in hidden_characters(source.data):
        reads = "a judge reads it" if len(characters) == 1 else "a judge reads them"
        sees = "people do not see it" if len(characters) == 1 else "people do not see them"
        yield _Doubt(
            location,
            f"{_and_more(characters)} in {dotted(location)!r}: {reads}, and {sees}",
            "take it out, unless that is meant",
        )


def _and_more(words: Sequence[str]) -> str:
    """Join words as people do: the first ones, and how many more there are."""
    if len(words) > _SHOWN + 1:
        return f"{', '.join(words[:_SHOWN])} and {len(words) - _SHOWN} more"
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last

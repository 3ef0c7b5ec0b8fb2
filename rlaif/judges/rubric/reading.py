"""From a rubric file to a rubric; what is wrong in it is named with file, line and field."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from rlaif.errors import ConfigError, RubricError
from rlaif.judges.rubric.criteria import (
    KINDS,
    AnyCriterion,
    Example,
    JudgeCriterion,
    PairExample,
    RatingExample,
)
from rlaif.judges.rubric.fields import MAX_CRITERIA, Choices, Table, Text
from rlaif.judges.rubric.model import Reference, Rubric, problems_of, second_answers
from rlaif.text import quoted
from rlaif.toml_source import Location, TomlFile, read_toml

Data = dict[str, Any]
T = TypeVar("T")
_PAIR_KEYS = PairExample.model_fields.keys() - RatingExample.model_fields.keys()


class _Head(Table):
    """The file's outer level; its criteria and references are read one by one."""

    name: Text
    version: Text
    language: Text
    scale: Choices | None = None
    criteria: Annotated[list[Data], Field(min_length=1)]
    references: Annotated[list[Data], Field(default_factory=list)]


class _Examples(Table):
    """A judge criterion's examples, before they are read one by one."""

    examples: list[Data]


class _Place(TomlFile):
    """A table inside a TOML file, so that its errors name the right line of the whole file.

    A reference has no name of its own: what is wrong in it is told with its place.
    """

    def __init__(self, whole: TomlFile, location: Location, data: Data) -> None:
        self.path = whole.path
        self.data = data
        self._whole = whole
        self._error = whole._error
        self._location = location
        self._within = location if location[0] == "references" else ()

    def line_of(self, location: Location) -> int | None:
        """Return the line of ``location``, which is relative to this table."""
        return self._whole.line_of(self._location + location)


def load_rubric(path: Path) -> Rubric:
    """Read a rubric file.

    It is only read: the functions of its python criteria are found by ``load_code``.

    Raises:
        RubricError: It is missing, not TOML, or not a rubric; with file, line and field.
    """
    rubric, errors = examined(read_toml(path, RubricError))
    if rubric is None:
        raise errors[0]
    return rubric


def asks_the_same(path: Path, text: str) -> bool:
    """Tell whether a rubric file asks what a text asks: names, notes and comments ask nothing.

    What is no rubric, or is none any more, asks nothing either.
    """
    now = _content_hash(path, None)
    return now is not None and now == _content_hash(path, text)


def _content_hash(path: Path, text: str | None) -> str | None:
    """Return the content hash of a file, or of a text in its place; None where it is no rubric."""
    try:
        if text is None:
            source = read_toml(path, RubricError)
        else:
            source = TomlFile(path, text.removeprefix("\ufeff"), RubricError)
    except RubricError:
        return None
    rubric, _ = examined(source)
    return None if rubric is None else rubric.content_hash


def examined(source: TomlFile) -> tuple[Rubric | None, list[ConfigError]]:
    """Read a rubric, and find the first error of its head, and of each reference and criterion.

    What is wrong with the head hides the rest.

    Returns:
        The rubric, None where there is an error; and the errors.
    """
    try:
        head = source.validate(_Head)
        _check_count(source, head)
    except ConfigError as exc:
        return None, [exc]
    errors: list[ConfigError] = []
    references = _each(
        lambda place, table: _reference(source, place, table), head.references, errors
    )
    criteria = _each(
        lambda place, table: _criterion(source, place, table, head), head.criteria, errors
    )
    errors += _errors_together(source, references, criteria, alone=not errors)
    if errors:
        return None, errors
    rubric = Rubric(
        name=head.name,
        version=head.version,
        language=head.language,
        scale=head.scale,
        criteria=tuple(criteria.values()),
        references=tuple(references.values()),
    )
    return rubric, []


def _check_count(source: TomlFile, head: _Head) -> None:
    """Refuse more criteria than a judge could be asked about.

    Raises:
        RubricError: There are more.
    """
    if len(head.criteria) > MAX_CRITERIA:
        raise RubricError(
            f"{len(head.criteria)} criteria",
            f"at most {MAX_CRITERIA}",
            "merge some of them, or leave them out",
            path=source.path,
            line=source.line_of(("criteria", MAX_CRITERIA)),
        )


def _each(
    read: Callable[[int, Data], T], tables: Sequence[Data], errors: list[ConfigError]
) -> dict[int, T]:
    """Read tables by place; of each that cannot be read, the error is kept instead."""
    found = {}
    for place, table in enumerate(tables):
        try:
            found[place] = read(place, table)
        except ConfigError as exc:
            errors.append(exc)
    return found


def _errors_together(
    source: TomlFile,
    references: dict[int, Reference],
    criteria: dict[int, AnyCriterion],
    *,
    alone: bool,
) -> Iterator[ConfigError]:
    """Yield what is wrong with tables that are right one by one.

    Args:
        source: The file.
        references: Those that can be read, by place.
        criteria: Those that can be read, by place.
        alone: Nothing else is wrong: only then can it be told what their weights sum to.
    """
    for found in second_answers(references.items()):
        yield source.contradiction(found)
    for problem in problems_of(criteria.items()):
        if problem.field == "name" or alone:
            line = source.line_of(("criteria", problem.criterion, problem.field))
            yield RubricError(
                problem.seen, problem.expected, problem.action, path=source.path, line=line
            )


def _reference(source: TomlFile, index: int, data: Data) -> Reference:
    return _Place(source, ("references", index), data).validate(Reference)


def _criterion(source: TomlFile, index: int, data: Data, head: _Head) -> AnyCriterion:
    location: Location = ("criteria", index)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise _unknown_kind(source, location, data)
    place = _Place(source, location, data)
    if KINDS[kind] is not JudgeCriterion:
        return place.validate(KINDS[kind])
    scale = {} if head.scale is None else {"choices": head.scale}
    examples = {"examples": _examples(place)} if "examples" in data else {}
    return place.validate(JudgeCriterion, scale | data | examples)


def _examples(criterion: _Place) -> tuple[Example, ...]:
    listed = criterion.validate(_Examples, {"examples": criterion.data["examples"]}).examples
    return tuple(_example(_Place(criterion, ("examples", i), d)) for i, d in enumerate(listed))


def _example(place: _Place) -> Example:
    if _PAIR_KEYS & place.data.keys():
        return place.validate(PairExample)
    return place.validate(RatingExample)


def _unknown_kind(source: TomlFile, location: Location, data: Data) -> RubricError:
    kind = data.get("kind")
    near = difflib.get_close_matches(str(kind), KINDS, n=1)
    return RubricError(
        f"kind = {quoted(kind)}" if "kind" in data else "a criterion without a kind",
        f"one of: {', '.join(KINDS)}",
        f"write kind = {near[0]!r}" if near else "choose a kind",
        path=source.path,
        line=source.line_of((*location, "kind")),
    )

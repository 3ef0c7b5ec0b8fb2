"""From a rubric file to a rubric; what is wrong in it is named with file, line and field."""

import difflib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rlaif.errors import RubricError
from rlaif.judges.rubric.criteria import (
    KINDS,
    AnyCriterion,
    Example,
    JudgeCriterion,
    PairExample,
    RatingExample,
)
from rlaif.judges.rubric.fields import Choices, Table, Text
from rlaif.judges.rubric.model import References, Rubric, problem_of
from rlaif.text import quoted
from rlaif.toml_source import Location, TomlFile, read_toml

Data = dict[str, Any]
_PAIR_KEYS = PairExample.model_fields.keys() - RatingExample.model_fields.keys()


class _Head(Table):
    """The file's outer level; its criteria are read one by one, by kind."""

    name: Text
    version: Text
    language: Text
    scale: Choices | None = None
    criteria: Annotated[list[Data], Field(min_length=1)]
    references: References = ()


class _Examples(Table):
    """A judge criterion's examples, before they are read one by one."""

    examples: list[Data]


class _Place(TomlFile):
    """A table inside a TOML file, so that its errors name the right line of the whole file."""

    def __init__(self, whole: TomlFile, location: Location, data: Data) -> None:
        self.path = whole.path
        self.data = data
        self._whole = whole
        self._error = whole._error
        self._location = location

    def line_of(self, location: Location) -> int | None:
        """Return the line of ``location``, which is relative to this table."""
        return self._whole.line_of(self._location + location)


def load_rubric(path: Path) -> Rubric:
    """Read a rubric file.

    It is only read: the functions of its python criteria are found by ``load_code``.

    Raises:
        RubricError: It is missing, not TOML, or not a rubric; with file, line and field.
    """
    source = read_toml(path, RubricError)
    head = source.validate(_Head)
    criteria = tuple(_criterion(source, i, data, head) for i, data in enumerate(head.criteria))
    problem = problem_of(criteria)
    if problem:
        line = source.line_of(("criteria", problem.criterion, problem.field))
        raise RubricError(
            problem.seen, problem.expected, problem.action, path=source.path, line=line
        )
    return Rubric(
        name=head.name,
        version=head.version,
        language=head.language,
        scale=head.scale,
        criteria=criteria,
        references=head.references,
    )


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

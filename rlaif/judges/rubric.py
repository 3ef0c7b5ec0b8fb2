"""The rubric file: what good means, as strict data.

A criterion is of kind ``judge``, ``rule`` or ``embedding``; unknown kinds, unknown keys, weights
that cannot be weighed and patterns that do not compile are refused with file, line and field.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rlaif.errors import RubricError
from rlaif.judges.wording import LANGUAGES
from rlaif.records import digest_of
from rlaif.toml_source import Location, TomlFile, read_toml

MAX_CHOICES = 9


def _with_words(text: str) -> str:
    if not text.strip():
        raise ValueError("a text that is not blank")
    return text


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _compiling(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"a regular expression; this one has an error: {exc}") from exc
    return pattern


def _different(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(texts)) < len(texts):
        raise ValueError("texts that all differ")
    return texts


def _known_language(code: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(f"one of: {', '.join(sorted(LANGUAGES))}")
    return code


Text = Annotated[str, AfterValidator(_with_words)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
Pattern = Annotated[Text, AfterValidator(_compiling)]
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1, strict=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Choices = Annotated[
    tuple[Text, ...],
    Field(min_length=2, max_length=MAX_CHOICES, strict=False),
    AfterValidator(_different),
]


class _Table(BaseModel):
    """Base of a rubric's tables: frozen, strict, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class RuleSpec(_Table):
    """What a rule asks of an answer; every key that is present is one part of its score.

    Texts and patterns may be one or a list: every pattern of ``must_match`` has to be found, no
    pattern of ``must_not_match``, and one text of ``starts_with`` and ``ends_with`` is enough.
    ``max_repetition`` is the share of word trigrams that repeat an earlier one.
    """

    min_words: Count | None = None
    max_words: Count | None = None
    must_match: Patterns | None = None
    must_not_match: Patterns | None = None
    starts_with: Texts | None = None
    ends_with: Texts | None = None
    max_repetition: Share | None = None
    language: Annotated[str, AfterValidator(_known_language)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_text_is_a_list(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        lists = ("must_match", "must_not_match", "starts_with", "ends_with")
        return {key: _listed(value) if key in lists else value for key, value in data.items()}

    @field_validator("max_words")
    @classmethod
    def _room_between(cls, value: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min_words")
        if value is not None and least is not None and value < least:
            raise ValueError(f"at least min_words = {least}")
        return value

    @model_validator(mode="after")
    def _asks_something(self) -> "RuleSpec":
        if not self.model_fields_set:
            raise ValueError(f"one or more of: {', '.join(type(self).model_fields)}")
        return self


class Criterion(_Table):
    """What all kinds have: a name, a weight, and maybe a veto.

    With ``veto = true`` an answer that scores below ``threshold`` here scores 0 on the rubric.
    ``description`` is for people; no judge sees it.
    """

    name: Text
    weight: Weight
    veto: bool = False
    threshold: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(None, validate_default=True)
    description: str = ""

    @field_validator("threshold")
    @classmethod
    def _goes_with_veto(cls, value: float | None, info: ValidationInfo) -> float | None:
        if info.data.get("veto") and value is None:
            raise ValueError("a number beside veto = true: the score below which it is broken")
        if value is not None and not info.data.get("veto"):
            raise ValueError("no threshold without veto = true")
        return value

    def broken_by(self, score: float) -> bool:
        """Tell whether ``score`` breaks this criterion's veto."""
        return self.veto and self.threshold is not None and score < self.threshold


class JudgeCriterion(Criterion):
    """A criterion that a judge model decides.

    ``text`` says what to look for; ``choices`` go from worst to best, one line for each.
    """

    kind: Literal["judge"]
    text: Text
    choices: Choices


class RuleCriterion(Criterion):
    """A criterion that code decides from the answer's text alone."""

    kind: Literal["rule"]
    rule: RuleSpec


class EmbeddingCriterion(Criterion):
    """A criterion that an embedder decides: nearness to anchor texts, or to the prompt."""

    kind: Literal["embedding"]
    near: Texts | None = None
    to: Literal["prompt"] | None = Field(None, validate_default=True)

    @field_validator("to")
    @classmethod
    def _one_target(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (value is None) == (info.data.get("near") is None):
            raise ValueError('either near = ["text", ...] or to = "prompt"')
        return value


AnyCriterion = JudgeCriterion | RuleCriterion | EmbeddingCriterion
KINDS: dict[str, type[JudgeCriterion | RuleCriterion | EmbeddingCriterion]] = {
    "judge": JudgeCriterion,
    "rule": RuleCriterion,
    "embedding": EmbeddingCriterion,
}


class _Problem(NamedTuple):
    """What is wrong with criteria that are right one by one, and where."""

    criterion: int
    field: str
    seen: str
    expected: str
    action: str


class Rubric(_Table):
    """A rubric: criteria with unique names whose finite weights sum to more than 0."""

    name: Text
    version: Text
    language: Text
    criteria: tuple[AnyCriterion, ...]

    @model_validator(mode="after")
    def _can_be_weighed(self) -> "Rubric":
        problem = _problem_of(self.criteria)
        if problem:
            raise ValueError(f"{problem.seen}; expected: {problem.expected}")
        return self

    @property
    def judge_criteria(self) -> tuple[JudgeCriterion, ...]:
        """The criteria that need a judge model, in the file's order."""
        return tuple(c for c in self.criteria if isinstance(c, JudgeCriterion))

    @property
    def embedding_criteria(self) -> tuple[EmbeddingCriterion, ...]:
        """The criteria that need an embedder, in the file's order."""
        return tuple(c for c in self.criteria if isinstance(c, EmbeddingCriterion))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all in the file that can change a score: name, version, notes left out."""
        return digest_of(
            [c.model_dump(mode="json", exclude={"description"}) for c in self.criteria]
        )


class _Head(_Table):
    """The file's outer level; its criteria are read one by one, by kind."""

    name: Text
    version: Text
    language: Text
    criteria: Annotated[list[dict[str, Any]], Field(min_length=1)]


class _Place(TomlFile):
    """A table inside a TOML file, so that its errors name the right line of the whole file."""

    def __init__(self, whole: TomlFile, location: Location, data: dict[str, Any]) -> None:
        self.path = whole.path
        self.data = data
        self._lines = whole._lines
        self._error = whole._error
        self._location = location

    def line_of(self, location: Location) -> int | None:
        """Return the line of ``location``, which is relative to this table."""
        return super().line_of(self._location + location)


def load_rubric(path: Path) -> Rubric:
    """Read a rubric file.

    Raises:
        RubricError: It is missing, not TOML, or not a rubric; with file, line and field.
    """
    source = read_toml(path, RubricError)
    head = source.validate(_Head)
    criteria = tuple(_criterion(source, i, data) for i, data in enumerate(head.criteria))
    problem = _problem_of(criteria)
    if problem:
        line = source.line_of(("criteria", problem.criterion, problem.field))
        raise RubricError(
            problem.seen, problem.expected, problem.action, path=source.path, line=line
        )
    return Rubric(name=head.name, version=head.version, language=head.language, criteria=criteria)


def rubric_hash(
    rubric: Rubric,
    *,
    templates: Mapping[str, str],
    judge: str,
    embedder: str,
    settings: Mapping[str, float | str],
) -> str:
    """Return the hash that labels carry: it changes with anything that can change a label.

    Args:
        rubric: The rubric.
        templates: The judge templates' texts by name, empty where no judge is asked.
        judge: The judge's digest, empty where none is asked.
        embedder: The embedder's digest, empty where none is asked.
        settings: How verdicts become labels (temperatures, weights, thresholds, protocol).
    """
    return digest_of([rubric.content_hash, dict(templates), judge, embedder, dict(settings)])


def _criterion(source: TomlFile, index: int, data: dict[str, Any]) -> AnyCriterion:
    location: Location = ("criteria", index)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise _unknown_kind(source, location, data)
    return _Place(source, location, data).validate(KINDS[kind])


def _unknown_kind(source: TomlFile, location: Location, data: dict[str, Any]) -> RubricError:
    kind = data.get("kind")
    near = difflib.get_close_matches(str(kind), KINDS, n=1)
    return RubricError(
        f"kind = {kind!r}" if "kind" in data else "a criterion without a kind",
        f"one of: {', '.join(KINDS)}",
        f"write kind = {near[0]!r}" if near else "choose a kind",
        path=source.path,
        line=source.line_of((*location, "kind")),
    )


def _problem_of(criteria: Sequence[AnyCriterion]) -> _Problem | None:
    names = [criterion.name for criterion in criteria]
    for index, name in enumerate(names):
        if name in names[:index]:
            seen = f"a second criterion named {name!r}"
            return _Problem(index, "name", seen, "names that all differ", "rename one of them")
    total = sum(criterion.weight for criterion in criteria)
    if not 0.0 < total < math.inf:
        seen, action = f"weights that sum to {total:g}", "give at least one criterion a weight"
        return _Problem(0, "weight", seen, "a finite sum above 0", action)
    return None

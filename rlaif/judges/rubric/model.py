"""A rubric: criteria that can be weighed, reference answers, and the hash over both."""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from rlaif.judges.rubric.criteria import (
    AnyCriterion,
    EmbeddingCriterion,
    JudgeCriterion,
    PythonCriterion,
)
from rlaif.judges.rubric.fields import Choices, Table, Text
from rlaif.records import digest_of
from rlaif.toml_source import ContradictionError


class Reference(Table):
    """A good answer to a prompt, which is shown to the judge beside what it judges."""

    prompt: Text
    answer: Text


def second_answers(references: Iterable[tuple[int, Reference]]) -> Iterator[ContradictionError]:
    """Yield each of some numbered references that answers a prompt anew."""
    seen: set[str] = set()
    for place, reference in references:
        if (key := _key(reference.prompt)) in seen:
            yield ContradictionError(
                ("references", place, "prompt"),
                "has a reference answer already",
                "keep one of them",
            )
        seen.add(key)


def _one_answer_each(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
    for found in second_answers(enumerate(references)):
        raise found
    return references


References = Annotated[tuple[Reference, ...], Field(strict=False), AfterValidator(_one_answer_each)]


class Problem(NamedTuple):
    """What is wrong with criteria that are right one by one, and where."""

    criterion: int
    field: str
    seen: str
    expected: str
    action: str


class Rubric(Table):
    """A rubric: criteria with unique names whose finite weights sum to more than 0.

    ``scale`` holds the choices of the judge criteria that have none of their own in the file; here
    each criterion has its choices.
    """

    name: Text
    version: Text
    language: Text
    scale: Choices | None = None
    criteria: tuple[AnyCriterion, ...]
    references: References = ()

    @model_validator(mode="after")
    def _can_be_weighed(self) -> "Rubric":
        for problem in problems_of(enumerate(self.criteria)):
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

    @property
    def python_criteria(self) -> tuple[PythonCriterion, ...]:
        """The criteria that need a function, in the file's order."""
        return tuple(c for c in self.criteria if isinstance(c, PythonCriterion))

    def reference_for(self, prompt_text: str) -> str | None:
        """Return the reference answer to a prompt, or None.

        Args:
            prompt_text: The prompt's text; its normal form NFC, stripped, is what is looked up.
        """
        return self._references.get(_key(prompt_text))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all in the file that can change a score: name, version, notes left out.

        A scale counts as the choices that it gives. Without references and worked examples it is
        what it was before rubrics could have any.
        """
        criteria = [c.content for c in self.criteria]
        if not self.references:
            return digest_of(criteria)
        references = [reference.model_dump() for reference in self.references]
        return digest_of({"criteria": criteria, "references": references})

    @cached_property
    def _references(self) -> dict[str, str]:
        return {_key(reference.prompt): reference.answer for reference in self.references}


def rubric_hash(
    rubric: Rubric,
    *,
    templates: Mapping[str, str],
    judge: str,
    embedder: str,
    settings: Mapping[str, float | str],
    code: Mapping[str, str] | None = None,
) -> str:
    """Return the hash that labels carry: it changes with anything that can change a label.

    Args:
        rubric: The rubric.
        templates: The judge templates' texts by name, empty where no judge is asked.
        judge: The judge's digest, empty where none is asked.
        embedder: The embedder's digest, empty where none is asked.
        settings: How verdicts become labels (temperatures, weights, thresholds, protocol).
        code: Digests of the functions of python criteria by name, where there are any.
    """
    parts = [rubric.content_hash, dict(templates), judge, embedder, dict(settings)]
    return digest_of([*parts, dict(code)] if code else parts)


def problems_of(criteria: Iterable[tuple[int, AnyCriterion]]) -> Iterator[Problem]:
    """Yield what keeps numbered criteria that are right one by one from making a rubric.

    Each name that stands there already; where there is none, weights that cannot be weighed.
    """
    names: set[str] = set()
    total, twice = 0.0, False
    for place, criterion in criteria:
        if criterion.name in names:
            seen, twice = f"a second criterion named {criterion.name!r}", True
            yield Problem(place, "name", seen, "names that all differ", "rename one of them")
        names.add(criterion.name)
        total += criterion.weight
    if not twice and not 0.0 < total < math.inf:
        seen, action = f"weights that sum to {total:g}", "give at least one criterion a weight"
        yield Problem(0, "weight", seen, "a finite sum above 0", action)


def _key(prompt_text: str) -> str:
    return unicodedata.normalize("NFC", prompt_text).strip()

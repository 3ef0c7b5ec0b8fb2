"""Criteria that are functions: the contract of such a function, and how one is run.

A function is called with a prompt, a completion and a context, and returns a ``Score`` or
``Unscored`` with a reason. Whatever it raises or returns besides is *unscored*, with the line of
its file: never a score, a default or a tie. It has no time limit. The same arguments must give the
same result, as a cycle that was killed and resumed must end like one that was not.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, Field, ValidationError

from rlaif.judges.foreign import (
    ForeignError,
    guarded,
    line_in,
    printing_aside,
    shown,
    words_of,
)
from rlaif.judges.rubric import PythonCriterion, Rubric
from rlaif.records import Completion, Prompt, Rating, Record, Unscored
from rlaif.text import writable


def _readable(text: str) -> str:
    if not text.strip():
        raise ValueError("a critique that is not blank")
    if writable(text) != text:
        raise ValueError("a critique without lone surrogates")
    return text


class Score(Record):
    """What a function says of an answer: a number in [0, 1], 1 being best, and why, in words."""

    value: Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
    critique: Annotated[str, Field(strict=True), AfterValidator(_readable)]


class CriterionContext(Record):
    """What a function is told beside prompt and completion.

    Attributes:
        rubric: The rubric's name.
        criterion: The criterion's name.
        options: The criterion's ``options``, JSON values; a copy of its own for each call.
        reference: The reference answer to the prompt, where the rubric has one.
    """

    rubric: str
    criterion: str
    options: dict[str, Any]
    reference: str | None = None


class CriterionFunction(Protocol):
    """A function that judges an answer; all three arguments are given by position."""

    def __call__(
        self, prompt: Prompt, completion: Completion, context: CriterionContext, /
    ) -> Score | Unscored:
        """Return a score, or unscored with a reason."""
        ...


@dataclass(frozen=True)
class LoadedFunction:
    """A function of a python criterion, found and checked.

    Attributes:
        name: What the rubric calls it.
        call: The function.
        file: Where it stands; reasons name lines of this file.
        digest: Over the code that it came from.
    """

    name: str
    call: CriterionFunction
    file: Path
    digest: str


@printing_aside()
def judge_by_code(
    rubric: Rubric,
    criterion: PythonCriterion,
    function: LoadedFunction,
    prompt: Prompt,
    completion: Completion,
) -> tuple[Rating | Unscored, str]:
    """Score an answer by a function.

    Returns:
        The rating and why, in the function's words; unscored where it said so, raised an exception
        or returned anything but a score from 0 to 1 with a critique.
    """
    context = CriterionContext(
        rubric=rubric.name,
        criterion=criterion.name,
        options=copy.deepcopy(criterion.options),
        reference=rubric.reference_for(prompt.text),
    )
    try:
        with guarded():
            said: object = function.call(prompt, completion, context)
    except ForeignError as theirs:
        return Unscored(reason=_raised(function, theirs.raised)), ""
    try:
        return _read(function, said)
    except (ValidationError, AttributeError) as exc:
        what = type(said).__name__
        return Unscored(reason=f"{function.name} returned a broken {what}: {words_of(exc)}"), ""


def digests_of(functions: Mapping[str, LoadedFunction]) -> dict[str, str]:
    """Return the digest of each function by name, as the rubric's hash takes them."""
    return {name: function.digest for name, function in functions.items()}


def _read(function: LoadedFunction, said: object) -> tuple[Rating | Unscored, str]:
    """Check what a function returned anew, as records can be made without their checks."""
    if isinstance(said, Unscored):
        return Unscored(reason=writable(said.reason)), ""
    if isinstance(said, Score):
        score = Score(value=said.value, critique=said.critique)
        return Rating(score=score.value), score.critique
    seen = shown(said)
    return Unscored(reason=f"{function.name} returned {seen}, not a Score or Unscored"), ""


def _raised(function: LoadedFunction, exc: BaseException) -> str:
    line = line_in(function.file, exc)
    place = function.file.name if line is None else f"{function.file.name}, line {line}"
    return f"{function.name} raised {words_of(exc)} ({place})"

"""The kinds of criteria, each as strict data: ``judge``, ``rule``, ``embedding``, ``python``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from rlaif.judges.patterns import ENGINE
from rlaif.judges.rubric.fields import (
    Choices,
    Count,
    JsonTable,
    Language,
    Patterns,
    PythonName,
    Share,
    Table,
    Text,
    Texts,
    Weight,
)
from rlaif.text import quoted
from rlaif.toml_source import ContradictionError

GradedBy = Literal["choices", "errors", "critique"]


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class RuleSpec(Table):
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
    language: Language | None = None

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


class RatingExample(Table):
    """A worked example for a judge: an answer, what is to be said of it, and the choice."""

    prompt: Text
    answer: str
    critique: Text
    choice: Text


class PairExample(Table):
    """A worked example for a judge: two answers, what is to be said of them, and the better."""

    prompt: Text
    first: str
    second: str
    critique: Text
    better: Literal["first", "second"]


Example = RatingExample | PairExample


class Criterion(Table):
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

    @property
    def decides(self) -> bool:
        """Whether it can change a score at all: it has a weight or a veto."""
        return self.weight > 0.0 or self.veto

    def broken_by(self, score: float) -> bool:
        """Tell whether ``score`` breaks this criterion's veto."""
        return self.veto and self.threshold is not None and score < self.threshold

    @property
    def content(self) -> dict[str, Any]:
        """All in this criterion that can change a score, as JSON values."""
        return self.model_dump(mode="json", exclude={"description"})


class JudgeCriterion(Criterion):
    """A criterion that a judge model decides.

    ``text`` says what to look for; ``choices`` go from worst to best, one line for each.
    ``examples`` are shown to the judge: those with one answer where it rates, those with two where
    it compares. ``graded_by`` says what a rating is read from: the judge's verdict on the
    ``choices``, the ``errors`` that it marks in the answer, or a ``critique`` in free words, which
    it then grades without seeing the answer. Pairs are compared in the same way under all of them.
    """

    kind: Literal["judge"]
    text: Text
    choices: Choices
    graded_by: GradedBy = "choices"
    examples: tuple[Example, ...] = ()

    @field_validator("examples")
    @classmethod
    def _choices_are_known(
        cls, examples: tuple[Example, ...], info: ValidationInfo
    ) -> tuple[Example, ...]:
        choices = info.data.get("choices")
        for place, example in enumerate(examples):
            if choices and isinstance(example, RatingExample) and example.choice not in choices:
                raise ContradictionError(
                    ("examples", place, "choice"),
                    f"= {quoted(example.choice)} is none of the criterion's choices",
                    f"take one of: {', '.join(map(repr, choices))}",
                )
        return examples

    def faulted(self, score: float) -> bool:
        """Tell whether a rating is below the best choice, by more than half a step."""
        return score < 1.0 - 0.5 / (len(self.choices) - 1)

    @property
    def rating_examples(self) -> tuple[RatingExample, ...]:
        """The worked examples with one answer."""
        return tuple(e for e in self.examples if isinstance(e, RatingExample))

    @property
    def pair_examples(self) -> tuple[PairExample, ...]:
        """The worked examples with two answers."""
        return tuple(e for e in self.examples if isinstance(e, PairExample))

    @property
    def content(self) -> dict[str, Any]:
        """As for every criterion; what is not used is left out, so that older hashes hold."""
        unused = set() if self.examples else {"examples"}
        unused |= {"graded_by"} if self.graded_by == "choices" else set()
        return self.model_dump(mode="json", exclude={"description", *unused})


class RuleCriterion(Criterion):
    """A criterion that code decides from the answer's text alone."""

    kind: Literal["rule"]
    rule: RuleSpec

    @property
    def content(self) -> dict[str, Any]:
        """As for every criterion; where there are patterns, with what looks for them."""
        patterns = self.rule.must_match or self.rule.must_not_match
        return super().content | ({"patterns": ENGINE} if patterns else {})


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


class PythonCriterion(Criterion):
    """A criterion that a function of the owner's decides; see ``rlaif.judges.code_criteria``.

    ``options`` are JSON values that the function is given at each call.
    """

    kind: Literal["python"]
    function: PythonName
    options: JsonTable = Field(default_factory=dict)


AnyCriterion = JudgeCriterion | RuleCriterion | EmbeddingCriterion | PythonCriterion
KINDS: dict[str, type[AnyCriterion]] = {
    "judge": JudgeCriterion,
    "rule": RuleCriterion,
    "embedding": EmbeddingCriterion,
    "python": PythonCriterion,
}

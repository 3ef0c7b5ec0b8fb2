"""Whatever a function of the owner's does, it is a score, or unscored with a reason."""

from asyncio import CancelledError
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_samples import completion, prompt, rubric, rule_criterion
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from rlaif.config import JudgingConfig
from rlaif.errors import ModelError
from rlaif.judges import (
    CriterionContext,
    LoadedFunction,
    PythonCriterion,
    Reference,
    Rubric,
    RubricJudge,
    Score,
    load_code,
)
from rlaif.judges.code_criteria import judge_by_code
from rlaif.records import Completion, Judgement, Prompt, Rating, Unscored

PROMPT = prompt("Wie spät ist es?")
ANSWER = completion("a", "十二点。🕛")
OPTIONS = {"words": ["a", "b"], "deep": {"n": 1}}


def criterion(function: str = "f", weight: float = 1.0, **rest: Any) -> PythonCriterion:
    return PythonCriterion(
        name=f"by {function}", kind="python", weight=weight, function=function, **rest
    )


def with_code(*criteria: Any, references: tuple[Reference, ...] = ()) -> Rubric:
    return Rubric(name="desk", version="1", language="en", criteria=criteria, references=references)


def loaded(call: Any, name: str = "f", digest: str = "d") -> LoadedFunction:
    return LoadedFunction(name, call, Path(__file__), digest)


def ask(call: Any, **options: Any) -> tuple[Rating | Unscored, str]:
    one = criterion(options=options)
    return judge_by_code(with_code(one), one, loaded(call), PROMPT, ANSWER)


def reason(call: Any) -> str:
    verdict, critique = ask(call)
    assert isinstance(verdict, Unscored)
    assert critique == ""
    return verdict.reason


def here(marker: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (line,) = (n for n, text in enumerate(lines, start=1) if text.endswith(f"# {marker}"))
    return line


def test_a_score_is_a_rating_with_its_critique() -> None:
    assert ask(lambda *_: Score(value=0.25, critique="Zu spät.")) == (
        Rating(score=0.25),
        "Zu spät.",
    )


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0])
def test_both_ends_are_scores(value: float) -> None:
    assert ask(lambda *_: Score(value=value, critique="c"))[0] == Rating(score=float(value))


@given(st.floats() | st.integers())
def test_only_numbers_from_0_to_1_are_scores(value: float) -> None:
    verdict, critique = ask(lambda *_: Score(value=value, critique="c"))
    if 0 <= value <= 1:
        assert (verdict, critique) == (Rating(score=float(value)), "c")
    else:
        assert isinstance(verdict, Unscored)
        assert "ValidationError: value = " in verdict.reason


def custom(kind: str, context: dict[str, Any] | None = None) -> AfterValidator:
    def refuse(_: object) -> object:
        raise PydanticCustomError(kind, "no colour", context)  # type: ignore[arg-type]

    return AfterValidator(refuse)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (
            Annotated[date, Field(gt=date(2024, 1, 1))],
            date(2020, 1, 1),
            "= a date, expected: greater than 2024-01-01",
        ),
        (
            Annotated[timedelta, Field(le=timedelta(2))],
            timedelta(5),
            "= a timedelta, expected: less than or equal to 2 days",
        ),
        (
            Annotated[Decimal, Field(gt=Decimal("1E+400"))],
            Decimal(0),
            "= a Decimal, expected: a number above 1E+400",
        ),
        (Annotated[int, custom("value_error")], 1, "= 1: no colour"),
        (Annotated[int, custom("greater_than")], 1, "= 1, expected: no colour"),
        (Annotated[int, custom("too_long", {"max_length": "x"})], 1, "= 1, expected: no colour"),
        (Annotated[int, custom("colour")], None, "= an int of 16,610 bits, expected: no colour"),
    ],
)
def test_whatever_pydantic_refuses_in_a_function_is_unscored(
    kind: Any, value: object, words: str
) -> None:
    given_ = 10**5000 if value is None else value
    said = reason(lambda *_: TypeAdapter(kind).validate_python(given_))
    assert said.startswith("f raised ValidationError: ")
    assert f"{words} (" in said


class Nameless(type):
    @property
    def __name__(cls) -> str:
        raise RuntimeError("no name")


class Colour(metaclass=Nameless):
    pass


def test_an_error_that_cannot_be_told_is_unscored() -> None:
    said = reason(lambda *_: TypeAdapter(int).validate_python(Colour()))
    assert said.startswith("f raised ValidationError: its message cannot be read (RuntimeError)")


def test_a_number_that_python_does_not_write_is_unscored() -> None:
    said = reason(lambda *_: 10**5000)
    assert said == "f returned an int of 16,610 bits, not a Score or Unscored"


def test_unscored_keeps_its_reason() -> None:
    assert ask(lambda *_: Unscored(reason="no clock")) == (Unscored(reason="no clock"), "")


def test_the_function_sees_prompt_completion_and_context() -> None:
    seen: list[tuple[Prompt, Completion, CriterionContext]] = []

    def look(*given_: Any) -> Score:
        seen.append(given_)  # type: ignore[arg-type]
        return Score(value=1.0, critique="c")

    one = criterion(options=OPTIONS)
    references = (Reference(prompt=" Wie spa\u0308t ist es?", answer="Zwölf."),)
    judge_by_code(with_code(one, references=references), one, loaded(look), PROMPT, ANSWER)
    context = CriterionContext(rubric="desk", criterion="by f", options=OPTIONS, reference="Zwölf.")
    assert seen == [(PROMPT, ANSWER, context)]
    with pytest.raises(ValidationError, match="frozen"):
        context.rubric = "other"  # type: ignore[misc]


def test_a_function_cannot_change_its_options() -> None:
    def spoil(_p: Prompt, _c: Completion, context: CriterionContext) -> Score:
        context.options["deep"]["n"] += 1
        context.options["words"].append("c")
        return Score(value=1.0, critique=f"{context.options}")

    one = criterion(options=OPTIONS)
    whole = with_code(one)
    before = whole.content_hash
    said = [judge_by_code(whole, one, loaded(spoil), PROMPT, ANSWER) for _ in range(2)]
    assert said[0] == said[1]
    assert one.options == {"words": ["a", "b"], "deep": {"n": 1}}
    assert with_code(one).content_hash == before


def test_without_a_reference_there_is_none() -> None:
    def look(_p: Prompt, _c: Completion, context: CriterionContext) -> Score:
        return Score(value=1.0, critique=f"{context.reference} {context.options}")

    assert ask(look)[1] == "None {}"


def test_an_exception_is_unscored_with_the_line_of_the_file() -> None:
    def inner() -> None:
        raise KeyError("zwölf")  # innermost

    def outer(*_: Any) -> Score:
        inner()
        return Score(value=1.0, critique="c")

    line = here("innermost")
    assert reason(outer) == f"f raised KeyError: 'zwölf' (test_code_criteria.py, line {line})"


def test_an_exception_below_the_file_names_the_files_own_line() -> None:
    def outer(*_: Any) -> Score:
        return Score(value=float("x"), critique="c")  # conversion

    def deep(*_: Any) -> Score:
        Path("\0").read_text(encoding="utf-8")  # library
        raise AssertionError

    assert reason(outer).endswith(f"(test_code_criteria.py, line {here('conversion')})")
    assert reason(outer).startswith("f raised ValueError: could not convert string to float")
    assert reason(deep).endswith(f"(test_code_criteria.py, line {here('library')})")


def test_a_score_out_of_range_is_unscored_in_one_line() -> None:
    def out_of_range(*_: Any) -> Score:
        return Score(value=1.5, critique=" ")  # range

    said = reason(out_of_range)
    assert said == (
        "f raised ValidationError: value = 1.5, expected: a number of at most 1; "
        "critique = ' ': a critique that is not blank "
        f"(test_code_criteria.py, line {here('range')})"
    )


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def raising(exc: BaseException) -> Any:
    def call(*_: Any) -> Score:
        raise exc

    return call


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (MuteError(), "f raised MuteError: its message cannot be read (RuntimeError)"),
        (ValueError(), "f raised ValueError ("),
        (ValueError("\ud800"), "f raised ValueError: \\ud800 ("),
        (SystemExit(0), "f raised SystemExit: 0 ("),
        (GeneratorExit(), "f raised GeneratorExit ("),
        (CancelledError(), "f raised CancelledError ("),
        (BaseException("own"), "f raised BaseException: own ("),
        (RecursionError("deep"), "f raised RecursionError: deep ("),
        (MemoryError(), "f raised MemoryError ("),
    ],
)
def test_no_exception_is_a_score(exc: BaseException, words: str) -> None:
    said = reason(raising(exc))
    assert said.startswith(words)
    assert said.encode("utf-8")


def test_a_long_message_is_cut() -> None:
    said = reason(raising(ValueError("x" * 10_000)))
    assert len(said) < 500
    assert "\u2026" in said


def test_an_interrupt_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(raising(KeyboardInterrupt()))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "returned None, not a Score"),
        (0.5, "returned 0.5, not a Score"),
        (True, "returned True, not a Score"),
        ("gut", "returned 'gut', not a Score"),
        ({"value": 1.0, "critique": "c"}, "returned a dict, not a Score"),
        (Rating(score=1.0), "returned a Rating, not a Score"),
        (Odd(), "returned a Odd, not a Score"),
        (Score, "returned a ModelMetaclass, not a Score"),
    ],
)
def test_another_type_is_unscored(value: object, words: str) -> None:
    assert words in reason(lambda *_: value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Score.model_construct(value=1.5, critique="c"), "broken Score: ValidationError: value"),
        (Score.model_construct(value=float("nan"), critique="c"), "value = nan"),
        (Score.model_construct(value="1", critique="c"), "value = '1'"),
        (Score.model_construct(value=True, critique="c"), "value = True"),
        (Score.model_construct(value=1.0, critique=None), "critique = None"),
        (Score.model_construct(value=1.0), "broken Score: AttributeError"),
        (Score.model_construct(value=1.0, critique="\ud800"), "lone surrogates"),
        (Unscored.model_construct(reason=""), "broken Unscored: ValidationError: reason"),
        (Unscored.model_construct(), "broken Unscored: AttributeError"),
    ],
)
def test_a_record_made_without_its_checks_is_unscored(value: object, words: str) -> None:
    assert words in reason(lambda *_: value)


def test_numbers_of_numpy_are_scores() -> None:
    import numpy as np

    assert ask(lambda *_: Score(value=np.float64(0.5), critique="c"))[0] == Rating(score=0.5)


BOTH = with_code(criterion("f", 0.25), criterion("g", 0.75))


def panel(whole: Rubric, f: str = "1", g: str = "2") -> RubricJudge:
    code = {
        "f": loaded(lambda *_: Score(value=1.0, critique="good"), "f", f),
        "g": loaded(lambda *_: Score(value=0.2, critique="poor"), "g", g),
    }
    return RubricJudge(whole, judging=JudgingConfig(), code=code)


def test_a_rubric_of_functions_rates_and_scores() -> None:
    judge = panel(BOTH)
    (rated,) = judge.rate([(PROMPT, ANSWER)])
    assert [(j.criterion, j.critique, j.method, j.judge, j.call) for j in rated] == [
        ("by f", "good", "code", "", None),
        ("by g", "poor", "code", "", None),
    ]
    (found,) = judge.scores([(PROMPT, ANSWER)], [rated])
    assert found.score == pytest.approx(0.25 + 0.75 * 0.2)
    assert judge.compare([(PROMPT, ANSWER, completion("b"))]) == [[]]


def test_a_function_that_fails_leaves_the_answer_unscored() -> None:
    judge = RubricJudge(
        with_code(criterion("f")),
        judging=JudgingConfig(),
        code={"f": loaded(raising(ValueError("no")))},
    )
    (rated,) = judge.rate([(PROMPT, ANSWER)])
    assert rated == [Judgement.model_validate_json(rated[0].model_dump_json())]
    (found,) = judge.scores([(PROMPT, ANSWER)], [rated])
    assert found.score is None
    assert (found.unscored or "").startswith("by f: f raised ValueError: no (test_code_criteria")


def test_labels_carry_the_code_that_made_them() -> None:
    hashes = {panel(BOTH, f, g).rubric_hash for f, g in (("1", "2"), ("1", "3"), ("2", "2"))}
    assert len(hashes) == 3
    assert panel(BOTH).rubric_hash == panel(BOTH).rubric_hash


def test_labels_of_code_carry_the_name_that_it_is_shown() -> None:
    """A function may go by ``context.rubric``; without code the name changes no label."""
    coded, plain = with_code(criterion("f")), rubric(rule_criterion("a"))
    for of, same in ((coded, False), (plain, True)):
        hashes = {
            RubricJudge(
                of.model_copy(update={"name": name}),
                judging=JudgingConfig(),
                code={"f": loaded(None)},
            ).rubric_hash
            for name in ("alpha", "beta")
        }
        assert (len(hashes) == 1) is same


def test_code_that_no_criterion_asks_for_is_not_loaded_or_hashed() -> None:
    plain = rubric(rule_criterion("a"))
    assert load_code(plain, Path("nowhere.toml"), Path("nowhere.py")) == {}
    hashes = {
        RubricJudge(plain, judging=JudgingConfig(), code=code).rubric_hash
        for code in (None, {}, {"f": loaded(None)})
    }
    assert len(hashes) == 1


def test_a_rubric_without_its_functions_is_refused() -> None:
    with pytest.raises(ModelError, match="no function for the criteria by g"):
        RubricJudge(BOTH, judging=JudgingConfig(), code={"f": loaded(None)})

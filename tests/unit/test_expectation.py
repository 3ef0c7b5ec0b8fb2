"""Whatever pydantic refuses is told in words of our own: settings, rubrics, lines, other's code."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from rlaif.config import RlaifConfig
from rlaif.config_file import render_config
from rlaif.errors import ConfigError, FeedbackFileError, PromptFileError
from rlaif.expectation import _BOUNDED, expected, own_words, told
from rlaif.stages.feedback_files import FeedbackLine, read_feedback
from rlaif.stages.pools import PoolLine, read_pools
from rlaif.stages.ppo import __main__ as ppo_command
from rlaif.toml_source import TomlFile, read_toml

RAW = ("Input should", "Field required", "Extra inputs", "Value error", "pydantic", "valid ")
WRONG = ("oops", -1, [1])
CHOICES = "one of: 'one or two', \"it's\", 'so \\'a\\' or \"b\"', 3, None"
Off = float | Literal["off"]


def test_no_setting_is_refused_in_pydantics_words(tmp_path: Path) -> None:
    path = tmp_path / "rlaif.toml"
    path.write_text(render_config(RlaifConfig()), encoding="utf-8")
    source = read_toml(path)
    fields = [(section, name) for section in source.data for name in source.data[section]]
    refused = [said for field in fields for said in refusals(source, *field)]
    assert len(refused) > 400
    for said in refused:
        assert not any(raw in said for raw in RAW), said
        assert re.match(rf"{path}:\d+: [\w.]+ = ", said)
        assert "\n  expected: " in said
        assert "\n  to do: " in said


def refusals(source: TomlFile, section: str, name: str) -> Iterator[str]:
    """Yield what is said of each wrong value of a setting that is refused."""
    for wrong in WRONG:
        data = {**source.data, section: {**source.data[section], name: wrong}}
        try:
            source.validate(RlaifConfig, data)
        except ConfigError as exc:
            yield str(exc)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (float, "x", "a number"),
        (int, "x", "a whole number"),
        (int, 1.5, "a whole number"),
        (bool, "x", "true or false"),
        (str, 1, "a text"),
        (list[int], "x", "a list"),
        (tuple[int, ...], 1, "a list"),
        (dict[str, int], 1, "a table: names with values"),
        (Path, 1, "a path, as text"),
        (Literal["a", "b"], "c", "one of: 'a', 'b'"),
        (Literal["a"], "c", "one of: 'a'"),
        (Literal["one or two", "it's", "so 'a' or \"b\"", 3, None], "c", CHOICES),
        (Off, "x", "a number or one of: 'off'"),
    ],
)
def test_types_have_plain_names(kind: Any, value: object, words: str) -> None:
    assert said(kind, value) == words


@pytest.mark.parametrize(
    ("limits", "kind", "value", "words"),
    [
        ({"gt": 0.5}, float, 0.5, "a number above 0.5"),
        ({"ge": 2}, int, 1, "a number of at least 2"),
        ({"lt": 1}, float, 1.0, "a number below 1"),
        ({"le": 8}, int, 9, "a number of at most 8"),
        ({"allow_inf_nan": False}, float, float("nan"), "a finite number"),
        ({"min_length": 2}, list[int], [1], "at least 2 entries"),
        ({"max_length": 1}, list[int], [1, 2], "at most 1 entry"),
        ({"min_length": 1}, str, "", "at least 1 characters"),
        ({"max_length": 1}, str, "ab", "at most 1 characters"),
        ({"pattern": "^a$"}, str, "b", "a text of the form ^a$"),
        ({"lt": 2**63}, int, 2**63, "a number below 9223372036854775808"),
        ({"gt": 0.123456789}, float, 0.0, "a number above 0.123456789"),
        ({"gt": date(2024, 1, 1)}, date, date(2020, 1, 1), "greater than 2024-01-01"),
        ({"le": timedelta(2)}, timedelta, timedelta(5), "less than or equal to 2 days"),
        ({"ge": Decimal("0.10")}, Decimal, Decimal(0), "a number of at least 0.10"),
    ],
)
def test_bounds_are_told(limits: dict[str, Any], kind: Any, value: object, words: str) -> None:
    class Model(BaseModel):
        field: kind = Field(**limits)

    assert said(Model, {"field": value}) == words


def said(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return expected(caught.value.errors())


def refusing(kind: str, context: dict[str, Any] | None) -> Callable[[object], object]:
    def refuse(_: object) -> object:
        raise PydanticCustomError(kind, "a colour\nof ours", context)  # type: ignore[arg-type]

    return refuse


@pytest.mark.parametrize("context", [None, {"other": 1}])
@pytest.mark.parametrize("kind", sorted({"value_error", "assertion_error", *_BOUNDED}))
def test_errors_of_others_that_lack_their_context_keep_their_words(
    kind: str, context: dict[str, Any] | None
) -> None:
    assert said(Annotated[Any, AfterValidator(refusing(kind, context))], 1) == "a colour of ours"


@pytest.mark.parametrize(
    ("kind", "context"),
    [
        ("value_error", {"error": 3}),
        ("greater_than", {"gt": "red"}),
        ("json_invalid", {"error": 3}),
        ("literal_error", {"expected": 3}),
        ("string_pattern_mismatch", {"pattern": 3}),
        ("string_too_long", {"max_length": "many"}),
        ("too_short", {"min_length": None}),
    ],
)
def test_errors_of_others_with_another_context_keep_their_words(
    kind: str, context: dict[str, Any]
) -> None:
    assert said(Annotated[Any, AfterValidator(refusing(kind, context))], 1) == "a colour of ours"


def test_words_of_others_are_cut_where_they_are_long() -> None:
    def refuse(_: object) -> object:
        raise PydanticCustomError("colour", "x" * 10_000)  # type: ignore[arg-type]

    words = said(Annotated[Any, AfterValidator(refuse)], 1)
    assert words == "x" * 199 + "\u2026"


def test_what_has_no_plain_name_loses_its_lead_at_least() -> None:
    assert said(bytes, 1) == "a valid bytes"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int
    name: str = Field(min_length=2)


def test_all_fields_are_told_in_one_line() -> None:
    with pytest.raises(ValidationError) as caught:
        Inner.model_validate({"name": "n", "more": 1})
    assert told(caught.value) == (
        "count is missing; name = 'n', expected: at least 2 characters; "
        "more = 1, expected: no such key"
    )
    assert [own_words(error) for error in caught.value.errors()] == [None] * 3
    with pytest.raises(ValidationError) as caught:
        Inner.model_validate(3)
    assert told(caught.value, lambda value: f"<{value}>") == (
        "Inner = <3>, expected: a table: names with values"
    )


MANY = (
    "many.1 = [], expected: a whole number or a text; "
    "many.2 = 2.5, expected: a whole number or a text"
)


def from_json(data: Any) -> object:
    return Unions.model_validate_json(json.dumps(data))


class Unions(BaseModel):
    off: Off = 1.0
    many: list[int | str | None] = []
    table: dict[str, int] = {}
    one: Inner | list[int] | bool = True


@pytest.mark.parametrize("how", [Unions.model_validate, from_json])
def test_members_of_a_union_are_told_as_one_field(how: Callable[[Any], object]) -> None:
    for given, words in (
        ({"off": "x"}, "off = 'x', expected: a number or one of: 'off'"),
        ({"many": [1, [], 2.5]}, MANY),
        ({"table": {"float": "x", "literal['off']": 1}}, "table.float = 'x', expected: a whole "),
        ({"one": "x"}, "one = 'x', expected: a table: names with values or a list or true or f"),
        ({"one": {"count": "x", "name": "ab"}}, "one.Inner.count = 'x', expected: a whole number"),
    ):
        with pytest.raises(ValidationError) as caught:
            how(given)
        assert told(caught.value).startswith(words)


class Kinds(BaseModel):
    model_config = ConfigDict(extra="forbid")

    float: str
    int: str


def test_fields_that_are_named_as_members_stay_fields() -> None:
    with pytest.raises(ValidationError) as caught:
        Kinds.model_validate({"bool": 1, "str": 1})
    assert told(caught.value) == (
        "float is missing; int is missing; bool = 1, expected: no such key; "
        "str = 1, expected: no such key"
    )


@pytest.mark.parametrize("name", [*FeedbackLine.model_fields, "unknown"])
def test_no_line_of_feedback_is_refused_in_pydantics_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / "labels.jsonl"
    line = {"prompt": "p", "answer": "a", "rating": 0.5, name: {"a": 1}}
    path.write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(FeedbackFileError) as caught:
        read_feedback(path)
    assert not any(raw in str(caught.value) for raw in RAW), caught.value
    assert str(caught.value).startswith(f"{path}:1: ")


@pytest.mark.parametrize("wrong", ["x", -1, [], {"a": 1}, [1], [{"role": "user"}], None])
def test_no_line_of_a_pool_is_refused_in_pydantics_words(tmp_path: Path, wrong: object) -> None:
    path = tmp_path / "pool.jsonl"
    for name in (*PoolLine.model_fields, "unknown"):
        path.write_text(json.dumps({name: wrong}), encoding="utf-8")
        with pytest.raises(PromptFileError) as caught:
            read_pools(tmp_path, "pool.jsonl", 0.5)
        assert not any(raw in str(caught.value) for raw in RAW), caught.value


def test_unknown_keys_of_lines_are_named_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    for line, words in (
        ({"promt": "x"}, "'promt' is not known\n  expected: some of: prompt, messages, id"),
        (
            {"messages": [{"role": "user", "content": "x", "mood": "y"}]},
            "'messages.0.mood' is not known\n  expected: some of: role, content",
        ),
    ):
        path.write_text(json.dumps(line), encoding="utf-8")
        with pytest.raises(PromptFileError) as caught:
            read_pools(tmp_path, "pool.jsonl", 0.5)
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "PpoJob = '{', expected: JSON ("),
        ('{"seed": "x"}', "policy is missing; reference is missing; "),
        ('{"seed": "x"}', "seed = 'x', expected: a whole number"),
    ],
)
def test_a_broken_ppo_job_is_told_field_by_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    path = tmp_path / "job.json"
    path.write_text(text, encoding="utf-8")
    assert ppo_command.main(str(path)) == 78
    said = capsys.readouterr().err
    assert words in said
    assert not any(raw in said for raw in RAW)

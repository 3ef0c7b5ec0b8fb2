"""What fields of a rubric may hold: texts that are not blank, patterns, choices."""

import keyword
import math
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rlaif.judges.patterns import wrong_with
from rlaif.judges.wording import LANGUAGES

MAX_CHOICES = 9
MAX_CRITERIA = 200


def _with_words(text: str) -> str:
    if not text.strip():
        raise ValueError("a text that is not blank")
    return text


def _searchable(pattern: str) -> str:
    wrong = wrong_with(pattern)
    if wrong is not None:
        raise ValueError(wrong)
    return pattern


def _different(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(texts)) < len(texts):
        raise ValueError("texts that all differ")
    return texts


def _known_language(code: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(f"one of: {', '.join(sorted(LANGUAGES))}")
    return code


def _python_name(name: str) -> str:
    """Return a name in the form that Python gives it: NFKC, as it reads identifiers."""
    normal = unicodedata.normalize("NFKC", name)
    if not normal.isidentifier() or keyword.iskeyword(normal):
        raise ValueError("the name of a Python function")
    return normal


def _json_table(table: dict[str, Any]) -> dict[str, Any]:
    if not _is_json(table):
        raise ValueError(
            "texts, finite numbers, true or false, and lists and tables of them; dates in quotes"
        )
    return table


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)


Text = Annotated[str, AfterValidator(_with_words)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
Pattern = Annotated[Text, AfterValidator(_searchable)]
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1, strict=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Language = Annotated[str, AfterValidator(_known_language)]
PythonName = Annotated[str, AfterValidator(_python_name)]
JsonTable = Annotated[dict[str, Any], AfterValidator(_json_table)]
Choices = Annotated[
    tuple[Text, ...],
    Field(min_length=2, max_length=MAX_CHOICES, strict=False),
    AfterValidator(_different),
]


class Table(BaseModel):
    """Base of a rubric's tables: frozen, strict, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

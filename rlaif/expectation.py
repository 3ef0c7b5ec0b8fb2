"""What was expected where pydantic refused a value, in words for people who never heard of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rlaif.text import quoted

_PLAIN = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a table: names with values",
    "extra_forbidden": "no such key",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of at most 64 bits",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": "a table: names with values",
    "missing": "a value for it",
    "model_attributes_type": "a table: names with values",
    "model_type": "a table: names with values",
    "path_type": "a path, as text",
    "string_type": "a text",
    "string_unicode": "a text that can be written as UTF-8",
    "tuple_type": "a list",
}
_BOUNDED: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda found: f"a number above {found['gt']:g}",
    "greater_than_equal": lambda found: f"a number of at least {found['ge']:g}",
    "json_invalid": lambda found: f"JSON ({found['error']})",
    "less_than": lambda found: f"a number below {found['lt']:g}",
    "less_than_equal": lambda found: f"a number of at most {found['le']:g}",
    "literal_error": lambda found: f"one of: {found['expected'].replace(' or ', ', ')}",
    "string_pattern_mismatch": lambda found: f"a text of the form {found['pattern']}",
    "string_too_long": lambda found: f"at most {found['max_length']} characters",
    "string_too_short": lambda found: f"at least {found['min_length']} characters",
    "too_long": lambda found: f"at most {_entries(found['max_length'])}",
    "too_short": lambda found: f"at least {_entries(found['min_length'])}",
}


def own_words(error: ErrorDetails) -> str | None:
    """Return what one of our validators says; None where pydantic itself refused the value."""
    if error["type"] not in {"value_error", "assertion_error"}:
        return None
    return str(error["ctx"]["error"])


def expected(errors: Sequence[ErrorDetails]) -> str:
    """Say what was expected in one place.

    Args:
        errors: Those of that place, one or more; of a union there is one for each member.
    """
    return " or ".join(dict.fromkeys(map(_expected, errors)))


def told(exc: ValidationError, show: Callable[[object], str] = quoted) -> str:
    """Say in one line what was seen and what was expected, field by field.

    Args:
        exc: What pydantic raised.
        show: How a value is written.
    """
    return "; ".join(_told(error, exc.title, show) for error in exc.errors(include_url=False))


def _told(error: ErrorDetails, title: str, show: Callable[[object], str]) -> str:
    field = ".".join(map(str, error["loc"])) or title
    if error["type"] == "missing":
        return f"{field} is missing"
    own = own_words(error)
    wanted = f", expected: {_expected(error)}" if own is None else f": {own}"
    return f"{field} = {show(error['input'])}{wanted}"


def _expected(error: ErrorDetails) -> str:
    own = own_words(error)
    if own is not None:
        return own
    kind = error["type"]
    if kind in _BOUNDED:
        return _BOUNDED[kind](error.get("ctx", {}))
    return _PLAIN.get(kind) or error["msg"].removeprefix("Input should be ")


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"

"""What was expected where pydantic refused a value, in words for people who never heard of it."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rlaif.text import quoted, shortened

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
_LONGEST = 200
_MEMBER = re.compile(r"[a-z-]+\[.*\]", re.DOTALL)
_SCALARS = frozenset({"bool", "bytes", "complex", "decimal", "float", "int", "none", "str"})
_OF_KEYS = frozenset({"extra_forbidden", "missing"})
_OR = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")| or """)


def _number(value: object) -> str | None:
    """Write a bound whole; None where it is no number."""
    if type(value) is float:
        return repr(value).removesuffix(".0")
    return str(value) if type(value) in {int, Decimal} else None


def _text(value: object) -> str | None:
    return value if type(value) is str else None


def _choices(value: object) -> str | None:
    """Write a literal's choices with commas; an ``or`` inside a choice stays."""
    return _OR.sub(lambda part: part[1] or ", ", value) if type(value) is str else None


def _entries(count: object) -> str | None:
    if type(count) is not int:
        return None
    return "1 entry" if count == 1 else f"{count} entries"


_BOUNDED: Mapping[str, tuple[str, Callable[[object], str | None], str]] = {
    "greater_than": ("gt", _number, "a number above {}"),
    "greater_than_equal": ("ge", _number, "a number of at least {}"),
    "json_invalid": ("error", _text, "JSON ({})"),
    "less_than": ("lt", _number, "a number below {}"),
    "less_than_equal": ("le", _number, "a number of at most {}"),
    "literal_error": ("expected", _choices, "one of: {}"),
    "string_pattern_mismatch": ("pattern", _text, "a text of the form {}"),
    "string_too_long": ("max_length", _number, "at most {} characters"),
    "string_too_short": ("min_length", _number, "at least {} characters"),
    "too_long": ("max_length", _entries, "at most {}"),
    "too_short": ("min_length", _entries, "at least {}"),
}


def own_words(error: ErrorDetails) -> str | None:
    """Return what a validator says; None where pydantic itself refused the value."""
    if error["type"] not in {"value_error", "assertion_error"}:
        return None
    raised = error.get("ctx", {}).get("error")
    return str(raised) if isinstance(raised, Exception) else _message(error)


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
    beside: dict[tuple[tuple[int | str, ...], str], list[ErrorDetails]] = {}
    for error in exc.errors(include_url=False):
        beside.setdefault((error["loc"][:-1], show(error["input"])), []).append(error)
    return "; ".join(
        _told(place, exc.title, seen)
        for (_, seen), errors in beside.items()
        for place in ([errors] if _are_members(errors) else [[error] for error in errors])
    )


def _told(errors: Sequence[ErrorDetails], title: str, seen: str) -> str:
    """Say what was seen and expected in one place; of a union it has an error for each member."""
    first = errors[0]
    field = ".".join(map(str, first["loc"] if len(errors) == 1 else first["loc"][:-1])) or title
    if first["type"] == "missing":
        return f"{field} is missing"
    own = own_words(first) if len(errors) == 1 else None
    wanted = f", expected: {expected(errors)}" if own is None else f": {own}"
    return f"{field} = {seen}{wanted}"


def _are_members(errors: Sequence[ErrorDetails]) -> bool:
    """Say whether errors on one value, side by side, are those of a union's members.

    Pydantic ends their places with names of its own, as ``float`` or ``literal['off']``.
    """
    if len(errors) < 2 or not _OF_KEYS.isdisjoint(error["type"] for error in errors):
        return False
    names = [str(error["loc"][-1]) if error["loc"] else "" for error in errors]
    return any(map(_MEMBER.fullmatch, names)) or _SCALARS.issuperset(names)


def _expected(error: ErrorDetails) -> str:
    own = own_words(error)
    if own is not None:
        return own
    kind = error["type"]
    bounded = _bounded(kind, error.get("ctx", {})) if kind in _BOUNDED else None
    return bounded or _PLAIN.get(kind) or _message(error)


def _bounded(kind: str, context: Mapping[str, object]) -> str | None:
    """Say a bound; None where it is of another type than pydantic's, as others may make errors."""
    name, write, phrase = _BOUNDED[kind]
    written = write(context.get(name))
    return None if written is None else phrase.format(written)


def _message(error: ErrorDetails) -> str:
    """Return what pydantic, or who made the error, says of it: in one line, shortened."""
    words = " ".join(error["msg"].split())
    return shortened(words.removeprefix("Input should be "), _LONGEST)

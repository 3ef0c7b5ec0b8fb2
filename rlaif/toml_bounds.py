"""What TOML allows and nothing can use: refused before, or after, it is parsed."""

import re
from typing import Any

DEEPEST = 64
_WIDEST = 2**63
_TEXTS = re.compile(
    r'"{3}(?:[^"\\]++|\\.?|"(?!""))*+(?:"{3,5}|\Z)'
    r"|'{3}(?:[^']++|'(?!''))*+(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]++|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|\#[^\n]*+",
    re.DOTALL,
)
_BETWEEN_KEYS = re.compile(r"[^\w.\- \t]+")


def check_keys(text: str) -> None:
    """Refuse a key of more than 64 parts, in time that grows as the text does.

    The parser takes time as the square of a key's parts: a key of half a million takes hours.

    Args:
        text: A TOML document, which may be broken.

    Raises:
        ValueError: There is such a key; the line is named.
    """
    for number, line in enumerate(_TEXTS.sub(_blank, text).split("\n"), start=1):
        if line.count(".") < DEEPEST:
            continue
        if any(part.count(".") >= DEEPEST for part in _BETWEEN_KEYS.split(line)):
            raise ValueError(f"a key makes tables more than {DEEPEST} deep (at line {number})")


def check_bounds(document: dict[str, Any]) -> None:
    """Refuse numbers over 64 bits, and tables 65 deep.

    Raises:
        ValueError: There is such a thing.
    """
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        if any(type(value) is int and not -_WIDEST <= value < _WIDEST for value in level):
            raise ValueError("a whole number of more than 64 bits")
        level = [inner for value in level for inner in _inside(value)]
    if level:
        raise ValueError(f"tables or lists within one another more than {DEEPEST} deep")


def _blank(found: "re.Match[str]") -> str:
    """Leave of a text or a comment its line breaks, or a word where it may be part of a key."""
    return "\n" * found[0].count("\n") or ("_" if found[0][0] in "\"'" else "")


def _inside(value: Any) -> list[Any]:  # noqa: ANN401 - any TOML value
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

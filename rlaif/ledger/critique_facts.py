"""What can be asked of a critique besides its words, as tokens of the full text index.

Each fact is a token that no text can hold, in a column of its own. So a query of any filters and
words is one expression, which the index answers from the newest critique on by skipping through
the lists of its tokens, however rare or frequent each of them is.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from rlaif.ledger.rows import Fields
from rlaif.ledger.search_words import FACT

VerdictName = Literal[
    "rating", "choice", "unscored", "first", "second", "tie", "low", "middle", "high"
]
ValueField = Literal["stage", "criterion", "judge", "policy", "tag"]

_LETTERS: Final = {
    "cycle": "c",
    "stage": "s",
    "criterion": "k",
    "judge": "j",
    "policy": "p",
    "tag": "t",
    "prompt": "q",
    "verdict": "v",
    "margin": "m",
    "pair": "x",
}
LOW, HIGH = 1 / 3, 2 / 3
_EVEN = 0.5
_DIGITS = 3
_FINEST = 10**_DIGITS


def fact(field: str, value: str | int) -> str:
    """Return the token of a fact."""
    if isinstance(value, str):
        value = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{FACT}{_LETTERS[field]}{value}"


def values_of(row: Fields) -> set[tuple[ValueField, str]]:
    """Return the named facts of a row, as ``(field, value)``."""
    found: set[tuple[ValueField, str]] = {
        ("stage", row["stage"]),
        ("criterion", row["criterion"]),
        ("policy", row["first_policy"]),
        *(("tag", tag) for tag in json.loads(row["tags"])),
    }
    if row["judge"]:
        found.add(("judge", row["judge"]))
    if row["second_policy"] is not None:
        found.add(("policy", row["second_policy"]))
    return found


def other_facts(row: Fields) -> Iterator[tuple[str, str | int]]:
    """Yield the facts of a row that are not :func:`values_of` it."""
    yield "cycle", row["cycle"]
    yield "prompt", row["prompt_seq"]
    for name in verdict_names(row["type"], row["value"]):
        yield "verdict", name
    if row["quarantined"] is not None:
        yield "pair", "quarantined"
    if flipped(row["p_forward"], row["p_backward"]):
        yield "pair", "flipped"


def verdict_names(kind: str, value: float | None) -> Iterator[VerdictName]:
    """Yield all that a verdict is called."""
    match kind, value:
        case "rating", float(score):
            yield "rating"
            yield "low" if score < LOW else "high" if score > HIGH else "middle"
        case "choice", float(p_first):
            yield "choice"
            yield "tie" if p_first == _EVEN else "first" if p_first > _EVEN else "second"
        case _:
            yield "unscored"


def margin_of(value: float | None) -> float | None:
    """Return how decided a verdict is: 0 in the middle, 1 at either end, None where unscored."""
    return None if value is None else abs(2 * value - 1)


def flipped(p_forward: float | None, p_backward: float | None) -> bool:
    """Whether the two orders of a pair prefer different answers."""
    if p_forward is None or p_backward is None:
        return False
    return (p_forward - _EVEN) * (p_backward - _EVEN) < 0


def margin_tokens(value: float | None) -> list[str]:
    """Return a margin's tokens: its first digit, its first two, its first three."""
    margin = margin_of(value)
    if margin is None:
        return []
    digits = f"{_bin(margin):0{_DIGITS}d}"
    return [f"{FACT}{_LETTERS['margin']}{digits[:n]}" for n in range(1, _DIGITS + 1)]


def margins_between(low: float, high: float) -> list[str]:
    """Return the fewest tokens that every margin of a range has; those at its ends may lie out."""
    tokens = []
    at, end = _bin(low), _bin(high) + 1
    while at < end:
        step = max(s for s in (1, 10, 100) if at % s == 0 and at + s <= end)
        digits = f"{at:0{_DIGITS}d}"[: _DIGITS - int(math.log10(step))]
        tokens.append(f"{FACT}{_LETTERS['margin']}{digits}")
        at += step
    return tokens


def any_of(tokens: Iterable[str]) -> str:
    """Return the expression that holds where any of some tokens or phrases does."""
    quoted = [f'"{token}"' for token in tokens]
    return quoted[0] if len(quoted) == 1 else f"({' OR '.join(quoted)})"


def _bin(margin: float) -> int:
    return min(max(int(margin * _FINEST), 0), _FINEST - 1)

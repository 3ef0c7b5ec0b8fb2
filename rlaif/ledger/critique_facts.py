"""What can be asked of a critique besides its words, as tokens of the full text index.

Each fact is a token that no text can hold, in a column of its own. So a query of any filters and
words is one expression, which the index answers from the newest critique on by skipping through
the lists of its tokens, however rare or frequent each of them is.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from rlaif.ledger.search_words import FACT

VerdictName = Literal[
    "rating", "choice", "ranking", "unscored", "first", "second", "tie", "low", "middle", "high"
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
_FINEST = 1_000


@lru_cache(maxsize=10_000)
def fact(field: str, value: str | int) -> str:
    """Return the token of a fact."""
    if isinstance(value, str):
        value = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{FACT}{_LETTERS[field]}{value}"


class Named(NamedTuple):
    """What many critiques share: ``tags`` as JSON, ``judge`` None where none was asked.

    ``other_policies`` wrote the third and later answers of a list.
    """

    stage: str
    criterion: str
    judge: str | None
    tags: str
    first_policy: str
    second_policy: str | None
    other_policies: tuple[str, ...] = ()


class Own(NamedTuple):
    """What is a critique's own; its verdict as the ledger keeps it, and what its pair's says."""

    cycle: int
    prompt: int
    verdict: str
    value: float | None
    quarantined: str | None
    p_forward: float | None
    p_backward: float | None


def values_of(named: Named) -> list[tuple[ValueField, str]]:
    """Return named facts as ``(field, value)``."""
    found: set[tuple[ValueField, str]] = {
        ("stage", named.stage),
        ("criterion", named.criterion),
        ("policy", named.first_policy),
        *(("tag", tag) for tag in json.loads(named.tags)),
    }
    if named.judge:
        found.add(("judge", named.judge))
    if named.second_policy is not None:
        found.add(("policy", named.second_policy))
    found.update(("policy", policy) for policy in named.other_policies)
    return sorted(found)


def own_tokens(own: Own) -> str:
    """Return the tokens of what is a critique's own, with spaces between."""
    cycle, prompt, verdict, value, quarantined, forward, backward = own
    found = [fact("cycle", cycle), f"{FACT}{_LETTERS['prompt']}{prompt}"]
    found += [fact("verdict", name) for name in verdict_names(verdict, value)]
    margin = margin_of(value)
    if margin is not None:
        found.append(_MARGINS[_bin(margin)])
    if quarantined is not None:
        found.append(fact("pair", "quarantined"))
    if flipped(forward, backward):
        found.append(fact("pair", "flipped"))
    return " ".join(found)


def verdict_names(kind: str, value: float | None) -> tuple[VerdictName, ...]:
    """Return all that a verdict is called."""
    if value is None:
        return ("ranking",) if kind == "ranking" else ("unscored",)
    if kind == "rating":
        return "rating", "low" if value < LOW else "high" if value > HIGH else "middle"
    return "choice", "tie" if value == _EVEN else "first" if value > _EVEN else "second"


def margin_of(value: float | None) -> float | None:
    """Return how decided a verdict is: 0 in the middle, 1 at either end, None where unscored."""
    return None if value is None else round(abs(2 * value - 1), 9)


def flipped(p_forward: float | None, p_backward: float | None) -> bool:
    """Whether the two orders of a pair prefer different answers."""
    if p_forward is None or p_backward is None:
        return False
    return (p_forward - _EVEN) * (p_backward - _EVEN) < 0


def margins_between(low: float, high: float) -> list[str]:
    """Return the fewest tokens that every margin of a range has; those at its ends may lie out."""
    tokens = []
    at, end = _bin(low), _bin(high) + 1
    while at < end:
        step = max(s for s in (1, 10, 100) if at % s == 0 and at + s <= end)
        tokens.append(_margin_token(at, _DIGITS + 1 - len(str(step))))
        at += step
    return tokens


def any_of(tokens: Iterable[str]) -> str:
    """Return the expression that holds where any of some tokens or phrases does."""
    quoted = [f'"{token}"' for token in tokens]
    return quoted[0] if len(quoted) == 1 else f"({' OR '.join(quoted)})"


def _bin(margin: float) -> int:
    return min(max(int(margin * _FINEST), 0), _FINEST - 1)


def _margin_token(margin: int, digits: int) -> str:
    return f"{FACT}{_LETTERS['margin']}{f'{margin:0{_DIGITS}d}'[:digits]}"


_MARGINS: Final = tuple(
    " ".join(_margin_token(margin, digits) for digits in range(1, _DIGITS + 1))
    for margin in range(_FINEST)
)

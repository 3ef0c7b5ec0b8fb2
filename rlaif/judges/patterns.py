"""Regular expressions of rules: what they may be, and how long one may look.

They are those of the package ``regex``: what Python's ``re`` takes, and more. A search stops after
``LIMIT`` seconds, which are the process's own computing time and not the clock's, so that a busy
machine takes none of them away. What was not searched to the end is not known: it is never a score.
"""

import re
from functools import lru_cache

import regex

ENGINE = "regex"
LIMIT = 5.0
LONGEST = 100_000
QUICK = 1.0
_REPEATS = 48
_UNITS = ("a", "A", "0", " ", "\n", "的", ".", "a ", "aA0", "a,", "ab")
_OWN = 16
LARGEST = 50_000
_PIECE = re.compile(
    r"""(?P<repeat>\{(?P<least>\d+)(?:,\d*)?\}) | (?P<open>\((?:\?[^():]*:)?) | (?P<close>\))
    | \[\^?\]?(?:\\.|[^\]])*\] | \\. | .""",
    re.VERBOSE | re.DOTALL,
)
_NO_PATTERN = (regex.error, ValueError, LookupError, ArithmeticError, RecursionError, TypeError)


class UnsearchedError(Exception):
    """A text that a pattern was not searched for in to the end; the message is the reason."""


def wrong_with(pattern: str) -> str | None:
    """Say why a text cannot be a rule's pattern; None where it can.

    Args:
        pattern: The text.

    Returns:
        The error of compiling it, or the repetitive text on which it takes more than a second.
    """
    if _size(pattern) > LARGEST:
        return (
            f"a regular expression of at most {LARGEST:,} pieces when its repetitions are written "
            "out; in this one they multiply: repeat less often, or leave the count open (+)"
        )
    try:
        regex.compile(pattern)
    except _NO_PATTERN as exc:
        return f"a regular expression; this one has an error: {exc}"
    slow = _slow_on(pattern)
    if slow is None:
        return None
    return (
        "a regular expression that is quick on any text; this one takes more than "
        f"{QUICK:g} s on {slow!r} repeated {_REPEATS} times, as it can read that in very many "
        "ways: see to it that what stands in a repetition can be read in one way only"
    )


def found_in(text: str, pattern: str) -> str | None:
    """Return what a pattern finds first in a text, None where it finds nothing.

    Raises:
        UnsearchedError: The text is longer than ``LONGEST`` characters, or ``LIMIT`` is over.
    """
    if len(text) > LONGEST:
        raise UnsearchedError(
            f"the answer has {len(text):,} characters; a pattern is looked for in {LONGEST:,} at "
            "most"
        )
    try:
        match = regex.search(pattern, text, timeout=LIMIT)
    except TimeoutError as exc:
        raise UnsearchedError(
            f"looking for the pattern {pattern!r} took more than {LIMIT:g} s"
        ) from exc
    return None if match is None else match.group()


def _size(pattern: str) -> int:
    """Return how many pieces a pattern has when what it repeats is written out as often as it must.

    So ``regex`` compiles it, and three nested thousands would take all memory.
    """
    outer: list[int] = []
    size = last = 0
    for piece in _PIECE.finditer(pattern):
        if piece["open"]:
            outer.append(size)
            size = last = 0
        elif piece["close"]:
            size, last = (outer.pop() if outer else 0) + size, size
        elif piece["repeat"]:
            least = int(piece["least"].lstrip("0")[:9] or 0)  # nine digits are too many already
            more = last * max(least - 1, 0)
            size, last = size + more, last + more
        else:
            size, last = size + 1, 1
    return size + sum(outer)


@lru_cache(maxsize=1024)
def _slow_on(pattern: str) -> str | None:
    """Return what, repeated, takes a pattern more than a second; the texts to try are fixed.

    On texts this short a search takes far less, or else far more: doubling time with each further
    character is what this finds, on any machine. One text ends with the pattern itself, as a search
    for what must hold a word is not begun where that word is missing.
    """
    own = tuple(dict.fromkeys(char for char in pattern if char.isalnum()))[:_OWN]
    for unit in dict.fromkeys((*_UNITS, *own)):
        for tail in (f"\0{pattern}", "!", ""):
            try:
                regex.search(pattern, unit * _REPEATS + tail, timeout=QUICK)
            except TimeoutError:
                return unit
    return None

"""Regular expressions of rules: what they may be, and how long one may look.

They are those of the package ``regex``: what Python's ``re`` takes, and more, but no fuzzy
matching, since ``{e}`` is literal text in ``re``. A search stops after ``LIMIT`` seconds. These are
the computing time of the whole process and not the clock's: other programs on a busy machine take
none of them away, but the process's other threads do, those of torch and of plug-ins among them.
What was not searched to the end is not known: it is never a score.
"""

import re
from functools import lru_cache
from time import process_time

import regex

ENGINE = "regex"
LIMIT = 5.0
LONGEST = 100_000
QUICK = 1.0
TOGETHER = 3.0
_REPEATS = 48
_UNITS = ("a", "A", "0", " ", "\n", "的", ".", "a ", "aA0", "a,", "ab")
_OWN = 16
LARGEST = 50_000
LONGEST_PATTERN = 5_000


def _pieces(gap: str) -> re.Pattern[str]:
    """Return what finds a pattern's pieces; ``gap`` may stand within a fuzzy constraint."""
    compared, kind = f"{gap}<{gap}(?:={gap})?", f"(?:[0-9]+{gap})?[dis]"
    allowed = (
        f"(?:[deis](?:{compared}[0-9]+)?|[0-9]+{compared}[deis]{compared}[0-9]+"
        rf"|{kind}(?:{gap}\+{gap}{kind})*{compared}[0-9]+)"
    )
    return re.compile(
        rf"""(?P<repeat>\{{(?P<least>\d+)(?:,\d*)?\}})
        | (?P<fuzzy>\{{{gap}{allowed}(?:{gap},{gap}{allowed})*(?!{gap},)[^{{}}]*\}}?)
        | \(\?\#[^)]*\) | (?P<open>\((?:\?[\w-]*:)?) | (?P<close>\))
        | \[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*+\] | \\[pPN]\{{[\w\s=:^&-]*\}} | \\. | .""",
        re.VERBOSE | re.DOTALL,
    )


_PIECE = _pieces("")
_SPACED_PIECE = _pieces(r"(?:\s|\#[^\n]*\n)*")
_SPACED = re.compile(r"\(\?[a-zA-Z]*x")
_NO_PATTERN = (regex.error, ValueError, LookupError, ArithmeticError, RecursionError, TypeError)


class UnsearchedError(Exception):
    """A text that a pattern was not searched for in to the end; the message is the reason."""


def wrong_with(pattern: str) -> str | None:
    """Say why a text cannot be a rule's pattern; None where it can.

    Args:
        pattern: The text.

    Returns:
        Its length, the fuzzy matching in it, the error of compiling it, or the repetitive texts on
        which it takes too long.
    """
    if len(pattern) > LONGEST_PATTERN:
        return (
            f"a regular expression of at most {LONGEST_PATTERN:,} characters; this one has "
            f"{len(pattern):,}: write several, the list may hold any number"
        )
    fuzzy = _fuzzy_in(pattern)
    if fuzzy is not None:
        return (
            f"a regular expression without fuzzy matching, as which {fuzzy!r} is read; write \\{{ "
            f"for a brace that is meant as it stands: \\{fuzzy}"
        )
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
        f"a regular expression that is quick on any text; this one takes more than {slow}, as it "
        "can read that in very many ways: see to it that what stands in a repetition can be read "
        "in one way only"
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


def _fuzzy_in(pattern: str) -> str | None:
    """Return the first constraint of fuzzy matching as ``regex`` reads one, None without any."""
    pieces = _SPACED_PIECE if _SPACED.search(pattern) else _PIECE
    return next((piece["fuzzy"] for piece in pieces.finditer(pattern) if piece["fuzzy"]), None)


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
    """Return how long a pattern takes on what, where that is too long; the texts are fixed.

    On texts this short a search takes far less than ``QUICK``, or else far more: doubling time with
    each further character is what this finds, on any machine. Together they end after ``TOGETHER``.
    One text ends with the pattern itself, as a search for what must hold a word is not begun where
    that word is missing.
    """
    own = tuple(dict.fromkeys(char for char in pattern if char.isalnum()))[:_OWN]
    end = process_time() + TOGETHER
    for unit in dict.fromkeys((*_UNITS, *own)):
        for tail in (f"\0{pattern}", "!", ""):
            try:
                regex.search(pattern, unit * _REPEATS + tail, timeout=QUICK)
            except TimeoutError:
                return f"{QUICK:g} s on {unit!r} repeated {_REPEATS} times"
            if process_time() > end:
                return f"{TOGETHER:g} s on short repetitive texts together"
    return None

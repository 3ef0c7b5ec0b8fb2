"""Errors that a judge marks: quoted spans of an answer, located in it.

    Error: "Lima is in Chile" - it is in Peru
    Error: "founded in 1999" - no source says so

or the one line ``No errors``. A reply that states neither, or both, or a line that begins with
``Error:`` and is not as above, is unscored as a whole: an error that could not be read is not one
fewer. ``No errors`` is not believed either beside errors that are listed in another form: under a
heading such as ``Errors:``, as ``"SPAN" - WHY`` alone, or as a line that begins with a quote from
the answer and goes on. What the judge quotes of what it was shown (see
:mod:`rlaif.judges.own_words`) states nothing; but where an error stands indented or in a block of
code, which may be the judge's own list, the reply is unscored. A span that is not in the answer
keeps its place in the list, with the reason.
"""

import bisect
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rlaif.judges.fencing import Shown
from rlaif.judges.own_words import own_words
from rlaif.records import MarkedError, Unscored
from rlaif.text import quoted, word_spans

QUOTES = {'"': '"', "\u201c": "\u201d", "\u300c": "\u300d", "\u300e": "\u300f", "\u00ab": "\u00bb"}
MAX_READINGS = 16

_BULLET = r"[\s*_#-]*(?:\d+[.)][\s*_]*)?"
_LINE = re.compile(
    rf"{_BULLET}error[\s*_]*\d*[\s*_]*[:\uff1a][\s*_]*(.*)", re.IGNORECASE | re.ASCII
)
_HEADING = re.compile(rf"{_BULLET}errors?[\s*_\w]*[:\uff1a][\s*_]*(.*)", re.IGNORECASE | re.ASCII)
_ITEM = re.compile(r"\s*(?:[-*\u2022]\s|\d+[.)])(.*)")
_NONE = re.compile(rf"{_BULLET}no errors?[\s*_.\u3002]*", re.IGNORECASE | re.ASCII)
_DASH = re.compile(r"[\s*_]*[-\u2013\u2014:\uff1a]+\s*(?=\S)")


class _Folded(NamedTuple):
    """A text in NFC with single spaces, and where each of its characters came from."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


def parse_marked_errors(
    reply: str, answer: str, shown: Shown | None = None
) -> tuple[MarkedError, ...] | Unscored:
    """Read the errors that a judge marked, and find each in the answer.

    A span is looked for as it stands, then in NFC with white space folded: in the answer, then in
    what the judge was shown of it. The same span marked again is the next one in the answer.

    Args:
        reply: The judge's words.
        answer: The answer.
        shown: The answer as the judge was shown it; None where it was shown as it is.

    Returns:
        The errors in the judge's order, none for ``No errors``; or unscored.
    """
    written, lines = reply.split("\n"), own_words(reply).split("\n")
    marked = _marked(lines)
    none = sum(_NONE.fullmatch(line) is not None for line in lines)
    if bool(marked) == bool(none) or none > 1:
        seen = f"{len(marked)} 'Error:' lines and {none} 'No errors'" if none else "no error line"
        expected = "'Error: \"SPAN\" - WHY' lines, or one 'No errors'"
        return Unscored(reason=f"{seen} in the reply, expected {expected}")
    apart = [said for said in _marked(written) if _splits(said)]
    if len(apart) > sum(bool(_splits(said)) for said in marked):
        return Unscored(reason="an error in the reply stands indented or in a block of code")
    finder = _Finder(answer, shown)
    if none and (listed := _listed(written, finder)) is not None:
        return Unscored(reason=f"'No errors' beside {quoted(listed)} in the reply")
    found: list[MarkedError] = []
    for said in marked:
        splits = _splits(said)
        if not 0 < len(splits) <= MAX_READINGS:
            return Unscored(reason=f"the error is {quoted(said)}, not '\"SPAN\" - WHY'")
        found.append(finder.locate(splits))
    return tuple(found)


def _marked(lines: Sequence[str]) -> list[str]:
    """Return what follows ``Error:`` on each line that begins with it."""
    return [match[1].strip() for line in lines if (match := _LINE.fullmatch(line))]


def _listed(lines: Sequence[str], finder: "_Finder") -> str | None:
    """Return the first line that lists an error without the word before it; None without such."""
    headed = False
    for line in lines:
        heading, item = _HEADING.fullmatch(line), _ITEM.fullmatch(line)
        said = (heading[1] if heading else item[1] if item else line).strip()
        if (
            _splits(said)
            or finder.opens(said)
            or (headed and item and said and not _NONE.fullmatch(line))
        ):
            return line.strip()
        headed = (heading is not None and not said) or (headed and not line.strip())
    return None


def _splits(said: str) -> list[tuple[str, str]]:
    """Return every way to read a line as a quoted span and a reason; quotes may hold quotes."""
    close = QUOTES.get(said[:1])
    if close is None:
        return []
    splits: list[tuple[str, str]] = []
    for place in (m.start() for m in re.finditer(re.escape(close), said)):
        dash = _DASH.match(said, place + 1)
        if dash and said[1:place].strip():
            splits.append((said[1:place], said[dash.end() :].strip()))
        if len(splits) > MAX_READINGS:
            break
    return splits


class _Wording:
    """One wording of an answer, in which spans are found; places are those in the answer."""

    def __init__(self, wording: Shown) -> None:
        self._text, self._starts, self._ends = wording
        self._folded = _fold(wording.text)

    def find(self, quote: str, folded: str, after: int) -> tuple[int, int] | None:
        """Return the first place of a span that begins no earlier than ``after``."""
        begin = bisect.bisect_left(self._starts, after)
        exact = self._text.find(quote, begin)
        if exact >= 0:
            return self._starts[exact], self._ends[exact + len(quote) - 1]
        starts, ends = self._folded.starts, self._folded.ends
        place = self._folded.text.find(folded, bisect.bisect_right(ends, begin))
        if place < 0:
            return None
        return self._starts[starts[place]], self._ends[ends[place + len(folded) - 1] - 1]


class _Finder:
    """Finds spans in one answer, each time the next one."""

    def __init__(self, answer: str, shown: Shown | None) -> None:
        plain = Shown(answer, range(len(answer)), range(1, len(answer) + 1))
        self._wordings = [_Wording(plain)]
        if shown is not None and shown.text != answer:
            self._wordings.append(_Wording(shown))
        self._after: dict[str, int] = {}

    def locate(self, splits: Sequence[tuple[str, str]]) -> MarkedError:
        """Return the error that a line marks, by its longest reading that is in the answer."""
        readings = [(self._find(quote), quote, why) for quote, why in splits]
        there = [reading for reading in readings if reading[0] is not None]
        place, quote, why = there[-1] if there else readings[0]
        key = _fold(quote).text.strip()
        if place is None:
            again = "marked more often than it occurs in" if key in self._after else "not in"
            reason = f"{quoted(quote)} is {again} the answer"
            return MarkedError(quote=quote, why=why, unlocated=reason)
        self._after[key] = place[1]
        return MarkedError(quote=quote, why=why, start=place[0], end=place[1])

    def opens(self, said: str) -> bool:
        """Tell whether a line begins with a quote from the answer, and goes on in words."""
        quote, closed, rest = said[1:].partition(QUOTES.get(said[:1], "\n"))
        return bool(closed and word_spans(rest)) and self._find(quote) is not None

    def _find(self, quote: str) -> tuple[int, int] | None:
        folded = _fold(quote).text.strip()
        if not folded:
            return None
        after = self._after.get(folded, 0)
        found = (wording.find(quote, folded, after) for wording in self._wordings)
        return next(filter(None, found), None)


def _fold(text: str) -> _Folded:
    """Fold a text cluster by cluster: what may compose into one character stays together."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(text):
        piece = text[start:end]
        piece = " " if piece.isspace() else unicodedata.normalize("NFC", piece)
        pieces.append(piece)
        starts += [start] * len(piece)
        ends += [end] * len(piece)
    return _Folded("".join(pieces), starts, ends)


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Yield where runs of white space, and characters with the marks on them, begin and end."""
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or not _continues(text[place - 1], text[place]):
            yield start, place
            start = place


def _continues(before: str, char: str) -> bool:
    if char.isspace():
        return before.isspace()
    jamo = "\u1160" <= char <= "\u11ff"  # vowels and finals, which compose with what they follow
    return not before.isspace() and (jamo or unicodedata.category(char)[0] == "M")

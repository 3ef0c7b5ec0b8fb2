"""Candidate text as data: made visible, without control tokens, and inside fences it cannot end.

A fence is a line ``<answer>``, the data, and a line ``</answer>``. A judge reads with the eye of a
language model, for which more than those ASCII letters ends a fence: the tag with full-width or
single angle quotes for brackets, written in HTML entities, in another case, with joiners, accents
or letters of other scripts in its name. So text is folded to what it looks like, and whatever then
reads as the start of a fence's tag, open or closed, loses its first character to U+2039. The judge
meets one form of broken tag, of which its template can warn it; the data keep their length and can
be read back. Left alone are spellings that nobody takes for a tag without decoding them (backslash
and percent escapes, base64), tags of other names, and other brackets: they end nothing, and code
and Chinese text are full of them.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import NamedTuple

from rlaif.judges.lookalikes import ANGLES, SLASHES, TWINS

LOOKALIKES = {"<": "\u2039", "[": "\u27e6"}

_NOT_PLAIN = re.compile(
    r"\r\n|[^\n\t -~\u00a1-\u00ac\u00ae-\u052f\u2010-\u2027\u2030-\u205e\u3000-\u9fff\uac00-\ud7a3"
    r"\uff01-\uffdc\u200c\u200d]"  # joiners shape words and faces: let them be
)
_STANDINS = ("\ufffd", "?", "_")
_FIRST_SHAPE = 0x25A0  # black square, the first of many signs that may stand in after those
_NO_BRACKETS = str.maketrans("[]", "()")

_SEEN_AS = str.maketrans(
    dict.fromkeys(ANGLES, "<")
    | dict.fromkeys(SLASHES, "/")
    | {twin: letter for letter, twins in TWINS.items() for twin in twins}
)
_BLANKS = frozenset("\u115f\u1160\u2800")  # letters and signs without ink
_OPENERS = rf"<{ANGLES}\u226e\u2280\u22ea\ufe3d\ufe3f\ufe64\uff1c"
_AMPERSAND = r"&(?:(?:amp|#0{0,9}38|#x0{0,9}26);)*"
_ESCAPED = re.compile(_AMPERSAND, re.IGNORECASE)
_PIECE = re.compile(rf"{_AMPERSAND}#?\w{{1,40}};?|.", re.DOTALL | re.IGNORECASE)
_BEFORE_NAME = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "/\\"


class Shown(NamedTuple):
    """A text as a judge is shown it, and where in the text each of its characters came from."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


def as_data(text: str, special_tokens: Sequence[str] = ()) -> str:
    """Return text that can be shown to a judge as data.

    Line breaks become line feeds; other control characters, invisible format characters and lone
    surrogates become visible; a special token loses its first character to a look-alike.
    """
    visible = _NOT_PLAIN.sub(_visible, text)
    return _without_tokens(visible, tuple(special_tokens)) if special_tokens else visible


def without_fences(text: str, names: Sequence[str]) -> str:
    """Return a text in which no tag of a fence, open or closed, and nothing like one begins.

    Args:
        text: The text.
        names: What the fences are called.

    Returns:
        A text of the same length: characters that open such a tag are U+2039, the rest is as it
        was. Done to its own result it changes nothing.
    """
    if not names:
        return text
    wanted = tuple(name.casefold() for name in names)
    possible = _could_open(wanted).finditer(text)
    opening = [match.start() for match in possible if _opens(text, match.start(), wanted)]
    if not opening:
        return text
    characters = list(text)
    for place in opening:
        characters[place] = LOOKALIKES["<"]
    return "".join(characters)


def shown_as(text: str, special_tokens: Sequence[str], names: Sequence[str]) -> Shown:
    """Return what a judge is shown of a text, with the places that it stands for.

    Args:
        text: The text.
        special_tokens: As for :func:`as_data`.
        names: What the fences are called.
    """
    shown = without_fences(as_data(text, special_tokens), names)
    places = [place for piece, *place in _pieces(text) for _ in piece]
    return Shown(shown, [start for start, _ in places], [end for _, end in places])


def fence_of(names: Sequence[str]) -> Callable[[str, str], str]:
    """Return the filter ``fenced`` of templates whose fences have these names."""

    def fenced(text: str, name: str) -> str:
        return f"<{name}>\n{without_fences(str(text), names)}\n</{name}>"

    return fenced


def bracketed(text: str) -> str:
    """Return data between square brackets, on one line and without brackets of its own.

    The compact way to fence what a judge reads: nothing inside can end it. Full-width brackets
    stay: the bundled judge, which reads this form, knows none but the ASCII ones.
    """
    return f"[{' '.join(str(text).translate(_NO_BRACKETS).splitlines())}]"


def _pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield what each character is made visible as, and its place; two of a line break are one.

    What breaks tokens and fences later changes characters and moves none.
    """
    done = 0
    for match in _NOT_PLAIN.finditer(text):
        yield from ((text[i], i, i + 1) for i in range(done, match.start()))
        yield _visible(match), *match.span()
        done = match.end()
    yield from ((text[i], i, i + 1) for i in range(done, len(text)))


def _visible(match: re.Match[str]) -> str:
    char = match[0]
    if char == "\r\n":
        return "\n"
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"\u2039U+{code:04X}\u203a"
    return char


@lru_cache(maxsize=64)
def _could_open(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds every place that may open a tag; what plain text rules out, it skips."""
    initials = "".join({re.escape(name[0]) for name in names})
    other = rf"[\s/\\]*(?![{initials}&/\\{SLASHES}])[!-~\u4e00-\u9fff]"
    return re.compile(rf"[{_OPENERS}](?!{other})|&(?=[#a-z])", re.IGNORECASE)


def _opens(text: str, place: int, names: tuple[str, ...]) -> bool:
    """Tell whether what stands at a place reads as the start of a tag with one of the names."""
    pieces = _PIECE.finditer(text, place)
    first = _read(next(pieces)[0])
    if not first.startswith("<"):
        return False
    word = first[1:].lstrip(_BEFORE_NAME)
    while any(name.startswith(word) for name in names):
        piece = next(pieces, None)
        if piece is None:
            return word in names
        shown = _read(piece[0])
        if word in names and not shown:
            return True  # an accent ends the name for who reads character by character
        word = (word + shown).lstrip(_BEFORE_NAME)
    return any(
        word.startswith(name) and not _goes_on(word[len(name)])
        for name in names
        if len(word) > len(name)
    )


def _goes_on(char: str) -> bool:
    return char.isalnum() or char == "_"


def _read(piece: str) -> str:
    """Return how a character or an HTML entity looks, however often its ampersand was escaped."""
    if len(piece) > 1:
        piece = html.unescape(_ESCAPED.sub("&", piece))
    return "".join(map(_seen_as, piece))


@lru_cache(maxsize=65_536)
def _seen_as(char: str) -> str:
    """Return what a character looks like in ASCII where it looks so; nothing without ink."""
    parts = unicodedata.normalize("NFKD", char.translate(_SEEN_AS))
    inked = (c for c in parts if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    shown = "".join(c for c in inked if c not in _BLANKS)
    return shown.translate(_SEEN_AS).casefold()


def _without_tokens(text: str, tokens: tuple[str, ...]) -> str:
    """Break every special token; again where breaking one made another.

    It ends: what takes a first character's place begins no token.
    """
    pattern, substitutes = _token_pattern(tokens)
    while (broken := pattern.sub(lambda m: substitutes[m[0][0]] + m[0][1:], text)) != text:
        text = broken
    return text


@lru_cache(maxsize=64)
def _token_pattern(tokens: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    longest_first = sorted(filter(None, tokens), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
    initials = {token[0] for token in longest_first}
    return pattern, {initial: _standin(initial, initials) for initial in initials}


def _standin(initial: str, taken: set[str]) -> str:
    """Return one character for another, so that a text keeps its length: a look-alike if it can."""
    own = (LOOKALIKES.get(initial, _STANDINS[0]), *_STANDINS)
    return next(s for s in chain(own, map(chr, count(_FIRST_SHAPE))) if s not in taken)

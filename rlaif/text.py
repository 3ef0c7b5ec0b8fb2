"""Words of a text in any script, and texts made comparable."""

import itertools
import re
import unicodedata

CJK = (
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9d\U00020000-\U0003ffff"
)
_LETTER = rf"(?:(?![{CJK}])\w)"
_WORD = re.compile(rf"[{CJK}]|{_LETTER}+(?:['\u2019-]{_LETTER}+)*")
_MARKS = re.compile("[.,;:!?\"'()\u2018-\u201f\u2026\u3001\u3002]")


def words_of(text: str) -> list[str]:
    """Return the words of a text; each Chinese or Japanese character counts as one."""
    return _WORD.findall(text)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return where each of a text's words begins and ends, in characters."""
    return [match.span() for match in _WORD.finditer(text)]


def quoted(value: object, most: int = 60) -> str:
    """Return a value as Python writes it, cut after ``most`` characters: for messages."""
    return shortened(repr(value), most)


def shortened(text: str, most: int = 60) -> str:
    """Return a text of at most ``most`` characters, with an ellipsis for what was cut off."""
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def normalised(text: str) -> str:
    """Return a text in one case, width and spacing, without the marks of a sentence.

    Signs that carry meaning (``+``, ``-``, ``%``, ``#``) stay.
    """
    return " ".join(_MARKS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split())


def distinct_bigrams(texts: list[str]) -> float:
    """Return the share of distinct word bigrams among all bigrams of some texts (Li et al. 2016).

    Returns:
        A number in (0, 1]; 0 where no text has two words.
    """
    pairs: list[tuple[str, str]] = []
    for text in texts:
        found = words_of(unicodedata.normalize("NFKC", text).casefold())
        pairs += itertools.pairwise(found)
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def writable(text: str) -> str:
    """Return a text that UTF-8 can hold: lone surrogates are written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

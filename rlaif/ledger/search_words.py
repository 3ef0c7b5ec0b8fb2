"""Texts as the full text index sees them: folded, and cut into words and single characters.

A word is a run of letters and digits. Characters of scripts that are written without spaces, and
every other sign, stand alone. So any part of a text is a run of whole words but for its two ends,
and can be found through the index whatever it is made of.

The index was made by these rules, and an entry is taken out by making it once more: other rules
need a migration that makes the index anew.
"""

import re
import unicodedata
from functools import lru_cache

from rlaif.errors import UsageError

MOST_LETTERS = 128
MOST_SEARCHED = 2_000
TOO_LONG = "\ue002"
SIGN = "\ue000"
FACT = "\ue001"

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
)
_ALONE = re.compile(rf"[{_UNSPACED}]+|[^\w\s]|_")
_ASCII_SIGN = re.compile(r"[^a-z0-9\s]")
_WHITE = re.compile(r"\s+")
_TERMS = re.compile(r'"([^"]*)"|(\S+)')
_SIGNS = {chr(code): f"{SIGN}{code:02x}" for code in range(128) if not chr(code).isalnum()}


def search_terms(text: str) -> list[str]:
    """Split what a person typed into terms: words, and phrases in double quotes.

    Returns:
        The terms, each once whatever its case; none is empty.

    Raises:
        UsageError: The text is longer than ``MOST_SEARCHED`` characters.
    """
    if len(text) > MOST_SEARCHED:
        raise UsageError(
            f"a search of {len(text)} characters",
            f"{MOST_SEARCHED} characters at most",
            "search for a part of it: words are found anywhere, also inside of words",
        )
    terms: dict[str, str] = {}
    for phrase, word in _TERMS.findall(text):
        if term := phrase or word:
            terms.setdefault(folded(term), term)
    return list(terms.values())


def folded(text: str) -> str:
    """Return a text without case, as it is compared; a part of a text is a part of this."""
    return text.casefold().replace("\0", "")


def forms(term: str) -> tuple[str, ...]:
    """Return how a term may be written: as it is, and with accents composed or apart; folded."""
    ways = (term, unicodedata.normalize("NFC", term), unicodedata.normalize("NFD", term))
    return tuple(dict.fromkeys(map(folded, ways)))


@lru_cache(maxsize=256)
def over_spaces(form: str) -> re.Pattern[str] | None:
    """Return what finds a form over white space of any kind, None for a form without any.

    One character of it is enough at an end. Texts are searched as they are: to fold their white
    space would take longer than all else that is done with them.
    """
    words = _WHITE.split(form)
    if len(words) == 1:
        return None
    before, after = ("" if words[place] else r"\s" for place in (0, -1))
    return re.compile(before + r"\s+".join(re.escape(word) for word in words if word) + after)


def tokens(text: str) -> list[str]:
    """Cut a folded text into the index's tokens.

    ASCII signs are written as codes, because the index's tokenizer would drop them; words over
    ``MOST_LETTERS`` letters are all one token, which says that there is one.
    """
    found = (_ASCII_SIGN if text.isascii() else _ALONE).sub(_apart, text).split()
    if not found or len(max(found, key=len)) <= MOST_LETTERS:
        return found
    return [token if len(token) <= MOST_LETTERS else TOO_LONG for token in found]


def is_word(token: str) -> bool:
    """Whether a token is a word, which others may hold, and not a character that stands alone."""
    return token[0] != SIGN and _ALONE.match(token) is None


def _apart(alone: re.Match[str]) -> str:
    """Return characters with spaces around each, as a code where it is a sign of ASCII."""
    signs = alone[0]
    return f" {_SIGNS.get(signs) or ' '.join(signs)} "

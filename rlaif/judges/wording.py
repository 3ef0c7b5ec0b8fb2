"""Measures of text that rules are made of: words, repetition, scripts."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_LATIN = ("LATIN",)
LANGUAGES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("de", "en", "es", "fr", "it", "nl", "pl", "pt", "sv", "tr", "vi"), _LATIN),
    "ar": ("ARABIC",),
    "el": ("GREEK",),
    "he": ("HEBREW",),
    "hi": ("DEVANAGARI",),
    "ja": ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK", "IDEOGRAPHIC", "HALFWIDTH"),
    "ko": ("HANGUL",),
    "ru": ("CYRILLIC",),
    "th": ("THAI",),
    "uk": ("CYRILLIC",),
    "zh": ("CJK", "IDEOGRAPHIC"),
}


def repetition(words: Sequence[str]) -> float:
    """Return the share of word trigrams that repeat an earlier one, 0 for under three words."""
    folded = [word.casefold() for word in words]
    trigrams = list(zip(folded, folded[1:], folded[2:], strict=False))
    return 1.0 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0


def language_share(words: Sequence[str], language: str) -> float:
    """Return the share of words written in a language's script; numbers do not count.

    Scripts tell Chinese from English, not French from English. Japanese counts Chinese characters
    as its own, Chinese does not count kana.

    Args:
        words: The words of a text.
        language: A key of ``LANGUAGES``.

    Returns:
        A share in [0, 1]; 0 where no word has a letter.
    """
    scripts = [script for word in words if (script := _script(word))]
    wanted = LANGUAGES[language]
    return sum(script in wanted for script in scripts) / len(scripts) if scripts else 0.0


@lru_cache(maxsize=65_536)
def _script(word: str) -> str:
    """Return the first word of the Unicode name of a word's first letter, empty without one."""
    first = next((char for char in word if char.isalpha() or char in "\u3007"), "")
    return unicodedata.name(first, "?").split(" ")[0] if first else ""

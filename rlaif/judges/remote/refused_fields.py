"""Whether the words of a refusal say that a field of the request is not taken.

A refusal for another reason may quote the whole request, its fields' names and the question among
them. So a name counts only beside words that refuse it, not where it is given a value, and not in
words that stand in the question.
"""

import re
from collections.abc import Collection, Iterator
from functools import cache

_NOT = (
    r"(?:not|n't)\s+(?:yet\s+|currently\s+|be\s+)?(?:support(?:ed)?|allow(?:ed)?|permit(?:ted)?"
    r"|accept(?:ed)?|available|recogni[sz]ed?|implemented|enabled|valid|expected)\b"
)
_REFUSED = (
    rf"(?:\b(?:unsupported|unknown|unrecogni[sz]ed|unexpected|unavailable|disallowed|invalid|extra)\b"
    rf"|{_NOT})"
)
_BOUNDED = (
    r"\b(?:only|must\s+be|should\s+be|at\s+most|no\s+more\s+than|less\s+than|greater\s+than"
    r"|larger\s+than|exceeds?|max(?:imum)?|too\s+(?:many|large|high))\b"
)
_NOUN = r"(?:parameter|param|argument|arg|field|propert(?:y|ies)|option|input|key)s?(?:\(s\))?"
_FILLER = (
    rf"(?:{_NOUN}|request|body|value|keyword|name|feature|supplied|given|provided|found|for|to|use"
    r"|set|of|in|the|a|type|logprobs|top_logprobs)\b"
)
_BETWEEN = r"[^\w{}.;]"  # within a sentence, and before what is quoted as an object
_VALUE = r"""['"`]?\s*[:=]\s*(?:true|false|null|none|[\d\-'"\[{])"""
_GAP = r"[^:;={}]{0,60}?"
_COLON = r"""['"`]?(?:\s*:\s*(?=[a-z]))?"""
_SHORT = r"['\"`]{name}['\"`]"


def refuses_field(message: str, name: str, question: str) -> bool:
    """Tell whether a message says that a field is not taken, or not with the value it has.

    Args:
        message: The server's words.
        name: The field.
        question: All words of the question; what the message quotes of them is nobody's refusal.
    """
    asked = _plain(question)
    return any(_plain(said) not in asked for said in _refusals(message, name))


def asks_for_too_many(message: str) -> bool:
    """Tell whether log-probs are refused for their number alone."""
    return bool(re.search(_BOUNDED, message, re.IGNORECASE))


def _refusals(message: str, name: str) -> Iterator[str]:
    for pattern in _patterns(name):
        for match in pattern.finditer(message):
            yield match[0]


@cache
def _patterns(name: str) -> Collection[re.Pattern[str]]:
    """Return what refuses a field: before its name, before a list with it, or after it."""
    word = _SHORT.format(name=name) if len(name) == 1 else rf"\b{name}\b"
    named = rf"{word}(?!{_VALUE})"
    chain = rf"{_REFUSED}(?:{_BETWEEN}+{_FILLER})*"
    listed = rf"{chain}{_BETWEEN}+{_NOUN}(?:{_BETWEEN}+{_FILLER})*\s*:?\s*[\[{{(][^\]}})]*?{word}"
    # Another name for the same limit mends nothing where its value is too high.
    after = _REFUSED if name == "max_tokens" else rf"(?:{_REFUSED}|{_BOUNDED})"
    found = [
        rf"{chain}{_BETWEEN}+{named}",
        listed,
        rf"{named}{_COLON}{_GAP}{after}",
        rf"['\"]loc['\"]:\s*[\[(][^\])]*['\"]{name}['\"]",
    ]
    if name == "max_tokens":
        found.append(r"\buse\W+max_completion_tokens\b")
    return [re.compile(pattern, re.IGNORECASE) for pattern in found]


def _plain(text: str) -> str:
    """Return the words of a text alone, however they are quoted and escaped."""
    return " ".join(re.findall(r"\w+", text.lower()))

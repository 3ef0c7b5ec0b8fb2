"""From what a person asks of critiques to expressions of the full text index, and what to check.

A term is any part of a text: ``aris`` finds Paris. The index knows whole words, so the words that
hold the term are looked up first (:class:`Vocabulary`). Where they are too many to ask for, the
term is common, and reading the newest critiques finds enough of them; only where it does not is
the long expression asked. A phrase is asked for by its words, and its two ends, which may be parts
of words, are checked in the text.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rlaif.ledger.critique_facts import any_of
from rlaif.ledger.search_words import TOO_LONG, folded, forms, is_word, tokens

FEW_WORDS = 64
MANY_WORDS = 20_000

Vocabulary = Callable[[str, str, int], list[str] | None]
"""Words of the ledger that ``hold``, ``start`` or ``end`` with letters; None where over so many."""


class Needle(NamedTuple):
    """Text that must be found in a critique or its prompt: one of some forms.

    Attributes:
        forms: How it may be written, folded.
        in_critique: Whether the critique counts, and not the prompt alone.
    """

    forms: tuple[str, ...]
    in_critique: bool

    def found(self, critique: str, prompt: str) -> bool:
        """Whether a critique or its prompt, as they were written, holds it."""
        shown = [folded(critique)] if self.in_critique else []
        return _any_in(self.forms, shown) or _any_in(self.forms, [folded(prompt)])


class Term(NamedTuple):
    """How to find a term.

    Attributes:
        narrow: An expression that is cheap to ask, None where there is none.
        full: An expression that leaves out fewer critiques without the term; may be long.
        needle: What to check; None where both expressions say it all.
    """

    narrow: str | None
    full: str | None
    needle: Needle | None


class _Found(NamedTuple):
    """A form's narrow and full expression, and whether what they find must be checked."""

    narrow: str | None
    full: str | None
    check: bool


class Plan(NamedTuple):
    """An expression of the index (None: all critiques), and what to check in what it finds."""

    match: str | None
    needles: tuple[Needle, ...] = ()


def plan_of(parts: Sequence[str], terms: Sequence[Term], *, full: bool) -> Plan:
    """Combine facts and terms into one expression.

    Args:
        parts: Expressions of facts.
        terms: What must be found.
        full: Whether to ask the terms' full expressions.
    """
    asked = [(term.full if full else term.narrow, term.needle) for term in terms]
    expressions = [*parts, *(expression for expression, _ in asked if expression)]
    needles = tuple(needle for _, needle in asked if needle)
    return Plan(" AND ".join(expressions) or None, needles)


def term_of(term: str, vocabulary: Vocabulary, *, prompt_only: bool = False) -> Term | None:
    """Return how to find a term, None where every text holds it."""
    ways = forms(term)
    if not all(ways):
        return None
    found = [_found(way, vocabulary) for way in ways]
    narrow = _either([way.narrow for way in found], prompt_only=prompt_only)
    full = _either([way.full for way in found], prompt_only=prompt_only)
    whole = narrow is not None and not any(way.check for way in found)
    return Term(narrow, full, None if whole else Needle(ways, in_critique=not prompt_only))


def _found(way: str, vocabulary: Vocabulary) -> _Found:
    cut = tokens(way)
    if len(cut) != 1:
        return _phrase(cut, vocabulary)
    (token,) = cut
    if not is_word(token):
        return _Found(any_of(cut), any_of(cut), len(way) > 1)
    held = vocabulary("hold", token, MANY_WORDS)
    if held is None:
        return _Found(None, None, True)
    full = any_of(held or cut)
    return _Found(full if len(held) <= FEW_WORDS else None, full, TOO_LONG in held or way != token)


def _phrase(cut: Sequence[str], vocabulary: Vocabulary) -> _Found:
    if not cut:
        return _Found(None, None, True)
    first, last = _ends("end", cut[0], vocabulary), _ends("start", cut[-1], vocabulary)
    inner = " ".join(cut[1:-1])
    if first is not None and last is not None and len(first) * len(last) <= FEW_WORDS:
        ways = [f"{a} {inner} {b}" for a in first or cut[:1] for b in last or cut[-1:]]
        return _Found(any_of(ways), any_of(ways), True)
    narrow = any_of([inner]) if inner else None
    wide = [any_of(words) for words in (first, last) if words]
    return _Found(narrow, f"({' AND '.join([narrow, *wide] if narrow else wide)})", True)


def _ends(how: str, token: str, vocabulary: Vocabulary) -> list[str] | None:
    """Return the tokens that a phrase's first or last one may be a part of; None where too many."""
    return vocabulary(how, token, MANY_WORDS) if is_word(token) else [token]


def _either(expressions: Sequence[str | None], *, prompt_only: bool) -> str | None:
    sure = [expression for expression in expressions if expression]
    if len(sure) < len(expressions):
        return None
    either = sure[0] if len(sure) == 1 else f"({' OR '.join(sure)})"
    return f"{{prompt}} : ({either})" if prompt_only else either


def _any_in(ways: Iterable[str], texts: Iterable[str]) -> bool:
    return any(way in text for text in texts for way in ways)

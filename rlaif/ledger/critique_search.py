"""From what a person asks of critiques to expressions of the full text index, and what to check.

A term is any part of a text: ``aris`` finds Paris. The index knows whole words, so the words that
hold the term are looked up first (:class:`Vocabulary`). Where they are too many to ask for, the
term is common, and reading the newest critiques finds enough of them; only where it does not is
the long expression asked. A phrase is asked for by its words, and its two ends, which may be parts
of words, are checked in the text.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rlaif.ledger.critique_facts import any_of
from rlaif.ledger.search_words import TOO_LONG, forms, is_word, over_spaces, tokens

FEW_WORDS = 64
MANY_WORDS = 20_000
MANY_PHRASES = 2_000

Vocabulary = Callable[[str, str, int], list[str] | None]
"""Words of the ledger that are (``is``), ``hold``, ``start`` or ``end`` with letters; None where
they are more than so many."""


class Needle(NamedTuple):
    """Text that must be found in a critique or its prompt: one of some forms.

    Where a form has white space, a text may have any other there.

    Attributes:
        forms: How it may be written, folded.
        in_critique: Whether the critique counts, and not the prompt alone.
    """

    forms: tuple[str, ...]
    in_critique: bool

    def within(self, text: str) -> bool:
        """Whether a folded text holds it."""
        return any(
            form in text or ((found := over_spaces(form)) is not None and bool(found.search(text)))
            for form in self.forms
        )


class Term(NamedTuple):
    """How to find a term.

    Attributes:
        narrow: An expression that is cheap to ask, None where there is none.
        full: An expression that leaves out fewer critiques without the term; may be long.
        ranked: An expression to rank by: where very many words hold the term, it stands for
            itself and the words that begin with it.
        needle: What to check; None where the expressions say it all.
    """

    narrow: str | None
    full: str | None
    ranked: str | None
    needle: Needle | None


class _Found(NamedTuple):
    """A form's expressions, and whether what they find must be checked."""

    narrow: str | None
    full: str | None
    ranked: str | None
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
    ranked = _either([way.ranked for way in found], prompt_only=prompt_only)
    whole = narrow is not None and not any(way.check for way in found)
    return Term(narrow, full, ranked, None if whole else Needle(ways, in_critique=not prompt_only))


def _found(way: str, vocabulary: Vocabulary) -> _Found:
    cut = tokens(way)
    if len(cut) != 1:
        return _phrase(cut, vocabulary)
    (token,) = cut
    if not is_word(token):
        return _Found(any_of(cut), any_of(cut), any_of(cut), len(way) > 1 or token == TOO_LONG)
    held = vocabulary("hold", token, MANY_WORDS)
    check = held is None or TOO_LONG in held or way != token
    if held is not None and len(held) <= FEW_WORDS:
        few = any_of(held or cut)
        return _Found(few, few, few, check)
    ranked = any_of(dict.fromkeys(_itself(token, held or [], vocabulary)))
    return _Found(None, None if held is None else any_of(held), ranked, check)


def _phrase(cut: Sequence[str], vocabulary: Vocabulary) -> _Found:
    if not cut:
        return _Found(None, None, None, True)
    first, last = _ends("end", cut[0], vocabulary), _ends("start", cut[-1], vocabulary)
    inner = " ".join(cut[1:-1])
    narrow = any_of([inner]) if inner else None
    itself = any_of([" ".join(cut)])
    if first is None or last is None or len(first) * len(last) > MANY_PHRASES:
        return _Found(narrow, narrow, itself, check=True)
    ways = any_of(f"{a} {inner} {b}" for a in first or cut[:1] for b in last or cut[-1:])
    few = len(first) * len(last) <= FEW_WORDS
    return _Found(ways if few else narrow, ways, ways if few else itself, check=True)


def _itself(token: str, held: list[str], vocabulary: Vocabulary) -> list[str]:
    """Return what stands for a token that very many words hold, most likely meant first."""
    if vocabulary("is", token, 1):
        return [token, *(vocabulary("start", token, FEW_WORDS) or [])]
    return sorted(held, key=len)[:FEW_WORDS] or [token]


def _ends(how: str, token: str, vocabulary: Vocabulary) -> list[str] | None:
    """Return the tokens that a phrase's first or last one may be a part of; None where too many."""
    return vocabulary(how, token, MANY_WORDS) if is_word(token) else [token]


def _either(expressions: Sequence[str | None], *, prompt_only: bool) -> str | None:
    sure = [expression for expression in expressions if expression]
    if len(sure) < len(expressions):
        return None
    either = sure[0] if len(sure) == 1 else f"({' OR '.join(sure)})"
    return f"{{prompt}} : ({either})" if prompt_only else either

"""Words, facts and margins as the index knows them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.ledger.critique_facts import (
    Own,
    any_of,
    fact,
    flipped,
    margin_of,
    margins_between,
    own_tokens,
    verdict_names,
)
from rlaif.ledger.search_words import TOO_LONG, folded, forms, is_word, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two words", ["two", "words"]),
        ("don't", ["don", "\ue00027", "t"]),
        ("a_b", ["a", "\ue0005f", "b"]),
        ("100%", ["100", "\ue00025"]),
        ("\u592a\u51b7 ok", ["\u592a", "\u51b7", "ok"]),
        ("ok\u592a", ["ok", "\u592a"]),
        ("na\u00efve", ["na\u00efve"]),
        ("e\u0301", ["e", "\u0301"]),
        ("\u2014\U0001f600", ["\u2014", "\U0001f600"]),
        ("\u05e9\u05dc\u05d5\u05dd", ["\u05e9\u05dc\u05d5\u05dd"]),
        ("\u0e20\u0e32\u0e29\u0e32", ["\u0e20", "\u0e32", "\u0e29", "\u0e32"]),
        ("\ue001x", ["\ue001", "x"]),
        ("x" * 129, [TOO_LONG]),
        ("x" * 128, ["x" * 128]),
        (" \t\n", []),
        ("", []),
    ],
)
def test_texts_are_cut_into_words_and_single_signs(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("token", "word"),
    [
        ("ok", True),
        ("9", True),
        ("\u00ef", True),
        ("\u592a", False),
        ("\u2014", False),
        (TOO_LONG, False),
    ],
)
def test_words_are_told_from_signs(token: str, word: bool) -> None:
    assert is_word(token) == word


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.data())
def test_a_part_of_a_text_is_whole_tokens_but_for_its_ends(text: str, data: st.DataObject) -> None:
    whole = folded(text)
    start = data.draw(st.integers(0, len(whole)))
    part = whole[start : data.draw(st.integers(start, len(whole)))]
    inner, among = tokens(part)[1:-1], tokens(whole)
    places = range(len(among) - len(inner) + 1)
    assert not inner or any(among[i : i + len(inner)] == inner for i in places)
    assert all("\ue001" not in token or len(token) == 1 for token in among)


def test_folding_is_the_same_for_a_part_as_for_the_whole() -> None:
    assert folded("STRASSE \u1e9e\0x") == "strasse ssx"
    assert forms("\u00c9") == ("\u00e9", "e\u0301")
    assert forms("cap\0ital") == ("capital",)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_a_range_of_margins_has_just_the_tokens_of_the_margins_in_it(
    low: int, high: int, margin: int
) -> None:
    value = 0.5 + margin / 2000
    own = set(own_tokens(Own(1, 1, "choice", value, None, None, None)).split())
    asked = set(margins_between(low / 1000, high / 1000))
    end = min(high, 999)
    assert bool(own & asked) == (min(low, 999) <= min(margin, 999) <= end)
    assert len(asked) <= 54


def test_any_range_is_a_few_tokens() -> None:
    assert margins_between(0, 1) == [f"\ue001m{digit}" for digit in range(10)]
    assert margins_between(0.5, 0.5) == ["\ue001m500"]
    assert margins_between(0.29, 0.31) == ["\ue001m29", "\ue001m30", "\ue001m310"]
    assert margins_between(0.9, 0.1) == []


@pytest.mark.parametrize(
    ("kind", "value", "names"),
    [
        ("rating", 0.0, ("rating", "low")),
        ("rating", 1 / 3, ("rating", "middle")),
        ("rating", 2 / 3, ("rating", "middle")),
        ("rating", 0.7, ("rating", "high")),
        ("choice", 0.5, ("choice", "tie")),
        ("choice", 0.51, ("choice", "first")),
        ("choice", 0.49, ("choice", "second")),
        ("unscored", None, ("unscored",)),
    ],
)
def test_verdicts_have_names(kind: str, value: float | None, names: tuple[str, ...]) -> None:
    assert verdict_names(kind, value) == names


def test_margins_and_flips_by_hand() -> None:
    assert [margin_of(v) for v in (0.5, 0.0, 1.0, 0.7, None)] == [0.0, 1.0, 1.0, 0.4, None]
    assert flipped(0.6, 0.4)
    assert not flipped(0.6, 0.7)
    assert not flipped(0.5, 0.1)
    assert not flipped(None, 0.1)


def test_facts_of_different_fields_and_values_are_different_tokens() -> None:
    made = {
        fact(f, v) for f in ("stage", "criterion", "judge", "policy", "tag") for v in ("a", "b")
    }
    made |= {fact("cycle", 1), fact("cycle", 11), fact("prompt", 1)}
    assert len(made) == 13
    assert all(token.isalnum() for token in (t[1:] for t in made))
    assert any_of(["x"]) == '"x"'
    assert any_of(["x", "y z"]) == '("x" OR "y z")'

"""Words, normal forms and diversity of texts in several scripts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.text import distinct_bigrams, normalised, words_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop, re-use it.", ["Don't", "stop", "re-use", "it"]),
        ("你好世界", ["你", "好", "世", "界"]),
        ("用 Python 写", ["用", "Python", "写"]),
        ("3+4", ["3", "4"]),
        ("", []),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


def test_normal_form_drops_the_dress_and_keeps_the_meaning() -> None:
    assert normalised("  It IS Paris! ") == normalised("it is paris")
    assert normalised("你好。") == normalised("你好")
    assert normalised("What is 3 + 4?") != normalised("What is 3 - 4?")


@given(st.text())
def test_normal_form_is_stable(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def test_distinct_bigrams_by_hand() -> None:
    assert distinct_bigrams(["a b a b"]) == pytest.approx(2 / 3)
    assert distinct_bigrams(["a b c", "a b d"]) == pytest.approx(3 / 4)
    assert distinct_bigrams(["one", ""]) == 0.0

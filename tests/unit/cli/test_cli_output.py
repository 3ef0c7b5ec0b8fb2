"""What is printed is harmless, and numbers read as people say them."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from rlaif.cli.output import duration, emit_json, hanging, number, one_line, percent, visible

DANGEROUS = [chr(c) for c in [*range(9), *range(11, 32), *range(127, 160), 0x202E, 0x2066, 0x2028]]
TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(DANGEROUS)))


@given(TEXTS)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = visible(text)
    assert not set(shown) & set(DANGEROUS)
    assert visible(shown) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"])))
def test_plain_text_in_any_script_stays(text: str) -> None:
    assert visible(text) == text


def test_an_escape_sequence_is_shown() -> None:
    assert visible("\x1b]0;title\x07\x7f\x9b31m\u202eabc") == "␛]0;title␇␡\\u009b31m\\u202eabc"
    assert visible("line\n\ttab") == "line\n\ttab"
    assert one_line("a\r\n b\x00") == "a␍ b␀"


@given(TEXTS)
def test_json_is_harmless_and_still_the_same_value(text: str) -> None:
    import click

    @click.command()
    def show() -> None:
        emit_json({"text": text, text: 1})

    printed = CliRunner().invoke(show, catch_exceptions=False).stdout
    assert not set(printed) & set(DANGEROUS)
    assert json.loads(printed) == {"text": text, text: 1}


def test_further_lines_hang_under_the_first() -> None:
    assert hanging("answer", "one\ntwo") == "  answer    one\n            two"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (8.12, "8.1 s"),
        (42.4, "42 s"),
        (59.6, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_numbers() -> None:
    assert (percent(0.756), percent(None)) == ("76%", "-")
    assert (number(1.256), number(1.256, 1), number(None)) == ("1.26", "1.3", "-")

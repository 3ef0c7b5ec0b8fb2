"""Errors that a judge marks, and where they are in the answer."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.judges.marked_errors import MarkedError, parse_marked_errors
from rlaif.records import Unscored

ANSWER = "Lima is in Chile. It was founded in 1999. Lima is in Chile, they say."


def errors(reply: str, answer: str = ANSWER) -> tuple[MarkedError, ...]:
    found = parse_marked_errors(reply, answer)
    assert not isinstance(found, Unscored), found.reason
    return found


def reason(reply: str) -> str:
    found = parse_marked_errors(reply, ANSWER)
    assert isinstance(found, Unscored), found
    return found.reason


def test_spans_are_found_in_the_answer() -> None:
    first, second = errors(
        'Two things.\nError: "founded in 1999" - no source\nError: "Chile" - it is Peru\n'
    )
    assert (first.quote, first.why) == ("founded in 1999", "no source")
    assert ANSWER[first.start : first.end] == "founded in 1999"
    assert (second.start, second.end, second.why) == (11, 16, "it is Peru")


def test_the_same_span_again_is_the_next_one() -> None:
    found = errors('Error: "Chile" - Peru\nError: "Lima" - ?\nError: "Chile" - Peru again')
    assert [error.start for error in found] == [11, 0, 53]
    third = errors('Error: "Chile" - a\n' * 3)[2]
    assert (third.start, third.end) == (None, None)
    assert "marked more often than it occurs" in str(third.unlocated)


@pytest.mark.parametrize("words", ["No errors", "no errors.", "Fine.\n**No errors**", "- No error"])
def test_no_errors_are_none(words: str) -> None:
    assert errors(words) == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('Error: "Chile" - why', "why"),
        ('**Error:** "Chile" \u2014 why', "why"),
        ('- error: "Chile": why', "why"),
        ('1. Error: "Chile" - why', "why"),
        ('Error 2: "Chile" -- why\r', "why"),
        ("Error\uff1a\u201cChile\u201d \u2013 \u4e0d\u5bf9", "\u4e0d\u5bf9"),
        ("Error: \u300cChile\u300d - why", "why"),
        ("Error: \u00abChile\u00bb - why - and more", "why - and more"),
    ],
)
def test_ways_to_write_a_line(line: str, why: str) -> None:
    assert errors(line) == (MarkedError(quote="Chile", why=why, start=11, end=16),)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("", "no error line"),
        ("It is all wrong.", "no error line"),
        ("No errors found here", "no error line"),
        ("No errors\nNo errors", "0 'Error:' lines and 2 'No errors'"),
        ('Error: "Chile" - Peru\nNo errors', "1 'Error:' lines and 1 'No errors'"),
        ("Error: Chile is wrong", "the error is 'Chile is wrong'"),
        ('Error: "Chile"', "not '\"SPAN\" - WHY'"),
        ('Error: "Chile" -', "not '\"SPAN\" - WHY'"),
        ('Error: "Chile - why', "not '\"SPAN\" - WHY'"),
        ('Error: " " - why', "not '\"SPAN\" - WHY'"),
        ('Error: "Chile" why', "not '\"SPAN\" - WHY'"),
        ('Error: "Chile" - Peru\nError: oh', "the error is 'oh'"),
        ("Error:", "the error is ''"),
        ('Error: "' + 'x" - ' * 50 + "y", "not '\"SPAN\" - WHY'"),
    ],
)
def test_what_cannot_be_read_is_unscored_as_a_whole(reply: str, words: str) -> None:
    assert words in reason(reply)


def test_a_span_that_is_not_there_says_so() -> None:
    (error,) = errors('Error: "Santiago" - not said')
    assert (error.start, error.end) == (None, None)
    assert error.unlocated == "'Santiago' is not in the answer"


def test_spaces_and_composition_are_folded_where_the_span_is_not_exact() -> None:
    answer = "Un cafe\u0301  tre\u0300s\n noir.\tFin"
    (error,) = errors('Error: "caf\u00e9 tr\u00e8s noir" - no', answer)
    assert answer[error.start : error.end] == "cafe\u0301  tre\u0300s\n noir"
    (korean,) = errors('Error: "\ud55c\uae00" - no', "\u1112\u1161\u11ab\u1100\u1173\u11af")
    assert (korean.start, korean.end) == (0, 6)


def test_exact_words_go_before_folded_ones() -> None:
    answer = "a  b and a b"
    (error,) = errors('Error: "a b" - no', answer)
    assert (error.start, error.end) == (9, 12)


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ("\u4e2d\u6587\u56de\u7b54\u9519\u4e86", "\u56de\u7b54"),
        (
            "ok \U0001f468\u200d\U0001f469\u200d\U0001f467 fine",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
        ("\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05e2\u05d5\u05dc\u05dd"),
        ("na\u00efve", "nai\u0308ve"),
    ],
)
def test_scripts_of_all_kinds_are_located(answer: str, quote: str) -> None:
    (error,) = errors(f'Error: "{quote}" - no', answer)
    assert error.start is not None
    found = answer[error.start : error.end]
    assert unicodedata.normalize("NFC", found) == unicodedata.normalize("NFC", quote)


def test_a_quote_within_a_quote_is_told_apart_by_the_answer() -> None:
    answer = 'She said "go" - and left'
    (error,) = errors('Error: "said "go" - and" - she stayed', answer)
    assert (error.quote, error.why) == ('said "go" - and', "she stayed")
    (plain,) = errors('Error: "left" - "right" - says the book', answer)
    assert (plain.quote, plain.why) == ("left", '"right" - says the book')


def test_of_two_readings_in_the_answer_the_longer_is_meant() -> None:
    (error,) = errors('Error: "a" - "b" - no', 'a and a" - "b')
    assert (error.quote, error.why, error.start) == ('a" - "b', "no", 6)
    (apart,) = errors('Error: "a" - "b" - no', "a and b")
    assert (apart.quote, apart.why, apart.start) == ("a", '"b" - no', 0)
    (neither,) = errors('Error: "x" - "y" - no', "a and b")
    assert (neither.quote, neither.why, neither.start) == ("x", '"y" - no', None)


TEXTS = st.text(
    st.sampled_from(
        "ab \n\te\u0301\u0308\u00e9\u1112\u1161\u11ab\ud55c\u4e2d\U0001f600\u200d\u05d0"
    ),
    min_size=1,
    max_size=12,
)


@given(TEXTS, TEXTS, TEXTS, st.sampled_from(["NFC", "NFD"]))
def test_a_span_of_any_answer_is_found_however_it_is_composed_and_spaced(
    before: str, span: str, after: str, form: str
) -> None:
    answer = f"{before}.{span}.x{after}"
    quote = " ".join(unicodedata.normalize(form, f".{span}.").split())
    (error,) = errors(f'Error: "{quote}" - no', answer)
    assert error.start is not None
    found = answer[error.start : error.end]
    folded = " ".join(unicodedata.normalize("NFC", found).split())
    assert folded == unicodedata.normalize("NFC", quote)


@given(st.text(max_size=80), st.text(max_size=40))
def test_no_reply_raises_and_every_place_is_inside_the_answer(reply: str, answer: str) -> None:
    for said in (reply, f"Error: {reply}", f'Error: "{reply}" - {reply}'):
        found = parse_marked_errors(said, answer)
        if isinstance(found, Unscored):
            continue
        for error in found:
            assert (error.start is None) == (error.unlocated is not None)
            if error.start is not None and error.end is not None:
                assert 0 <= error.start < error.end <= len(answer)

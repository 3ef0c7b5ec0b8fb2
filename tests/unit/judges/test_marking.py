"""Errors that a judge marked become a score: by hand, in any script."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_samples import judge_criterion, prompt

from rlaif.judges import Juror, WriteReply, load_templates
from rlaif.judges.marked_errors import parse_marked_errors
from rlaif.judges.marking import errors_in, errors_text, score_of_errors
from rlaif.judges.protocol import cut_off
from rlaif.records import MarkedError, Rating, Unscored
from rlaif.testing import ScriptedJudge
from rlaif.text import word_spans, words_of

TOKENS = ("<|im_end|>", "[INST]")


class Tokenising(ScriptedJudge):
    """A judge whose tokenizer has control tokens."""

    special_tokens = TOKENS


JUROR = Juror("one", Tokenising(lambda _: {}), load_templates("detailed"), 0.5)


def scored(answer: str, *lines: str) -> float | str:
    found = score_of_errors(errors_in(JUROR, WriteReply("\n".join(lines), None), answer), answer)
    return found.score if isinstance(found, Rating) else found.reason


@pytest.mark.parametrize(
    ("answer", "lines", "score"),
    [
        ("Lima is in Chile.", ["No errors"], 1.0),
        ("Lima is in Chile.", ['Error: "Chile" - it is in Peru'], 0.75),
        ("Lima is in Chile.", ['Error: "is in Chile" - no', 'Error: "Chile" - twice'], 0.25),
        ("Lima is in Chile.", ['Error: "Lima is in Chile." - all of it'], 0.0),
        # Half a word costs the word; the same quote again is the next one in the answer.
        ("no no yes no", ['Error: "no" - rude', 'Error: "no" - again'], 0.5),
        ("Lima is in Chile.", ['Error: "Chi" - half'], 0.75),
        # Each Chinese character is a word.
        ("利马在智利。", ['Error: "智利" - 应为秘鲁'], 0.6),
        ("利马在智利。智利很长。", ['Error: "智利" - 甲', 'Error: "智利" - 乙'], 5 / 9),
        # A mark that touches no word counts as one: of three words, one is lost.
        ("Hello there friend 🙂!", ['Error: "🙂" - childish'], 2 / 3),
        ("🙂🙂", ['Error: "🙂" - no word'], 0.0),
        # The same word with its accent as a combining mark, quoted composed.
        ("cafe\u0301 is closed", ['Error: "caf\u00e9" - open'], 2 / 3),
        ("שלום לכולם", ['Error: "שלום" - אנגלית'], 0.5),
    ],
)
def test_the_score_is_the_share_of_words_that_are_not_marked(
    answer: str, lines: list[str], score: float
) -> None:
    assert scored(answer, *lines) == pytest.approx(score)


def test_an_error_that_is_not_in_the_answer_leaves_no_score() -> None:
    lines = ['Error: "Lima" - wrong', 'Error: "Bogota" - not the capital']
    assert scored("Lima is in Peru", *lines) == (
        "1 of 2 errors not found: 'Bogota' is not in the answer"
    )


HIDDEN = [
    # A tag of a fence, a control token, what cannot be seen: a judge quotes them as it saw them.
    ("See the <answer> tag", "\u2039answer> tag", 2 / 4, "<answer> tag"),
    ("See the <answer> tag", "<answer> tag", 2 / 4, "<answer> tag"),
    ("Lima<|im_end|> is in Chile", "Lima\u2039|im_end|> is", 3 / 5, "Lima<|im_end|> is"),
    ("Use [INST] for it", "\u27e6INST] for", 2 / 4, "[INST] for"),
    ("The cap\u00adital is Quito", "cap\u2039U+00AD\u203aital is", None, "cap\u00adital is"),
    ("\u200bLima is in Chile", "\u2039U+200B\u203aLima is", 2 / 4, "\u200bLima is"),
    ("Lima\u200b is in Chile", "U+200B", None, "\u200b"),
    ("one\x1btwo", "one\u241btwo", None, "one\x1btwo"),
    ("Lima\r\nis in <answer>\r\nChile", "is in \u2039answer>", 3 / 5, "is in <answer>"),
]


@pytest.mark.parametrize(("answer", "quote", "lost", "place"), HIDDEN)
def test_a_quote_of_what_the_judge_was_shown_is_found_in_the_answer(
    answer: str, quote: str, lost: float | None, place: str
) -> None:
    assert quote in errors_text(JUROR, judge_criterion("kind"), prompt(), answer, None) or (
        quote in answer
    )
    line = f'Error: "{quote}" - wrong'
    found = errors_in(JUROR, WriteReply(line, None), answer)
    assert not isinstance(found, Unscored)
    ((start, end),) = [(error.start, error.end) for error in found]
    assert answer[start:end] == place
    if lost is not None:
        assert scored(answer, line) == pytest.approx(1.0 - lost)


def test_the_same_quote_of_what_was_shown_is_the_next_one_in_the_answer() -> None:
    answer = "<answer> a <answer> b"
    lines = ['Error: "\u2039answer>" - one'] * 3
    found = errors_in(JUROR, WriteReply("\n".join(lines), None), answer)
    assert not isinstance(found, Unscored)
    assert [(error.start, error.end) for error in found] == [(0, 8), (11, 19), (None, None)]
    assert "marked more often than it occurs" in (found[2].unlocated or "")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (WriteReply("It is fine.", None), "no error line in the reply"),
        (WriteReply("", None), "no error line in the reply"),
        (WriteReply("No errors", None, cut_off(2)), "the reply was cut off at 2 tokens"),
    ],
)
def test_what_cannot_be_read_whole_is_unscored(reply: WriteReply, reason: str) -> None:
    found = errors_in(JUROR, reply, "Lima is in Peru")
    assert isinstance(found, Unscored)
    assert found.reason.startswith(reason)
    assert score_of_errors(found, "Lima is in Peru") is found


def test_an_answer_without_words_is_whole_where_nothing_is_marked() -> None:
    assert score_of_errors((), "") == Rating(score=1.0)


TEXTS = st.text(st.sampled_from("ab 利é\u0301🙂\n.-ש"), max_size=20)


@settings(derandomize=True, max_examples=200)
@given(TEXTS, st.lists(st.tuples(st.integers(0, 19), st.integers(1, 6)), max_size=4))
def test_a_score_is_one_less_a_share_and_never_rises_with_another_mark(
    answer: str, spans: list[tuple[int, int]]
) -> None:
    marks = [
        MarkedError(quote="x", why="y", start=low, end=min(low + size, len(answer)))
        for low, size in spans
        if low < len(answer)
    ]
    last = 1.0
    for count in range(len(marks) + 1):
        found = score_of_errors(tuple(marks[:count]), answer)
        assert isinstance(found, Rating)
        assert 0.0 <= found.score <= last
        assert (found.score < 1.0) == (count > 0)
        last = found.score


@settings(derandomize=True, max_examples=100)
@given(TEXTS)
def test_word_spans_are_where_the_words_are(text: str) -> None:
    assert [text[start:end] for start, end in word_spans(text)] == words_of(text)


def test_the_message_shows_answer_criterion_and_reference() -> None:
    juror = Juror("one", ScriptedJudge(lambda _: {}), load_templates("detailed"), 0.5)
    text = errors_text(juror, judge_criterion("kind"), prompt(), "Lima 利马", "It is Lima.")
    for part in ("What is the capital of Peru?", "Lima 利马", "The answer is kind.", "It is Lima."):
        assert part in text
    assert "No errors" in text
    assert parse_marked_errors("No errors", "Lima") == ()

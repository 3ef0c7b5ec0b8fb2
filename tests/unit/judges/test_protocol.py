import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.judges import (
    PAIR_LABELS,
    JudgeReply,
    JudgeRequest,
    parse_verdict,
    rating_labels,
    request_hash,
    verdict_from_labels,
    verdict_of,
)
from rlaif.judges.protocol import critique_of
from rlaif.records import Choice, JudgeCall, Rating, Unscored, Verdict

LABEL_SETS = st.one_of(st.just(PAIR_LABELS), st.integers(2, 9).map(rating_labels))


def request(labels: tuple[str, ...] = PAIR_LABELS, text: str = "Which?") -> JudgeRequest:
    return JudgeRequest(text=text, labels=labels, criterion="c", shown=("x", "y"))


def call(reply: str, probs: dict[str, float]) -> JudgeCall:
    return JudgeCall(
        request_hash="h",
        judge="j",
        request="Which?",
        reply=reply,
        label_probs=probs,
        prompt_tokens=1,
        reply_tokens=1,
        latency=0.0,
    )


def value(verdict: Verdict) -> float:
    assert not isinstance(verdict, Unscored), verdict.reason
    return verdict.p_first if isinstance(verdict, Choice) else verdict.score


def reason(verdict: Verdict) -> str:
    assert isinstance(verdict, Unscored)
    return verdict.reason


def test_labels() -> None:
    assert rating_labels(3) == ("1", "2", "3")


@pytest.mark.parametrize(
    ("probs", "expected"),
    [
        ({"A": 0.6, "B": 0.2}, 0.75),
        ({"A": 0.0, "B": 0.9}, 0.0),
        ({"A": 1.0, "B": 0.0}, 1.0),
        ({"B": 0.3, "A": 0.3}, 0.5),
    ],
)
def test_a_choice_is_the_share_of_a(probs: dict[str, float], expected: float) -> None:
    verdict = verdict_from_labels(probs, PAIR_LABELS, 0.5)
    assert isinstance(verdict, Choice)
    assert verdict.p_first == pytest.approx(expected)


@pytest.mark.parametrize(
    ("probs", "expected"),
    [
        ({"1": 1.0, "2": 0.0, "3": 0.0}, 0.0),
        ({"1": 0.0, "2": 1.0, "3": 0.0}, 0.5),
        ({"1": 0.0, "2": 0.0, "3": 0.7}, 1.0),
        # by hand: 1.2 steps over 2 steps at most, over a mass of 0.8
        ({"1": 0.1, "2": 0.2, "3": 0.5}, 0.75),
        ({"1": 0.4, "2": 0.4}, 0.5),
    ],
)
def test_a_rating_is_the_expected_step(probs: dict[str, float], expected: float) -> None:
    verdict = verdict_from_labels(probs, rating_labels(len(probs)), 0.5)
    assert isinstance(verdict, Rating)
    assert verdict.score == pytest.approx(expected)


@pytest.mark.parametrize(
    ("probs", "floor", "words"),
    [
        ({"A": 0.2, "B": 0.1}, 0.5, ["hold 0.3", "under 0.5", "A: 0.2", "B: 0.1"]),
        ({"A": 0.0, "B": 0.0}, 0.0, ["hold 0 "]),
        ({"A": math.nan, "B": 0.5}, 0.0, ["outside 0 to 1", "nan"]),
        ({"A": math.inf, "B": 0.5}, 0.0, ["outside 0 to 1", "inf"]),
        ({"A": -0.1, "B": 0.9}, 0.0, ["outside 0 to 1", "-0.1"]),
        ({"A": 1.2, "B": 0.1}, 0.0, ["outside 0 to 1", "1.2"]),
        ({"A": 0.9}, 0.0, ["probabilities for ['A']", "not for ['A', 'B']"]),
        ({"A": 0.5, "B": 0.4, "C": 0.1}, 0.0, ["probabilities for ['A', 'B', 'C']"]),
        ({}, 0.0, ["probabilities for []"]),
    ],
)
def test_what_is_no_verdict_is_unscored_with_numbers(
    probs: dict[str, float], floor: float, words: list[str]
) -> None:
    said = reason(verdict_from_labels(probs, PAIR_LABELS, floor))
    for word in words:
        assert word in said


@given(
    LABEL_SETS.flatmap(
        lambda labels: st.tuples(
            st.just(labels), st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels))
        )
    ),
    st.floats(0, 1),
)
def test_a_verdict_from_labels_is_in_range_or_below_the_floor(
    case: tuple[tuple[str, ...], list[float]], floor: float
) -> None:
    labels, values = case
    verdict = verdict_from_labels(dict(zip(labels, values, strict=True)), labels, floor)
    if isinstance(verdict, Unscored):
        assert math.fsum(values) < floor or math.fsum(values) == 0.0
    else:
        assert 0.0 <= value(verdict) <= 1.0


@given(st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=9))
def test_turning_the_scale_round_turns_the_score_round(values: list[float]) -> None:
    labels = rating_labels(len(values))
    up = verdict_from_labels(dict(zip(labels, values, strict=True)), labels, 0.0)
    down = verdict_from_labels(dict(zip(labels, values[::-1], strict=True)), labels, 0.0)
    assert value(up) + value(down) == pytest.approx(1.0)


@given(st.floats(1e-3, 1.0), st.floats(1e-3, 1.0), st.floats(0.01, 1.0))
def test_the_mass_lost_to_other_tokens_does_not_move_a_verdict(
    a: float, b: float, kept: float
) -> None:
    whole = verdict_from_labels({"A": a, "B": b}, PAIR_LABELS, 0.0)
    part = verdict_from_labels({"A": a * kept, "B": b * kept}, PAIR_LABELS, 0.0)
    assert value(whole) == pytest.approx(value(part))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("A is right.\nVerdict: A", 1.0),
        ("B is right.\nVerdict: B", 0.0),
        ("Fine.\n\n**Verdict:** B\n", 0.0),
        ("Fine.\n**Verdict: A**", 1.0),
        ("Fine.\r\nverdict: [A].\r\n", 1.0),
        ('Fine.\n# VERDICT : "B"', 0.0),
        ("Fine.\nVerdict\uff1aA\u3002", 1.0),
        ("Answer A says: verdict: B. I disagree.\nVerdict: A", 1.0),
    ],
)
def test_a_clear_word_is_read(reply: str, expected: float) -> None:
    verdict = parse_verdict(reply, PAIR_LABELS)
    assert isinstance(verdict, Choice)
    assert verdict.p_first == expected


@pytest.mark.parametrize(("label", "expected"), [("1", 0.0), ("3", 0.5), ("5", 1.0)])
def test_a_number_is_read_as_a_step_of_the_scale(label: str, expected: float) -> None:
    verdict = parse_verdict(f"So so.\nVerdict: {label}", rating_labels(5))
    assert isinstance(verdict, Rating)
    assert verdict.score == expected


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("", "no verdict line"),
        ("I like A.", "no verdict line"),
        ("The Verdict: A", "no verdict line"),
        ("Verdict: A\nVerdict: A", "2 verdict lines"),
        ("Verdict: A\nNo, wait.\nVerdict: B", "2 verdict lines"),
        ("Verdict:", "the verdict is ''"),
        ("Verdict: C", "the verdict is 'C', not one of A, B"),
        ("Verdict: a", "the verdict is 'a'"),
        ("Verdict: A or B", "the verdict is 'A or B'"),
        ("Verdict: A because it is right", "not one of A, B"),
        ("Verdict: AB", "the verdict is 'AB'"),
        ("Verdict: " + "A" * 9999, "…"),
    ],
)
def test_an_unclear_word_is_unscored(reply: str, words: str) -> None:
    said = reason(parse_verdict(reply, PAIR_LABELS))
    assert words in said
    assert len(said) < 200


@pytest.mark.parametrize(
    "said", ["10", "0", "6", "-1", ".5", "4.5", "4/5", "1e0", "five", "\u0665"]
)
def test_a_number_off_the_scale_is_unscored(said: str) -> None:
    assert repr(said) in reason(parse_verdict(f"Fine.\nVerdict: {said}", rating_labels(5)))


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\n")).filter(
    lambda line: "verdict" not in line.lower()
)
DRESS = st.sampled_from(["{}", "**{}**", " {} ", "[{}]", "({}).", '"{}"', "`{}`", "*{}*\r"])


@given(LABEL_SETS, st.data(), st.lists(WORDS), st.lists(WORDS), DRESS)
def test_any_dressed_label_among_any_words_is_read_back(
    labels: tuple[str, ...], data: st.DataObject, before: list[str], after: list[str], dress: str
) -> None:
    place = data.draw(st.integers(0, len(labels) - 1))
    line = f"Verdict: {dress.format(labels[place])}"
    verdict = parse_verdict("\n".join([*before, line, *after]), labels)
    expected = 1.0 - place if labels == PAIR_LABELS else place / (len(labels) - 1)
    assert value(verdict) == pytest.approx(expected)


PIECES = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            ["Verdict:", "verdict", ":", "\n", " ", "A", "B", "1", "10", "*", "]", "."]
        ),
    )
).map("".join)


@given(PIECES, LABEL_SETS)
def test_garbage_never_raises_and_scores_only_from_one_plain_verdict_line(
    reply: str, labels: tuple[str, ...]
) -> None:
    verdict = parse_verdict(reply, labels)
    if isinstance(verdict, Unscored):
        return
    lines = [x for x in reply.split("\n") if re.match(r"\W*_*verdict\W*_*:", x, re.IGNORECASE)]
    spoken = [re.sub(r"[^A-Za-z0-9]", "", x.lower().partition("verdict")[2]) for x in lines]
    assert [word for word in spoken if word.upper() in labels], (reply, verdict)


def test_the_critique_is_what_comes_before_the_verdict() -> None:
    assert critique_of("A: Lima, right.\nVerdict: A") == "A: Lima, right."
    assert critique_of(" Cut **Verdict: A\nVerdict: B") == " Cut"
    assert critique_of("No cue at all ") == "No cue at all"
    assert critique_of("\nVerdict: A") == ""


def test_probabilities_win_over_words() -> None:
    reply = JudgeReply("Good.", call("Good.\nVerdict: B", {"A": 0.9, "B": 0.1}))
    assert verdict_of(request(), reply, 0.5) == Choice(p_first=0.9)


def test_words_are_read_where_there_are_no_probabilities() -> None:
    reply = JudgeReply("Good.", call("Good.\nVerdict: B", {}))
    assert verdict_of(request(), reply, 0.5) == Choice(p_first=0.0)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (JudgeReply("", None, "too long"), "too long"),
        (JudgeReply("Good.", call("Good.", {"A": 0.9, "B": 0.1}), "it broke"), "it broke"),
        (JudgeReply("", None), "not asked"),
        (JudgeReply(" \n", call("", {"A": 0.9, "B": 0.1})), "wrote no critique"),
        (JudgeReply("Good.", call("Good.", {"A": 0.1, "B": 0.1})), "hold 0.2"),
        (JudgeReply("Good.", call("Good.", {})), "no verdict line"),
    ],
)
def test_a_reply_without_verdict_is_unscored(reply: JudgeReply, words: str) -> None:
    assert words in reason(verdict_of(request(), reply, 0.5))


def test_requests_are_keyed_by_judge_text_and_labels() -> None:
    base = request_hash("judge", request())
    assert request_hash("judge", request()) == base
    others = {
        request_hash("other", request()),
        request_hash("judge", request(text="Which one?")),
        request_hash("judge", request(labels=("1", "2"))),
    }
    assert len(others | {base}) == 4

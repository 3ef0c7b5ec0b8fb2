"""Verdicts from objects, and from several replies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.judges import PAIR_LABELS, parse_verdict, rating_labels
from rlaif.judges.samples import (
    NotAJudgementError,
    read_object,
    verdict_from_reply,
    verdict_from_samples,
)
from rlaif.judges.verdict_forms import VerdictForm
from rlaif.records import Choice, Rating, Unscored

A, B, NONE = "x\nVerdict: A", '{"critique": "x", "verdict": "B"}', "I cannot say."


def test_the_share_of_samples_is_the_verdict() -> None:
    assert verdict_from_samples([A, B, A, A], PAIR_LABELS, parse_verdict) == Choice(p_first=0.75)


def test_ratings_are_averaged() -> None:
    said = ["x\nVerdict: 1", "x\nVerdict: 5", "x\nVerdict: 4"]
    verdict = verdict_from_samples(said, rating_labels(5), parse_verdict)
    assert isinstance(verdict, Rating)
    assert verdict.score == pytest.approx((0.0 + 1.0 + 0.75) / 3)


@pytest.mark.parametrize(
    ("samples", "share"),
    [([A, A, NONE], 1.0), ([A, B, A, B, NONE], 0.5), ([A, NONE], None), ([], None)],
)
def test_half_without_a_verdict_is_unscored(samples: list[str], share: float | None) -> None:
    verdict = verdict_from_samples(samples, PAIR_LABELS, parse_verdict)
    if share is None:
        assert isinstance(verdict, Unscored)
        assert f"of {len(samples)} samples have no verdict" in verdict.reason
        assert not samples or "no verdict line" in verdict.reason
    else:
        assert verdict == Choice(p_first=share)


def test_an_object_is_read_strictly_and_words_as_words() -> None:
    assert verdict_from_reply(B, PAIR_LABELS, parse_verdict) == Choice(p_first=0.0)
    assert verdict_from_reply(A, PAIR_LABELS, parse_verdict) == Choice(p_first=1.0)
    found = verdict_from_reply("{}\nVerdict: A", PAIR_LABELS, parse_verdict)
    assert isinstance(found, Unscored)
    assert "not JSON" in found.reason


@given(st.text(max_size=40), st.sampled_from(PAIR_LABELS), st.booleans(), st.booleans())
def test_an_object_survives_its_trip(
    critique: str, label: str, verdict_first: bool, escaped: bool
) -> None:
    pairs = [("critique", critique), ("verdict", label)]
    reply = json.dumps(dict(reversed(pairs) if verdict_first else pairs), ensure_ascii=escaped)
    if not critique.strip():
        with pytest.raises(NotAJudgementError, match="expected words"):
            read_object(reply, PAIR_LABELS)
        return
    found = read_object(reply, PAIR_LABELS)
    assert (found.critique, found.verdict) == (critique, label)
    assert reply[slice(*found.place)] == label
    assert reply[: found.place[0]].endswith('"verdict": "')


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "null",
        "[]",
        "7",
        '"A"',
        "{}",
        '{"critique": "x"}',
        '{"verdict": "A"}',
        '{"critique": "x", "verdict": ["A"]}',
        '{"critique": "x", "verdict": 1}',
        '{"critique": 1, "verdict": "A"}',
        '{"critique": null, "verdict": "A"}',
        '{"critique": "x", "verdict": "A "}',
        '{"critique": "x", "verdict": "A", "verdict": "B"}',
        '{"critique": "x", "verdict": "\\u0041"}',
        '```json\n{"critique": "x", "verdict": "A"}\n```',
        '{"critique": "x", "verdict": "A"} {"critique": "x", "verdict": "B"}',
        "[" * 100_000,
    ],
)
def test_all_else_is_no_judgement(reply: str) -> None:
    with pytest.raises(NotAJudgementError):
        read_object(reply, PAIR_LABELS)


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\uD83D \\uDE00"])
def test_a_critique_with_half_of_a_surrogate_pair_in_it_is_no_judgement(half: str) -> None:
    reply = f'{{"critique": "polite {half} and short", "verdict": "A"}}'
    with pytest.raises(NotAJudgementError, match="lone surrogates") as caught:
        read_object(reply, PAIR_LABELS)
    said = str(caught.value)
    assert said.encode("utf-8")
    assert verdict_from_reply(reply, PAIR_LABELS, parse_verdict) == Unscored(reason=said)


def test_a_critique_with_a_whole_surrogate_pair_in_it_is_read() -> None:
    reply = '{"critique": "polite \\ud83d\\ude00", "verdict": "A"}'
    assert read_object(reply, PAIR_LABELS).critique == "polite \U0001f600"


LLMBAR = VerdictForm(phrase="Output ({label}) is better", labels={"a": "A", "b": "B"})


def test_what_a_judge_writes_for_a_label_is_understood() -> None:
    words = ["Output (a) is better", '{"critique": "x", "verdict": "b"}', "Output (a) is better."]
    share = verdict_from_samples(words, PAIR_LABELS, parse_verdict, LLMBAR)
    assert isinstance(share, Choice)
    assert share.p_first == pytest.approx(2 / 3)
    other = verdict_from_reply(B, PAIR_LABELS, parse_verdict, LLMBAR)
    assert isinstance(other, Unscored)
    assert "'B', not one of a, b" in other.reason


def test_a_verdict_stands_alone_where_no_critique_is_asked_for() -> None:
    reply = '{"verdict": "A"}'
    assert read_object(reply, PAIR_LABELS, critique=False).critique == ""
    verdict = verdict_from_reply(reply, PAIR_LABELS, parse_verdict, critique=False)
    assert verdict == Choice(p_first=1.0)
    with pytest.raises(NotAJudgementError, match="expected an object of verdict"):
        read_object(B, PAIR_LABELS, critique=False)


@given(st.text(max_size=60))
def test_garbage_has_no_verdict(text: str) -> None:
    assert isinstance(verdict_from_reply("{" + text, PAIR_LABELS, parse_verdict), Unscored)

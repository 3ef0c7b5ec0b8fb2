"""A local judge writes its ranking itself: how much it may write, and where it stops."""

from pathlib import Path
from typing import Any

import pytest
from transformers_samples import load, reciting

from rlaif.config import JudgeConfig
from rlaif.judges import PAIR_LABELS, JudgeRequest, TransformersJudge, request_hash, verdict_of
from rlaif.judges.verdict_forms import RANKING
from rlaif.models.loading import LanguageModel
from rlaif.records import Ranking, Unscored

LABELS = ("A", "B", "C")
LIMIT = 24


@pytest.fixture(scope="module")
def lm(tiny_folder: Path) -> LanguageModel:
    return load(tiny_folder)


def ranking(text: str = "Q", labels: tuple[str, ...] = LABELS, **fields: Any) -> JudgeRequest:
    return JudgeRequest(text, labels, "c", (), form=RANKING, asks="ranking", **fields)


def config(limit: int = LIMIT, **fields: Any) -> JudgeConfig:
    return JudgeConfig(max_critique_tokens=limit, batch_size=4, min_label_mass=0.0, **fields)


def saying(lm: LanguageModel, said: str, *, ends: bool = False, **fields: Any) -> TransformersJudge:
    return reciting(lm, said, config(**fields), ends=ends)


def test_it_stops_after_the_line_of_its_ranking(lm: LanguageModel) -> None:
    (reply,) = saying(lm, "B is.\nRanking: B > A > C\nAnd much more", limit=40).judge([ranking()])
    assert reply.failure is None
    assert reply.critique == "B is."
    assert reply.call is not None
    assert reply.call.reply.startswith("B is.\nRanking: B > A > C\n")
    assert "much" not in reply.call.reply
    assert reply.call.label_probs == {}
    assert reply.call.request_hash != request_hash(
        reply.call.judge, JudgeRequest("Q", LABELS, "c", ())
    )
    assert verdict_of(ranking(), reply, 0.5) == Ranking(places=(1, 0, 2))


def test_it_may_end_with_its_ranking(lm: LanguageModel) -> None:
    (reply,) = saying(lm, "B is.\nRanking: B > C > A", ends=True, limit=40).judge([ranking()])
    assert verdict_of(ranking(), reply, 0.5) == Ranking(places=(1, 2, 0))


def test_a_blank_line_or_the_word_verdict_is_no_end(lm: LanguageModel) -> None:
    said = "B is.\n\nVerdict: no\nRanking: C > B > A\n"
    (reply,) = saying(lm, said, limit=40).judge([ranking()])
    assert reply.critique == "B is.\n\nVerdict: no"
    assert verdict_of(ranking(), reply, 0.5) == Ranking(places=(2, 1, 0))


def test_without_a_critique_it_writes_the_line_alone(lm: LanguageModel) -> None:
    judge = saying(lm, "Ranking: C > A > B\nmore", critique=False)
    (reply,) = judge.judge([ranking(critique=False)])
    assert reply.critique == ""
    asked = ranking(critique=False)
    assert verdict_of(asked, reply, 0.5) == Ranking(places=(2, 0, 1))


def test_words_without_end_have_no_ranking_and_take_the_room_there_is(lm: LanguageModel) -> None:
    (reply,) = saying(lm, "word " * 200).judge([ranking()])
    line = lm.tokenizer.encode("\nRanking: A > B > C\n")
    assert reply.call is not None
    assert reply.call.reply_tokens == LIMIT + 2 * len(line)
    verdict = verdict_of(ranking(), reply, 0.5)
    assert isinstance(verdict, Unscored)
    assert "no ranking line" in verdict.reason


def test_rankings_and_verdicts_of_one_call_do_not_mix(lm: LanguageModel) -> None:
    judge = TransformersJudge(lm, config(limit=6))
    asked = [
        ranking("one " * 3, LABELS),
        JudgeRequest("two", PAIR_LABELS, "c", ()),
        ranking("three 三", (*LABELS, "D")),
        JudgeRequest("four " * 5, PAIR_LABELS, "c", ()),
    ]
    together = judge.judge(asked)
    for request, reply in zip(asked, together, strict=True):
        (alone,) = judge.judge([request])
        assert reply.call is not None
        assert alone.call is not None
        assert reply.call.request == request.text
        assert reply.call.reply == alone.call.reply
        assert set(reply.call.label_probs) == set(
            request.labels if request.asks == "verdict" else ()
        )


def test_a_list_too_long_is_refused_with_the_room_that_its_ranking_takes(lm: LanguageModel) -> None:
    judge = TransformersJudge(lm, config())
    room = LIMIT + 2 * len(lm.tokenizer.encode("\nRanking: A > B > C\n"))
    words = "word " * 600
    long, short = judge.judge([ranking(words), ranking("short")])
    assert short.failure is None
    assert long.call is None
    assert f"the reply up to {room} more" in (long.failure or "")

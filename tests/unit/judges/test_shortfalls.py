"""What replies lack is counted by judge, and told with what to do about it once it is a share."""

import pytest
from judge_samples import judgement

from rlaif.judges.protocol import (
    PAIR_LABELS,
    JudgeRequest,
    lacks_mass,
    verdict_from_labels,
)
from rlaif.judges.second_asking import AskedTwice
from rlaif.judges.shortfalls import advice, cut_share, low_mass_share
from rlaif.records import Choice, JudgeCall, Judgement, Unscored, Verdict
from rlaif.testing import ScriptedJudge

LOW = verdict_from_labels({"A": 0.1, "B": 0.1}, PAIR_LABELS, 0.5)


def call(**fields: object) -> JudgeCall:
    given = {
        "request_hash": "h",
        "judge": "d",
        "request": "Q",
        "reply": "It is",
        "label_probs": {"A": 0.1, "B": 0.1},
        "prompt_tokens": 9,
        "reply_tokens": 64,
        "latency": 0.0,
    }
    return JudgeCall.model_validate({**given, **fields})


def said(
    judge: str = "it", verdict: Verdict | None = None, own: JudgeCall | None = None, **rest: object
) -> Judgement:
    fields = {"judge": judge, "call": own or call(), **rest}
    return judgement("c", verdict or Choice(p_first=0.5), "a", "b").model_copy(update=fields)


def test_the_share_of_critiques_that_were_cut_counts_samples_and_no_code() -> None:
    code = judgement("c", Choice(p_first=0.5), "a", "b")
    silent = said(own=call(reply="", cut=0))
    sampled = said(own=call(samples=("one", "two", "three"), cut=2))
    found = cut_share([code, silent, sampled, said(own=call(cut=1)), said()])
    assert (found.rate, found.count) == (pytest.approx(3 / 5), 5)


def test_of_a_critique_that_is_graded_its_own_call_counts() -> None:
    assert cut_share([said(writing=call(cut=1))]).rate == 1.0
    assert cut_share([said(own=call(cut=1), writing=call())]).rate == 0.0


def test_too_little_label_mass_is_told_from_other_reasons() -> None:
    other = verdict_from_labels({"A": 0.1}, PAIR_LABELS, 0.5)
    words = said(verdict=Unscored(reason="no verdict line"), own=call(label_probs={}))
    judgements = [said(verdict=LOW), said(verdict=other), said(), words]
    assert [lacks_mass(j.verdict) for j in judgements] == [True, False, False, False]
    found = low_mass_share(judgements)
    assert (found.rate, found.count) == (pytest.approx(1 / 3), 3)


def test_a_second_asking_hands_the_reason_on() -> None:
    judge = AskedTwice(ScriptedJudge(lambda _: {"A": 0.1, "B": 0.1}), 0.5)
    request = JudgeRequest("Q", PAIR_LABELS, "c", ())
    (reply,) = judge.judge([request])
    assert lacks_mass(Unscored(reason=reply.failure or ""))


def test_advice_names_the_judge_the_share_the_limit_and_the_setting() -> None:
    cut = [said(own=call(cut=1))] * 37 + [said(own=call(reply_tokens=12))] * 63
    (told,) = advice([*cut, *[said("other")] * 50])
    assert told.startswith("37% of 100 critiques by it were cut off at 64 tokens: raise judge.max_")


def test_advice_on_label_mass_says_what_to_change_and_what_lowering_risks() -> None:
    (told,) = advice([said(verdict=LOW)] * 30 + [said()] * 70)
    assert told.startswith("30% of 100 verdicts by it are unscored because their labels hold less")
    for part in ("judge.critique", "judge.template", "the judge's model", "makes labels noisier"):
        assert part in told


@pytest.mark.parametrize(("lacking", "sentences"), [(0, 0), (4, 0), (5, 2)])
def test_what_is_rare_is_not_told(lacking: int, sentences: int) -> None:
    short = said(verdict=LOW, own=call(cut=1))
    assert len(advice([short] * lacking + [said()] * (100 - lacking))) == sentences


def test_nothing_said_nothing_told() -> None:
    assert advice([]) == ()

"""A judge whose replies vary gets a second chance to be understood, and no third."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from judge_samples import completion, judge_criterion, prompt, rubric

from rlaif.config import JudgingConfig
from rlaif.errors import JudgeUnreachableError
from rlaif.judges import PAIR_LABELS, JudgeReply, JudgeRequest, Juror, RubricJudge, load_templates
from rlaif.judges.backend import Writer
from rlaif.judges.protocol import WriteReply, WriteRequest, request_hash, verdict_of
from rlaif.judges.second_asking import AskedTwice, asked_twice
from rlaif.records import Choice, Unscored
from rlaif.testing import ScriptedJudge, ScriptedWriter


def request(text: str) -> JudgeRequest:
    return JudgeRequest(text, PAIR_LABELS, "kind", ("a", "b"))


def mumbling(asked: JudgeRequest) -> Mapping[str, float] | str:
    """Say A at once, or at the second asking, or never, as the text says."""
    if asked.text == "never" or (asked.text == "late" and asked.attempt == 1):
        return f"Hm, attempt {asked.attempt}."
    return "Well.\nVerdict: A"


def test_only_what_was_not_understood_is_asked_again_and_only_once() -> None:
    inner = ScriptedJudge(mumbling)
    asked = [request(text) for text in ("at once", "late", "never")]
    replies = AskedTwice(inner, 0.5).judge(asked)
    assert [(r.text, r.attempt) for r in inner.requests] == [
        ("at once", 1),
        ("late", 1),
        ("never", 1),
        ("late", 2),
        ("never", 2),
    ]
    verdicts = [verdict_of(r, reply, 0.5) for r, reply in zip(asked, replies, strict=True)]
    assert verdicts[:2] == [Choice(p_first=1.0)] * 2
    assert isinstance(verdicts[2], Unscored)
    reason = verdicts[2].reason
    assert reason.startswith("asked twice: no verdict line in the reply")
    assert reason.count("no verdict line") == 2
    assert replies[2].critique == "Hm, attempt 2."


def test_a_judge_that_is_understood_is_asked_once() -> None:
    inner = ScriptedJudge(mumbling)
    judge = AskedTwice(inner, 0.5)
    assert judge.judge([request("at once")] * 3) == inner.judge([request("at once")] * 3)
    assert judge.judge([]) == []
    assert (judge.name, judge.digest, judge.special_tokens) == (inner.name, inner.digest, ())


def test_labels_that_hold_too_little_are_not_understood() -> None:
    def unsure(asked: JudgeRequest) -> Mapping[str, float]:
        return {"A": 0.1, "B": 0.1} if asked.attempt == 1 else {"A": 0.6, "B": 0.2}

    asked = request("which?")
    (reply,) = AskedTwice(ScriptedJudge(unsure), 0.5).judge([asked])
    verdict = verdict_of(asked, reply, 0.5)
    assert isinstance(verdict, Choice)
    assert verdict.p_first == pytest.approx(0.75)


class Failing(ScriptedJudge):
    def judge(self, requests: list[JudgeRequest]) -> list[JudgeReply]:  # type: ignore[override]
        self.requests += requests
        return [JudgeReply("", None, "the server is gone") for _ in requests]


def test_what_failed_on_its_way_is_not_asked_again() -> None:
    inner = Failing(mumbling)
    (reply,) = AskedTwice(inner, 0.5).judge([request("x")])
    assert (reply.failure, len(inner.requests)) == ("the server is gone", 1)


def test_where_the_second_asking_fails_on_its_way_the_first_reply_stays() -> None:
    class GoneAtOnce(ScriptedJudge):
        def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
            if requests[0].attempt == 1:
                return super().judge(requests)
            return [JudgeReply("", None, "the server is gone") for _ in requests]

    asked = request("late")
    (reply,) = AskedTwice(GoneAtOnce(mumbling), 0.5).judge([asked])
    assert reply.call is not None
    assert (reply.call.reply, reply.critique) == ("Hm, attempt 1.", "Hm, attempt 1.")
    verdict = verdict_of(asked, reply, 0.5)
    assert isinstance(verdict, Unscored)
    assert verdict.reason.startswith("asked twice: no verdict line in the reply")
    assert verdict.reason.endswith("; then: the server is gone")


def test_a_reply_that_is_known_to_hold_no_verdict_is_not_asked_for_again() -> None:
    class CutOff(ScriptedJudge):
        def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
            return [replace(reply, failure="cut off") for reply in super().judge(requests)]

    inner = CutOff(mumbling)
    (reply,) = AskedTwice(inner, 0.5).judge([request("late")])
    assert (reply.failure, len(inner.requests)) == ("cut off", 1)


def test_a_second_asking_is_another_question() -> None:
    first, second = request("x"), JudgeRequest("x", PAIR_LABELS, "kind", ("a", "b"), attempt=2)
    assert request_hash("j", first) != request_hash("j", second)


def test_a_pair_that_could_not_be_read_is_in_quarantine_with_the_reason() -> None:
    mute = ScriptedJudge(lambda r: "Hm." if r.labels == PAIR_LABELS else "x\nVerdict: 3")
    judge = AskedTwice(mute, 0.5)
    panel = RubricJudge(
        rubric(judge_criterion("kind")),
        judging=JudgingConfig(),
        jury=[Juror("one", judge, load_templates("detailed"), 0.5)],
    )
    items = [(prompt(), completion(name)) for name in "ab"]
    scores = {s.completion_id: s for s in panel.scores(items, panel.rate(items))}
    pair = [(prompt(), items[0][1], items[1][1])]
    (verdict,) = panel.pair_verdicts(pair, scores, panel.compare(pair))
    assert verdict.p_first is None
    assert "kind, a first: asked twice" in (verdict.quarantined or "")
    assert "kind, b first: asked twice" in (verdict.unscored or "")


def test_who_writes_still_writes_and_who_does_not_still_does_not() -> None:
    writer = ScriptedWriter(mumbling, lambda r: f"Better: {r.text}")
    judge = asked_twice(writer, 0.5)
    assert isinstance(judge, Writer)
    (reply,) = judge.write([WriteRequest("mend this", 20)])
    assert (reply.text, reply.failure) == ("Better: mend this", None)
    assert not isinstance(asked_twice(ScriptedJudge(mumbling), 0.5), Writer)


class HalfGone(ScriptedJudge):
    """Loses so many requests on their way, then answers."""

    def __init__(self, lost: int) -> None:
        super().__init__(mumbling)
        self.lost = lost

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        gone = [JudgeReply("", None, "429, come back in an hour")] * self.lost
        return [*gone, *super().judge(requests[self.lost :])]


@pytest.mark.parametrize(("lost", "of"), [(4, 4), (3, 5)])
def test_a_judge_that_is_gone_ends_the_run_instead_of_leaving_scraps(lost: int, of: int) -> None:
    judge = AskedTwice(HalfGone(lost), 0.5)
    with pytest.raises(
        JudgeUnreachableError, match=f"{lost} of {of} calls .* come back in an hour"
    ):
        judge.judge([request("at once")] * of)


@pytest.mark.parametrize(("lost", "of"), [(2, 4), (3, 3), (1, 1)])
def test_some_that_fail_cost_the_others_nothing(lost: int, of: int) -> None:
    replies = AskedTwice(HalfGone(lost), 0.5).judge([request("at once")] * of)
    assert [r.failure is not None for r in replies] == [True] * lost + [False] * (of - lost)


class WritesHalf(ScriptedWriter):
    """Loses so many requests to write on their way, then writes."""

    lost = 0

    def write(self, requests: Sequence[WriteRequest]) -> list[WriteReply]:
        gone = [WriteReply("", None, "connection refused")] * self.lost
        return [*gone, *super().write(requests[self.lost :])]


@pytest.mark.parametrize(
    ("lost", "of", "gone"),
    [(4, 4, True), (3, 5, True), (2, 4, False), (3, 3, False), (0, 0, False)],
)
def test_a_writer_that_is_gone_ends_the_run_as_a_judge_does(
    lost: int, of: int, *, gone: bool
) -> None:
    inner = WritesHalf(mumbling, lambda _: "Better.")
    inner.lost = lost
    judge = asked_twice(inner, 0.5)
    assert isinstance(judge, Writer)
    asked = [WriteRequest("mend this", 20)] * of
    if gone:
        with pytest.raises(JudgeUnreachableError, match=f"{lost} of {of} calls .* refused"):
            judge.write(asked)
    else:
        assert [r.failure is not None for r in judge.write(asked)] == [True] * lost + [False] * (
            of - lost
        )


def test_text_that_was_cut_off_is_no_outage() -> None:
    judge = asked_twice(ScriptedWriter(mumbling, lambda _: "much too long for it"), 0.5)
    assert isinstance(judge, Writer)
    replies = judge.write([WriteRequest("mend this", 2)] * 5)
    assert all(r.failure is not None and r.call is not None for r in replies)

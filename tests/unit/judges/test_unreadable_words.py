"""A failure that lies in the words that came is asked about once more, another is not."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rlaif.judges import PAIR_LABELS, JudgeReply, JudgeRequest
from rlaif.judges.second_asking import AskedTwice
from rlaif.testing import ScriptedJudge


class Failing(ScriptedJudge):
    """Fails at the first asking, in its words or on their way."""

    def __init__(self, *, unreadable: bool) -> None:
        super().__init__(lambda _: "Fine.\nVerdict: A")
        self.unreadable = unreadable

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        replies = zip(requests, super().judge(requests), strict=True)
        return [
            replace(reply, failure="half a word", unreadable=self.unreadable)
            if asked.attempt == 1
            else reply
            for asked, reply in replies
        ]


@pytest.mark.parametrize(("unreadable", "failure"), [(True, None), (False, "half a word")])
def test_only_a_failure_in_the_words_is_asked_about_again(
    unreadable: bool, failure: str | None
) -> None:
    judge = Failing(unreadable=unreadable)
    (reply,) = AskedTwice(judge, 0.5).judge([JudgeRequest("x", PAIR_LABELS, "c", ("a", "b"))])
    assert reply.failure == failure
    assert [asked.attempt for asked in judge.requests] == ([1, 2] if unreadable else [1])

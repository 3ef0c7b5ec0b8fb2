"""A judge on servers: asked once more where a reply holds no verdict, and given up where none come.

One request that fails costs the others nothing. But where most of a batch fails on its way, the
answers are not unscored, the judge is gone: a cycle that went on would train on scraps.
"""

from collections.abc import Sequence
from dataclasses import replace

from rlaif.errors import JudgeUnreachableError
from rlaif.judges.backend import Judge, Writer
from rlaif.judges.protocol import (
    JudgeReply,
    JudgeRequest,
    WriteReply,
    WriteRequest,
    verdict_of,
)
from rlaif.records import Unscored

FEW = 4


class AskedTwice:
    """A judge that is asked a second time about what it could not be understood on, and no third.

    A reply that failed on its way is not asked for again: that is the sender's business. One whose
    words cannot be read is, be they JSON, or cut off; one without words is not, since that would
    cost as much again. Where the second reply holds no verdict either, the judgement is unscored
    with both reasons; where none came, with the first reply and what became of the second.

    Args:
        judge: The judge; equal requests with another ``attempt`` must be new questions to it.
        min_label_mass: Labels that together hold less probability than this give no verdict.

    Attributes:
        name: The judge's.
        digest: The judge's.
        special_tokens: The judge's.

    Raises:
        JudgeUnreachableError: From ``judge()``, where more than half of several requests failed on
            their way; replies that came are kept.
    """

    def __init__(self, judge: Judge, min_label_mass: float) -> None:
        self._judge = judge
        self._min_label_mass = min_label_mass
        self.name = judge.name
        self.digest = judge.digest
        self.special_tokens = judge.special_tokens

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer requests in their order."""
        replies = self._judge.judge(requests)
        self._refuse_silence(replies)
        reasons = {
            place: reason
            for place, (request, reply) in enumerate(zip(requests, replies, strict=True))
            if (reason := self._not_understood(request, reply)) is not None
        }
        if not reasons:
            return replies
        again = [replace(requests[place], attempt=2) for place in reasons]
        for place, request, reply in zip(reasons, again, self._judge.judge(again), strict=True):
            replies[place] = self._settled(request, replies[place], reply, reasons[place])
        return replies

    def _refuse_silence(self, replies: Sequence[JudgeReply | WriteReply]) -> None:
        lost = [reply.failure for reply in replies if reply.call is None]
        if len(replies) < FEW or 2 * len(lost) <= len(replies):
            return
        raise JudgeUnreachableError(
            f"{len(lost)} of {len(replies)} calls to the judge {self.name} came to nothing; the "
            f"first: {lost[0]}",
            "a judge that answers",
            "see to what it says, and that its servers are up, then run again: replies that came "
            "are kept, and not paid again",
        )

    def _not_understood(self, request: JudgeRequest, reply: JudgeReply) -> str | None:
        if reply.call is None or (reply.failure is not None and not reply.unreadable):
            return None
        verdict = verdict_of(request, reply, self._min_label_mass)
        return verdict.reason if isinstance(verdict, Unscored) else None

    def _settled(
        self, request: JudgeRequest, first: JudgeReply, second: JudgeReply, before: str
    ) -> JudgeReply:
        """Return the second reply, with both reasons if needed; the first where no words came."""
        failure = second.failure or self._not_understood(request, second)
        if failure is None:
            return second
        came = second.call is not None and second.call.reply.strip()
        return replace(second if came else first, failure=f"asked twice: {before}; then: {failure}")


class WriterAskedTwice(AskedTwice):
    """A judge that writes free text too: for that it is asked once."""

    def write(self, requests: Sequence[WriteRequest]) -> list[WriteReply]:
        """Write to requests, as the judge does.

        Raises:
            JudgeUnreachableError: More than half of several requests failed on their way, as for
                ``judge()``.
            TypeError: The judge is no ``Writer``; :func:`asked_twice` sees to that.
        """
        if not isinstance(self._judge, Writer):
            raise TypeError(f"{self.name} writes no free text")
        replies = self._judge.write(requests)
        self._refuse_silence(replies)
        return replies


def asked_twice(judge: Judge, min_label_mass: float) -> AskedTwice:
    """Return a judge that is asked twice where needed, and that writes where the judge does."""
    kind = WriterAskedTwice if isinstance(judge, Writer) else AskedTwice
    return kind(judge, min_label_mass)

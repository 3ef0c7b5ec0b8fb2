"""Free text from a server: put as a question, so that it goes the way of all questions."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlaif.judges.protocol import JudgeReply, JudgeRequest, WriteReply, WriteRequest, write_hash


@dataclass(frozen=True)
class Writing(JudgeRequest):
    """A request to write: one reply, in words, without a verdict.

    Attributes:
        max_tokens: Limit of the reply; it goes before that of the settings.
    """

    max_tokens: int = 0


def put(requests: Sequence[WriteRequest]) -> list[Writing]:
    """Put requests to write as questions."""
    return [
        Writing(request.text, (), "", (), critique=False, max_tokens=request.max_tokens)
        for request in requests
    ]


def written(judge: str, request: WriteRequest, reply: JudgeReply) -> WriteReply:
    """Return what came back for a request to write.

    Args:
        judge: The judge's digest.
        request: What was asked for.
        reply: What came back for it as a question.
    """
    if reply.call is None:
        return WriteReply("", None, reply.failure)
    call = reply.call.model_copy(update={"request_hash": write_hash(judge, request)})
    return WriteReply(call.reply.strip(), call, reply.failure)

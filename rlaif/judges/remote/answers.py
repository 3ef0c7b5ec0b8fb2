"""Servers' replies as a judge's replies to requests."""

from collections.abc import Sequence

from rlaif.judges.protocol import JudgeReply, JudgeRequest, critique_of, request_hash
from rlaif.judges.remote.asking import ReplyFormat
from rlaif.judges.remote.calling import Received
from rlaif.judges.remote.reading import label_probs
from rlaif.judges.samples import NotAJudgementError, read_object
from rlaif.judges.verdict_forms import label_place
from rlaif.records import JudgeCall, Unscored

_DRESSING = " \t\r\n*#_"


def reply_of(
    request: JudgeRequest, judge: str, received: Sequence[Received], samples: int
) -> JudgeReply:
    """Put together what came for a request.

    Args:
        request: What was asked.
        judge: The judge's digest.
        received: The replies, at least one; together they hold the samples.
        samples: Samples that were wanted.

    Returns:
        A reply with label probabilities where its log-probs give them and it is the only one; its
        failure says why there can be no verdict, as far as that is known without parsing words.
        Of several samples the first critique that there is stands for all.
    """
    said = [(one, part.asked.format) for part in received for one in part.completion.said][:samples]
    read = [_read(one.content or "", kind, request) for one, kind in said]
    first, content = said[0][0], said[0][0].content or ""
    critique, place, failure = read[0]
    if failure is None and isinstance(place, Unscored) and first.finish == "length":
        failure = f"the reply was cut off before its verdict ({place.reason})"
    probs = None
    if samples == 1 and first.tokens is not None and not isinstance(place, Unscored):
        probs = label_probs(content, first.tokens, place, request.labels)
    call = JudgeCall(
        request_hash=request_hash(judge, request),
        judge=judge,
        request=request.text,
        reply=content,
        label_probs=probs or {},
        samples=tuple(one.content or "" for one, _ in said) if samples > 1 else (),
        prompt_tokens=sum(part.stored.prompt_tokens for part in received),
        reply_tokens=sum(part.stored.reply_tokens for part in received),
        latency=max(part.stored.latency for part in received),
        cost=sum(part.stored.cost for part in received),
    )
    if samples > 1:
        return JudgeReply(next((words for words, _, _ in read if words), ""), call)
    return JudgeReply(critique, call, failure)


def _read(
    content: str, kind: ReplyFormat, request: JudgeRequest
) -> tuple[str, tuple[int, int] | Unscored, str | None]:
    """Return the critique, the label's place, and why the form of a reply is wrong, if it is."""
    if kind == "json_schema":
        try:
            found = read_object(content, request.labels)
        except NotAJudgementError as exc:
            return "", Unscored(reason=str(exc)), str(exc)
        return found.critique.strip(), found.place, None
    place = label_place(content, request.labels, request.form)
    if isinstance(place, Unscored):
        return critique_of(content).strip(), place, None
    line = content.rfind("\n", 0, place[0]) + 1
    return content[:line].strip(_DRESSING), place, None

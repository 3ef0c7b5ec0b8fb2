"""Servers' replies as a judge's replies to requests."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlaif.judges.protocol import (
    DRESSING,
    JudgeReply,
    JudgeRequest,
    critique_of,
    cut_off,
    request_hash,
)
from rlaif.judges.remote.asking import ReplyFormat
from rlaif.judges.remote.calling import Received
from rlaif.judges.remote.completion import Said
from rlaif.judges.remote.reading import label_probs
from rlaif.judges.remote.writing import Writing
from rlaif.judges.samples import NotAJudgementError, read_object
from rlaif.judges.verdict_forms import (
    around_cue,
    goes_on,
    label_place,
    read_ranking,
    spoken_labels,
)
from rlaif.records import JudgeCall, Unscored
from rlaif.text import quoted, word_spans

_SHOWN = 40


@dataclass(frozen=True)
class Sample:
    """One reply as it reads.

    Attributes:
        content: Its words.
        critique: Those before the verdict.
        probs: The labels' probabilities; none where the server gave none that can be read.
        failure: Why there can be no verdict, as far as that is known without parsing words.
        cut: Whether it came to its limit of tokens before its verdict, or its end.
        silent: Whether it came without words, in a call that brought none: asking again is vain.
    """

    content: str
    critique: str
    probs: dict[str, float]
    failure: str | None
    cut: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Part:
    """What is left of a call once it is read: its log-probs, a thousand times as large, are not.

    Attributes:
        samples: Its replies, at least one.
        prompt_tokens: Tokens read.
        reply_tokens: Tokens written, over all replies.
        latency: Seconds.
        cost: Money.
    """

    samples: tuple[Sample, ...]
    prompt_tokens: int
    reply_tokens: int
    latency: float
    cost: float


def part_of(request: JudgeRequest, received: Received) -> Part:
    """Read what a call brought."""
    stored, form = received.stored, received.asked.format
    return Part(
        samples=tuple(
            _silent(said, received.silent) if received.silent else _sample(said, form, request)
            for said in received.completion.said
        ),
        prompt_tokens=stored.prompt_tokens,
        reply_tokens=stored.reply_tokens,
        latency=stored.latency,
        cost=stored.cost,
    )


def reply_of(request: JudgeRequest, judge: str, parts: Sequence[Part], count: int) -> JudgeReply:
    """Put together what came for a request.

    Args:
        request: What was asked.
        judge: The judge's digest.
        parts: What the calls brought, at least one; together they hold the samples.
        count: Samples that were wanted.

    Returns:
        The reply. Of several samples none has probabilities or a failure of its own, unless all
        came without words, and the first critique that there is stands for all.
    """
    samples = [sample for part in parts for sample in part.samples][:count]
    first = samples[0]
    several = count > 1
    call = JudgeCall(
        request_hash=request_hash(judge, request),
        judge=judge,
        request=request.text,
        reply=first.content,
        label_probs={} if several else first.probs,
        samples=tuple(sample.content for sample in samples) if several else (),
        cut=sum(sample.cut for sample in samples),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        reply_tokens=sum(part.reply_tokens for part in parts),
        latency=max(part.latency for part in parts),
        cost=sum(part.cost for part in parts),
    )
    critique = next((sample.critique for sample in samples if sample.critique), "")
    silent = all(sample.silent for sample in samples)
    failure = None if several and not silent else first.failure
    failures = tuple(sample.failure for sample in samples) if several else ()
    return JudgeReply(
        critique,
        call,
        failure,
        unreadable=failure is not None and not silent,
        sample_failures=failures,
    )


def _silent(said: Said, why: str) -> Sample:
    return Sample(said.content or "", "", {}, why, cut=said.finish == "length", silent=True)


def _sample(said: Said, form: ReplyFormat, request: JudgeRequest) -> Sample:
    content = said.content or ""
    if isinstance(request, Writing):
        failure = cut_off(request.max_tokens) if said.finish == "length" else None
        return Sample(content, content.strip(), {}, failure, failure is not None)
    if request.asks == "ranking":
        return _ranking(said, content, request)
    critique, place, failure = _read(content, form, request)
    spoken = spoken_labels(request.form, request.labels)
    if isinstance(place, Unscored) or isinstance(spoken, Unscored):
        cut = said.finish == "length"
        if failure is None and cut:
            failure = _cut_off(content)
        return Sample(content, critique, {}, failure, cut)
    if form == "text" and said.finish == "length" and goes_on(content, place, request.form):
        return Sample(content, critique, {}, _cut_off(content, "after"), cut=True)
    probs = None if said.tokens is None else label_probs(content, said.tokens, place, spoken)
    return Sample(content, critique, probs or {}, failure)


def _ranking(said: Said, content: str, request: JudgeRequest) -> Sample:
    """Read a reply that ranks: it is words alone, and protocol reads the ranking off them."""
    failure = None
    if said.finish == "length":
        ranked = read_ranking(content, request.labels, request.form)
        if isinstance(ranked, Unscored):
            failure = _cut_off(content)
        elif word_spans(around_cue(content, request.form)[1]):
            failure = _cut_off(content, "after")
    critique = critique_of(content, request).strip()
    return Sample(content, critique, {}, failure, cut=failure is not None)


def _cut_off(content: str, when: str = "before") -> str:
    """Return why a reply is not read: what came after its verdict may have taken that back."""
    return f"the reply was cut off {when} its verdict: {quoted(content[-_SHOWN:])}"


def _read(
    content: str, form: ReplyFormat, request: JudgeRequest
) -> tuple[str, tuple[int, int] | Unscored, str | None]:
    """Return the critique, the label's place, and why the form of a reply is wrong, if it is."""
    if form == "json_schema":
        return _read_object(content, request)
    place = label_place(content, request.labels, request.form)
    stated_on_a_line = request.form.phrase is None and request.form.whole is None
    if isinstance(place, Unscored) or not stated_on_a_line:
        return critique_of(content).strip(), place, None
    line = content.rfind("\n", 0, place[0]) + 1
    return content[:line].strip(DRESSING), place, None


def _read_object(
    content: str, request: JudgeRequest
) -> tuple[str, tuple[int, int] | Unscored, str | None]:
    spoken = spoken_labels(request.form, request.labels)
    if isinstance(spoken, Unscored):
        return "", spoken, spoken.reason
    try:
        found = read_object(content, spoken, critique=request.critique)
    except NotAJudgementError as exc:
        return "", Unscored(reason=str(exc)), str(exc)
    return found.critique.strip(), found.place, None

"""Judges that installed packages bring: how one is found, made, checked and kept to the protocol.

A package offers a factory in the group ``rlaif.judges``; ``[judge] backend`` names it. What it
makes is put behind ``PluginJudge``, so that nothing it does wrong becomes a verdict.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from rlaif.errors import ModelError, RlaifError
from rlaif.judges.backend import Judge, Writer
from rlaif.judges.entry_points import Offer, names_in, take
from rlaif.judges.foreign import ForeignError, guarded, printing_aside, shown, words_of
from rlaif.judges.protocol import (
    JudgeReply,
    JudgeRequest,
    WriteReply,
    WriteRequest,
    request_hash,
    write_hash,
)
from rlaif.records import JudgeCall, digest_of
from rlaif.text import writable

GROUP = "rlaif.judges"
Request = TypeVar("Request", JudgeRequest, WriteRequest)
Reply = TypeVar("Reply", JudgeReply, WriteReply)
BUILT_IN = ("transformers", "openai")


@dataclass(frozen=True)
class JudgeContext:
    """What a factory is told beside its settings.

    Attributes:
        root: The project's folder; paths in the settings are relative to it.
        device: The device that models of this project run on, as torch names it.
        seed: The seed of all that the judge draws at random.
    """

    root: Path
    device: str = "cpu"
    seed: int = 0


class JudgeFactory(Protocol):
    """What the entry point is: it makes a judge, or raises an error that says what is wrong."""

    def __call__(self, settings: Mapping[str, Any], context: JudgeContext, /) -> Judge:
        """Make the judge that the settings ask for."""
        ...


@printing_aside()
def make_judge(backend: str, settings: Mapping[str, Any], context: JudgeContext) -> "PluginJudge":
    """Make a judge of an installed package.

    Args:
        backend: Its name in the group ``rlaif.judges``.
        settings: What the settings file says to it.
        context: The project that it judges for.

    Raises:
        ModelError: No package offers that name, or two do; it cannot be imported or made; or what
            it makes is no judge. An ``RlaifError`` of the factory's own goes through as it is.
    """
    offer = take(GROUP, backend, ModelError)
    if offer is None:
        installed = ", ".join(names_in(GROUP)) or "none"
        raise ModelError(
            f"[judge] backend = {backend!r}",
            f"one of: {', '.join(BUILT_IN)}, or of an installed package ({installed})",
            f"correct it, or install the package that offers it in its {GROUP}",
        )
    try:
        with guarded(RlaifError):
            made = offer.value(settings, context)
    except ForeignError as theirs:
        raise ModelError(
            f"the judge {backend!r} of {offer.origin} cannot be made: {words_of(theirs.raised)}",
            "a factory (settings, context) -> Judge that raises no error",
            "correct its settings, or mend that package",
        ) from theirs.raised
    kind = WritingPluginJudge if isinstance(made, Writer) else PluginJudge
    return kind(made, backend, offer)


class PluginJudge:
    """A judge of another's making, kept to the protocol.

    A request on which it raises an exception, or to which it replies with something else than a
    reply, fails with the reason, and costs the others nothing: where a batch raises, its requests
    are asked one by one. An ``RlaifError`` goes through, so a judge can stop a cycle on purpose.
    Calls are keyed by this judge's digest, whatever the plug-in wrote there.

    Args:
        judge: What the factory made.
        backend: The name of the entry point.
        offer: Where the factory came from.

    Attributes:
        name: The judge's own name.
        digest: Over the judge's own digest and its package's code.
        special_tokens: The judge's own.

    Raises:
        ModelError: It lacks what the protocol asks for.
    """

    @printing_aside()
    def __init__(self, judge: Judge, backend: str, offer: Offer) -> None:
        self._what = f"the judge {backend!r} of {offer.origin}"
        wrong = _wrong_with(judge)
        if wrong:
            raise ModelError(
                f"{self._what} is no judge: {wrong}",
                "name, digest, special_tokens and judge(), as rlaif.judges.Judge has them",
                "mend that package",
            )
        self._judge = judge
        self.name = judge.name
        self.digest = digest_of(["plugin", backend, offer.digest, judge.digest])
        self.special_tokens: Sequence[str] = tuple(judge.special_tokens)

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer requests, one reply for each, in their order.

        Raises:
            ModelError: The number of replies is not that of the requests.
        """
        return self._replies(self._judge.judge, requests, self._kept, _failed)

    @printing_aside()
    def _replies(
        self,
        ask: Callable[[Sequence[Request]], Iterable[Reply]],
        requests: Sequence[Request],
        kept: Callable[[Request, Reply], Reply],
        failed: Callable[[str], Reply],
    ) -> list[Reply]:
        try:
            with guarded(RlaifError):
                replies = list(ask(requests))
        except ForeignError as theirs:
            if len(requests) > 1:
                alone = (self._replies(ask, [request], kept, failed) for request in requests)
                return [reply for (reply,) in alone]
            return [failed(f"the judge raised {words_of(theirs.raised)}")] * len(requests)
        if len(replies) != len(requests):
            raise ModelError(
                f"{self._what} gave {len(replies)} replies to {len(requests)} requests",
                "one reply for each request, in their order",
                "mend that package",
            )
        return [kept(*pair) for pair in zip(requests, replies, strict=True)]

    def _kept(self, request: JudgeRequest, reply: JudgeReply) -> JudgeReply:
        wrong = _wrong_with_reply(reply)
        if wrong is not None:
            return _failed(f"the judge replied with {wrong}")
        return replace(reply, call=self._keyed(reply.call, request_hash(self.digest, request)))

    def _keyed(self, call: JudgeCall | None, key: str) -> JudgeCall | None:
        if call is None:
            return None
        return call.model_copy(update={"judge": self.digest, "request_hash": key})


class WritingPluginJudge(PluginJudge):
    """A judge of another's making that writes free text, kept to the protocol in the same way."""

    def write(self, requests: Sequence[WriteRequest]) -> list[WriteReply]:
        """Write to requests, one reply for each, in their order.

        Raises:
            ModelError: The number of replies is not that of the requests.
        """
        writer = self._judge
        if not isinstance(writer, Writer):
            return [_unwritten("the judge writes no free text")] * len(requests)
        return self._replies(writer.write, requests, self._kept_text, _unwritten)

    def _kept_text(self, request: WriteRequest, reply: WriteReply) -> WriteReply:
        wrong = _wrong_with_text(reply)
        if wrong is not None:
            return _unwritten(f"the judge replied with {wrong}")
        return replace(reply, call=self._keyed(reply.call, write_hash(self.digest, request)))


def _failed(reason: str) -> JudgeReply:
    return JudgeReply(critique="", call=None, failure=reason)


def _unwritten(reason: str) -> WriteReply:
    return WriteReply(text="", call=None, failure=reason)


def _wrong_with(judge: object) -> str | None:
    if not callable(getattr(judge, "judge", None)):
        return f"{type(judge).__name__} has no method judge"
    for field in ("name", "digest"):
        value = getattr(judge, field, None)
        if not isinstance(value, str) or not value.strip():
            return f"{field} is {shown(value)}, not a text"
    tokens = getattr(judge, "special_tokens", None)
    if isinstance(tokens, str) or not isinstance(tokens, Sequence):
        return f"special_tokens is {shown(tokens)}, not a list of texts"
    odd = [token for token in tokens if not isinstance(token, str)]
    return f"special_tokens holds {shown(odd[0])}, not a text" if odd else None


def _wrong_with_reply(reply: object) -> str | None:
    """Say what is wrong with a reply; records and dataclasses can be made without any check."""
    if not isinstance(reply, JudgeReply):
        return f"{shown(reply)}, not a JudgeReply"
    wrong = _wrong_with_parts("critique", reply.critique, reply.call, reply.failure)
    return wrong or _wrong_with_failures(reply.sample_failures, reply.call)


def _wrong_with_failures(failures: object, call: JudgeCall | None) -> str | None:
    if not isinstance(failures, tuple):
        return f"sample_failures = {shown(failures)}, not a tuple"
    odd = [one for one in failures if one is not None and not (isinstance(one, str) and one)]
    if odd:
        return f"sample_failures holds {shown(odd[0])}, not a reason"
    samples = () if call is None else call.samples
    if failures and len(failures) != len(samples):
        return f"sample_failures tells of {len(failures)} samples, the call has {len(samples)}"
    return None


def _wrong_with_text(reply: object) -> str | None:
    if not isinstance(reply, WriteReply):
        return f"{shown(reply)}, not a WriteReply"
    return _wrong_with_parts("text", reply.text, reply.call, reply.failure)


def _wrong_with_parts(name: str, words: object, call: object, failure: object) -> str | None:
    if not isinstance(words, str):
        return f"{name} = {shown(words)}, not a text"
    if call is not None and not isinstance(call, JudgeCall):
        return f"call = {shown(call)}, not a JudgeCall"
    if failure is not None and not (isinstance(failure, str) and failure):
        return f"failure = {shown(failure)}, not a reason"
    try:
        checked = None if call is None else JudgeCall.model_validate(dict(call))
    except ValidationError as exc:
        return f"a broken JudgeCall: {words_of(exc)}"
    said = "\n".join(
        (words, failure or "", *((checked.reply, *checked.samples) if checked else ()))
    )
    return "lone surrogates in its words" if writable(said) != said else None

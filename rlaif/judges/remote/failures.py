"""What can come of an attempt instead of a reply, and what follows from it."""

import json
import re
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from rlaif.errors import ModelError
from rlaif.judges.remote.refused_fields import asks_for_too_many, refuses_field
from rlaif.judges.remote.waits import retry_after
from rlaif.records import StoredReply
from rlaif.text import shortened, writable

Kind = Literal["overload", "trouble", "elsewhere", "out", "final"]
SHOWN = 300
_UNKNOWN_MODEL = re.compile("not found|does not exist|pinned to|unknown model|invalid model", re.I)
# llama-cpp-python's, with 500: the first fault's place stands before anything that was sent.
_PLACE = re.compile(r"\d+ validation errors?:\s*\{'type': '\w+', 'loc': \(([\w', ]*)\)")
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached"}
_STATUSES = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "overloaded_error": 503,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "model_not_found": 404,
    "invalid_request_error": 400,
}  # by an error's code or type, as OpenAI and Anthropic name them
_OVERLOADED = {429, 503}
_UNREADABLE = {400, 422}
_MODERATED = "; a server that moderates what it is asked may say so of all that it was asked so far"
_FORBIDDEN = 403  # of a key, and by gateways of a question that they moderate
_REDIRECTS = {301, 302, 303, 307, 308}
_TRY_AGAIN = {408, 409, 425}  # request time-out, conflict, too early


class AttemptError(Exception):
    """An attempt brought no reply.

    Args:
        kind: ``overload``: try later, with fewer calls at once; ``trouble``: try again, the
            endpoint may be broken; ``elsewhere``: try endpoints that were not tried yet; ``out``:
            try any other, this one takes no more calls; ``final``: trying again is vain.
        reason: What happened, in words that show no key.
        pause: Seconds that the server asked to be left alone for.
        sent: Whether the server may have done the work, and charged for it.
        slow: Whether time ran out, which is a sign of overload too.
        alive: Whether the endpoint is in order all the same; None: that is not known.
        raw: What came all the same, in full.

    Attributes:
        paid: What is kept of it, since it may have to be paid for; None where nothing is.
    """

    def __init__(
        self,
        kind: Kind,
        reason: str,
        *,
        pause: float | None = None,
        sent: bool = False,
        slow: bool = False,
        alive: bool | None = None,
        raw: str = "",
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.pause = pause
        self.sent = sent
        self.slow = slow
        self.alive = False if kind == "trouble" else alive
        self.raw = raw
        self.paid: StoredReply | None = None


class ForbiddenError(AttemptError):
    """A server may not answer: this question, or any with this key.

    Args:
        reason: As for ``AttemptError``.
        always: What it means where the server answers nothing else.
    """

    def __init__(self, reason: str, always: ModelError) -> None:
        super().__init__("elsewhere", reason, alive=True)
        self.always = always


class RefusedFieldError(Exception):
    """The server does not take a field of the request."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def refusal(
    status: int,
    text: str,
    headers: Mapping[str, str],
    address: str,
    body: Mapping[str, Any],
    *,
    with_success: bool = False,
) -> Exception:
    """Return what a status other than success means.

    Args:
        status: The HTTP status.
        text: The reply's body, without keys.
        headers: The reply's headers.
        address: The endpoint's.
        body: What was asked.
        with_success: Whether the status stands in the body of a reply whose own is that of success.

    Returns:
        A ``ModelError`` where every call to it would fail alike (the key, model, account), a
        ``RefusedFieldError`` where the request can do without a field, else an ``AttemptError``: a
        ``ForbiddenError`` where every other call may fail alike.
    """
    said = _Said(text)
    code = f"200 with an error {status}" if with_success else str(status)
    told = f"{address} answered {code}"
    fatal = _fatal(status, said, headers, told, str(body["model"]))
    if fatal is not None:
        return fatal
    reason = f"{told}: {shortened(said.message, SHOWN)}"
    pause = retry_after(headers, datetime.fromtimestamp(time.time(), UTC))
    if status in _OVERLOADED:
        alive = None if status == 429 or pause is not None else False
        return AttemptError("overload", reason, pause=pause, alive=alive)
    name = None
    if status in _UNREADABLE or status == _FORBIDDEN:
        name = said.refused_field(body)
    elif status >= 500:
        name = said.field_at_fault(body)
    if name is not None:
        return RefusedFieldError(name)
    if status >= 500 or status in _TRY_AGAIN:
        return AttemptError("trouble", reason, pause=pause)
    if status == _FORBIDDEN:
        return ForbiddenError(reason, _no_key(told, said, str(body["model"]), _MODERATED))
    return AttemptError("final", reason, alive=True)


def disguised(
    text: str, headers: Mapping[str, str], address: str, body: Mapping[str, Any]
) -> Exception | None:
    """Return what a reply with the status of success means that holds an error and no choices.

    Gateways send such where they had begun to answer before the model's server refused. None where
    it is another reply. Arguments and errors are those of ``refusal``.
    """
    if '"error"' not in text:
        return None
    status = _Said(text).status
    if status is None:
        return None
    return refusal(status, text, headers, address, body, with_success=True)


def _fatal(
    status: int, said: "_Said", headers: Mapping[str, str], told: str, model: str
) -> ModelError | None:
    seen = _seen(told, said)
    if status == 401:
        return _no_key(told, said, model)
    if status == 402 or said.code in _NO_CREDIT:
        return ModelError(seen, "an account with credit", "pay the provider, then run again")
    if status in _REDIRECTS:
        host = _host(headers.get("location", ""))
        return ModelError(
            f"the judge's server {told}: it redirects to {host}, which gets "
            "neither key nor question",
            "the address of the server itself",
            "write the address that it redirects to into judge.server.endpoints, if it is yours",
        )
    unknown = model in said.message and _UNKNOWN_MODEL.search(said.message)
    unnamed = said.code == "model_not_found" and (status in _UNREADABLE or status == _FORBIDDEN)
    if status == 404 or unnamed or (status in _UNREADABLE and unknown):
        return ModelError(
            seen,
            f"a server of chat completions that has the model {model}",
            "check judge.server.model, and that the address ends as the server's do, often in /v1",
        )
    return None


def _seen(told: str, said: "_Said") -> str:
    return f"the judge's server {told}: {shortened(said.message, SHOWN)}"


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or "another address"
    except ValueError:
        return "another address"


def _no_key(told: str, said: "_Said", model: str, also: str = "") -> ModelError:
    return ModelError(
        _seen(told, said),
        f"a key that may use {model}",
        "check the key that judge.server.key_variable or key_file names, and what it may do" + also,
    )


class _Said:
    """The body of a refusal: what OpenAI's, FastAPI's and other servers put into it."""

    def __init__(self, text: str) -> None:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        self._body = found if isinstance(found, dict) else {}
        inner = self._body.get("error")
        self._error = inner if isinstance(inner, dict) else self._body
        self.message = _words(self._error.get("message") or inner or self._body.get("detail"))
        self.message = writable(self.message or text.strip() or "nothing")
        self.code = str(self._error.get("code") or self._error.get("type") or "")

    @property
    def status(self) -> int | None:
        """The status that an error in a reply stands for; None where there is no error in it."""
        if not self._body.get("error") or self._body.get("choices"):
            return None
        code = str(self._error.get("code"))
        if re.fullmatch("[45][0-9][0-9]", code):
            return int(code)
        kinds = (code, str(self._error.get("type")))
        return next((status for name, status in _STATUSES.items() if name in kinds), 500)

    def refused_field(self, body: Mapping[str, Any]) -> str | None:
        """Return the optional field of a request that the refusal says is not taken."""
        question = _asked(body)
        name = next((name for name in _droppable(body) if self._refuses(name, question)), None)
        if name == "logprobs" and "top_logprobs" in body and asks_for_too_many(self._shown):
            return "top_logprobs"
        return name

    def field_at_fault(self, body: Mapping[str, Any]) -> str | None:
        """Return the optional field that a check of the request found fault with, by its place."""
        places = self._places()
        return next((name for name in _droppable(body) if name in places), None)

    def _refuses(self, name: str, question: str) -> bool:
        if name == "max_tokens" and "max_completion_tokens" not in self.message:
            return False  # its value may be too high, which another name would not mend
        if self._error.get("param") == name or name in self._places():
            return True
        return refuses_field(self._shown, name, question)

    @property
    def _shown(self) -> str:
        return self.message[:SHOWN]

    def _places(self) -> list[Any]:
        """List the places in the request that FastAPI found fault with, also in words of its."""
        detail = self._body.get("detail")
        faults = detail if isinstance(detail, list) else []
        listed = [part for fault in faults if isinstance(fault, dict) for part in _list(fault)]
        told = _PLACE.match(self.message)
        return [*listed, *re.findall(r"'(\w+)'", told[1] if told else "")]


def _droppable(body: Mapping[str, Any]) -> list[str]:
    """List the fields that a request can do without, or can ask for less of."""
    optional = ("top_logprobs", "logprobs", "n", "response_format", "seed", "max_tokens")
    return [name for name in optional if name in body]


def _asked(body: Mapping[str, Any]) -> str:
    return "\n".join(str(message["content"]) for message in body["messages"])


def _words(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a message: FastAPI's lists as their own messages, without what was asked."""
    if isinstance(value, list):
        return "; ".join(_words(one.get("msg")) for one in value if isinstance(one, dict))
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _list(fault: Mapping[str, Any]) -> Collection[Any]:
    place = fault.get("loc")
    return place if isinstance(place, list) else []

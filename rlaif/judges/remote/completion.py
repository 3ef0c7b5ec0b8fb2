"""A chat completion as a server sent it, read with distrust."""

import json
from dataclasses import dataclass
from typing import Any

from rlaif.records import MAX_TOKENS
from rlaif.text import quoted, writable


class MalformedReplyError(Exception):
    """A reply is no chat completion."""


@dataclass(frozen=True)
class Said:
    """One of the replies in a completion.

    Attributes:
        content: The words; None where there are none.
        finish: Why the model stopped, in the server's words.
        tokens: The log-probs of the reply's tokens as they came, or None.
        refusal: The model's refusal, if it made one.
    """

    content: str | None
    finish: str
    tokens: list[Any] | None
    refusal: str | None = None


@dataclass(frozen=True)
class Completion:
    """What came of a call.

    Attributes:
        model: What the server calls the model; empty where it does not say.
        said: The replies, in the order of their index, at least one.
        prompt_tokens: Tokens read; None where the server gives no count, or one that cannot be.
        reply_tokens: Tokens written, over all replies; None likewise.
    """

    model: str
    said: tuple[Said, ...]
    prompt_tokens: int | None
    reply_tokens: int | None


def read_completion(raw: str) -> Completion:
    """Read the body of a reply.

    Raises:
        MalformedReplyError: It is not JSON, or not a chat completion.
    """
    body = _object(_json(raw), "the reply")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedReplyError(f"the reply has no choices: {quoted(raw, 120)}")
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    model = body.get("model")
    found = [_object(choice, "a choice") for choice in choices]
    found.sort(key=lambda choice: _count(choice.get("index")) or 0)
    return Completion(
        model=writable(model) if isinstance(model, str) else "",
        said=tuple(_said(choice) for choice in found),
        prompt_tokens=_count(counts.get("prompt_tokens")),
        reply_tokens=_count(counts.get("completion_tokens")),
    )


def names_model(said: str, asked: str) -> bool:
    """Tell whether a reply's model is the one that was asked for.

    A server may add a revision (``@main``), a tag (``:latest``) or a date (``-2024-08-06``), or say
    nothing.
    """
    if not said or said == asked:
        return True
    rest = said.removeprefix(asked)
    if rest == said:
        return False
    return rest[0] in "@:" or (rest[0] == "-" and rest[1:].replace("-", "").isdecimal())


def _said(choice: dict[str, Any]) -> Said:
    message = _object(choice.get("message"), "a choice's message")
    content, refusal = message.get("content"), message.get("refusal")
    if not isinstance(content, str | None):
        raise MalformedReplyError(f"the content is {quoted(content)}, not words")
    if content is not None and writable(content) != content:
        raise MalformedReplyError(f"the content has lone surrogates: {quoted(content)}")
    log_probs = choice.get("logprobs")
    tokens = log_probs.get("content") if isinstance(log_probs, dict) else None
    finish = choice.get("finish_reason")
    return Said(
        content=content,
        finish=finish if isinstance(finish, str) else "",
        tokens=tokens if isinstance(tokens, list) else None,
        refusal=refusal if isinstance(refusal, str) and refusal else None,
    )


def _json(raw: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise MalformedReplyError(f"the reply is not JSON ({exc}): {quoted(raw, 120)}") from None


def _object(value: Any, what: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        raise MalformedReplyError(f"{what} is {quoted(value)}, not an object")
    return value


def _count(value: Any) -> int | None:  # noqa: ANN401 - any JSON value
    """Return a count as it is; None for what is none, or more than any reply can have."""
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None

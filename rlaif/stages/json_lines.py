"""JSON lines that people wrote: a mistake is named with its file and line."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rlaif.errors import ConfigError
from rlaif.expectation import expected, own_words
from rlaif.records import Message
from rlaif.regular_file import check_regular
from rlaif.text import normalised, quoted

M = TypeVar("M", bound=BaseModel)

LONGEST_LINE = 10_000_000


class AskedLine(BaseModel):
    """A line that asks something: ``prompt``, or ``messages`` that end with a user's."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | None = None
    messages: list[Message] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> "AskedLine":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("a line has either 'prompt' or 'messages'")
        turns = self.turns()
        if not turns or turns[-1].role != "user" or not turns[-1].content.strip():
            raise ValueError("the last message must be a user's, and not empty")
        return self

    def turns(self) -> tuple[Message, ...]:
        """Return the conversation."""
        if self.messages is not None:
            return tuple(self.messages)
        return (Message(role="user", content=self.prompt or ""),)


def asked_words(turns: tuple[Message, ...]) -> str:
    """Return who said which words; conversations that differ in case and marks alone are one."""
    return "\n".join(f"{m.role}: {normalised(m.content) or m.content}" for m in turns)


def read_json_lines(
    path: Path, model: type[M], example: str, error: type[ConfigError] = ConfigError
) -> list[tuple[int, M]]:
    """Read a file; only a line feed ends a line, as other separators may stand inside JSON.

    Args:
        path: The file, UTF-8; empty lines are passed over. A line has ``LONGEST_LINE`` characters
            at most.
        model: What a line is.
        example: A line such as there should be, for the message.
        error: The class of error to raise.

    Returns:
        Each line with its number, from 1.

    Raises:
        ConfigError: The file cannot be read, or a line is not what it should be.
    """
    try:
        check_regular(path, error)
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise error(
            f"cannot be read: {exc}", "a readable UTF-8 file", "check the file", path=path
        ) from exc
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        check_length(len(line), "mend the line", error, path, number)
        try:
            found.append((number, _parsed(line.rstrip("\r"), model)))
        except ValueError as exc:
            seen, wanted = what_is_wrong(exc, line.rstrip("\r"), example, model)
            raise error(seen, wanted, "mend the line", path=path, line=number) from exc
    return found


def check_length(length: int, action: str, error: type[ConfigError], path: Path, line: int) -> None:
    """Refuse a line of JSON, or a row of CSV, that nobody can have meant.

    Args:
        length: How many characters it has.
        action: What to do, for the message.
        error: The class of error to raise.
        path: The file.
        line: Where the line begins in it, from 1.

    Raises:
        ConfigError: It has more than ``LONGEST_LINE`` characters.
    """
    if length > LONGEST_LINE:
        expected = f"at most {LONGEST_LINE:,} characters a line"
        raise error(f"a line of {length:,} characters", expected, action, path=path, line=line)


def one_value(text: str, *, strict: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON value; what cannot be written as UTF-8 again is refused too.

    Args:
        text: The JSON.
        strict: Refuse numbers that are none, and a key that stands twice.

    Raises:
        ValueError: It is no JSON, or none that is taken.
    """
    keyed, constant = (_keyed_once, _no_number) if strict else (None, None)
    try:
        value: Any = json.loads(text, object_pairs_hook=keyed, parse_constant=constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc
    return value


def _parsed(line: str, model: type[M]) -> M:
    return model.model_validate(one_value(line))


def _keyed_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key stands twice among {', '.join(key for key, _ in pairs)}")
    return found


def _no_number(name: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"{name} is no number")


def what_is_wrong(
    exc: Exception, line: str, example: str, model: type[BaseModel]
) -> tuple[str, str]:
    """Return what was seen in a line that cannot be used, and what was expected.

    An unknown key goes first: it is often the misspelt name of one that is then missing.
    """
    if isinstance(exc, UnicodeEncodeError):
        seen = f"{quoted(line)} holds half of a surrogate pair, which is no character"
        return seen, "text that can be written as UTF-8"
    if not isinstance(exc, ValidationError):
        return f"not JSON: {exc}", "one JSON object a line"
    errors = sorted(exc.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    first, such = errors[0], f"an object such as {example}"
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = model.model_fields if len(first["loc"]) == 1 else Message.model_fields
        return f"{field!r} is not known", f"some of: {', '.join(known)}"
    if first["type"] == "missing":
        return f"{field!r} is missing", such
    if not field and own_words(first) is None:
        return quoted(first["input"]), such
    where = f"{field} = " if field else ""
    own = own_words(first)
    if own is not None:
        return f"{where}{quoted(first['input'])}: {own}", such
    same = [error for error in errors if error["loc"] == first["loc"]]
    return f"{where}{quoted(first['input'])}", f"{expected(same)}, in {such}"

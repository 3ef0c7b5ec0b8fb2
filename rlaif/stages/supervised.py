"""Supervised text for PPO's ptx term: prompts, each with a completion that was written for it."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import field_validator

from rlaif.errors import ConfigError
from rlaif.records import Message, Prompt, Record
from rlaif.stages.json_lines import AskedLine, asked_words, read_json_lines

EXAMPLE = '{"prompt": "...", "completion": "..."}'


class Example(Record):
    """A completion whose likelihood the ptx term holds up; ``ended`` ones end with their token."""

    messages: tuple[Message, ...]
    text: str
    ended: bool


class ExampleLine(AskedLine):
    """One line of a file of supervised text."""

    completion: str

    @field_validator("completion")
    @classmethod
    def _says_something(cls, completion: str) -> str:
        if not completion.strip():
            raise ValueError("a completion must not be empty")
        return completion


def read_examples(path: Path, prompts: Iterable[Prompt]) -> list[tuple[int, Example]]:
    """Read supervised text, in the order of the file.

    Completions are taken as they stand and end themselves. Those to a prompt that is held out (the
    same words after normalising) are left out: what measures must not train.

    Args:
        path: JSON lines, UTF-8.
        prompts: The pool.

    Returns:
        Each example with its line, from 1.

    Raises:
        ConfigError: The file cannot be read, a line is broken, or nothing is left.
    """
    held_out = {asked_words(p.messages) for p in prompts if p.split == "eval"}
    lines = read_json_lines(path, ExampleLine, EXAMPLE)
    found = [
        (number, Example(messages=line.turns(), text=line.completion, ended=True))
        for number, line in lines
        if asked_words(line.turns()) not in held_out
    ]
    if not found:
        raise ConfigError(
            f"no example to train on: {len(lines)} lines, all to prompts that are held out"
            if lines
            else "no example",
            "at least one example to a prompt that is not held out",
            f"add some, one JSON object a line: {EXAMPLE}",
            path=path,
        )
    return found

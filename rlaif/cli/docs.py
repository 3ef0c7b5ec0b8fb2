"""Writes ``docs/cli.md`` and ``docs/settings.md``: ``python -m rlaif.cli.docs [FOLDER]``."""

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rlaif.artifacts import write_atomically
from rlaif.cli import main
from rlaif.config import ENV_PREFIX, RlaifConfig, ServerConfig

_MADE = "<!-- Made by `python -m rlaif.cli.docs`: edit the help texts in the code instead. -->"
_NOUNS = {str: "text", bool: "true or false", int: "integer", float: "number"}
_NAMESAKES = {"jurors": "judge"}
_OWN_TABLES = {"judge": [("judge.server", ServerConfig)]}
_TABLES = {ServerConfig: "a table of its own, below"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def write_docs(folder: Path) -> None:
    """Write both pages into ``folder``."""
    write_atomically(folder / "cli.md", cli_page())
    write_atomically(folder / "settings.md", settings_page())


def cli_page() -> str:
    """Return the page of all commands."""
    context = click.Context(main, info_name="rlaif", **main.context_settings)
    parts = ["# The command line", _MADE, *_command(main, context, 2)]
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Return the page of all settings."""
    parts = [
        "# Settings",
        _MADE,
        "`rlaif init` writes every setting with its default into `rlaif.toml`. Unknown keys, wrong "
        "types and contradictory numbers are refused with the line. For one process a setting can "
        f"be overridden by `{ENV_PREFIX}<SECTION>__<FIELD>`, for instance `RLAIF_RUN__SEED=7`.",
    ]
    for name, field in RlaifConfig.model_fields.items():
        parts += _section(name, field.annotation)
        parts += [part for inner in _OWN_TABLES.get(name, ()) for part in _section(*inner)]
    return "\n\n".join(parts) + "\n"


def _command(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{context.command_path}`"
    yield f"    {command.get_usage(context).removeprefix('Usage: ').replace(chr(10), ' ')}"
    yield from _prose(command)
    shown = [p for p in command.get_params(context) if isinstance(p, click.Option)]
    records = [r for p in shown if (r := p.get_help_record(context))]
    yield "\n".join(["| option | meaning |", "|---|---|", *(_row(*r) for r in records)])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                below = click.Context(inner, info_name=name, parent=context)
                yield from _command(inner, below, min(level + 1, 4))


def _prose(command: click.Command) -> Iterator[str]:
    """Yield a help text's paragraphs, then the examples as code."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield paragraph.replace("\n", " ")
    yield "\n".join(f"    {example}" for example in getattr(command, "examples", ()))


def _section(name: str, model: Any) -> Iterator[str]:  # noqa: ANN401 - an annotation
    kinds = get_args(model)
    if kinds:
        yield f"## `[[{name}]]`"
        yield f"None, or more tables of the settings of `[{_NAMESAKES[name]}]`, each of one more."
        return
    summary, _, _ = inspect.cleandoc(model.__doc__).partition("\n")
    yield f"## `[{name}]`"
    yield summary
    rows = ["| setting | values | default | meaning |", "|---|---|---|---|"]
    rows += [_setting(key, field) for key, field in model.model_fields.items()]
    yield "\n".join(rows)


def _setting(key: str, field: FieldInfo) -> str:
    default = "absent" if field.default in (None, PydanticUndefined) else _code(field.default)
    return _row(f"`{key}`", _values(field.annotation, field.metadata), default, field.description)


def _code(value: object) -> str:
    return f"`{_toml(value)}`"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _values(annotation: Any, limits: Sequence[Any] = ()) -> str:  # noqa: ANN401 - an annotation
    """Return in words what a setting may be."""
    kinds = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f'`"{kind}"`' for kind in kinds)
    if get_origin(annotation) is Annotated:
        return _values(kinds[0], kinds[1:])
    if get_origin(annotation) is dict:
        return f"a table of {_values(kinds[1])}"
    if get_origin(annotation) is tuple:
        return f"a list of {_values(kinds[0])}s"
    if kinds:
        return " or ".join(_values(kind) for kind in kinds if kind is not NoneType)
    if issubclass(annotation, BaseModel):
        return _TABLES.get(annotation, "a table of the same settings as its namesake")
    return ", ".join([_NOUNS[annotation], *(words for limit in limits for words in _bounds(limit))])


def _bounds(limit: Any) -> Iterator[str]:  # noqa: ANN401 - one of annotated-types' bounds
    for name, words in _BOUNDS.items():
        if (bound := getattr(limit, name, None)) is not None:
            yield f"{words} {bound}"


def _row(*cells: str | None) -> str:
    return "| " + " | ".join((c or "").replace("|", "\\|").replace("\n", " ") for c in cells) + " |"


if __name__ == "__main__":
    write_docs(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))

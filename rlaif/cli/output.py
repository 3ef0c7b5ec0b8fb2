"""How commands print: JSON on demand, numbers for people, and model text made harmless."""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
_PICTURES, _FIRST_PRINTABLE = 0x2400, 0x20
_DELETE, _DELETE_PICTURE = 0x7F, "\u2421"
_MINUTE, _HOUR = 60, 3600
LARGEST = 2**31 - 1  # of a number that somebody types: what SQLite and Python both count to


def json_option(command: F) -> F:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def emit_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print a JSON value so that no terminal obeys what a model wrote."""
    click.echo(harmless_json(json.dumps(value, ensure_ascii=False, indent=2)))


def harmless_json(text: str) -> str:
    """Return the same JSON with every character escaped that a terminal would obey."""
    return _HIDDEN.sub(lambda m: f"\\u{ord(m.group()):04x}", text)


def visible(text: str) -> str:
    """Return text with control characters and direction marks shown instead of obeyed.

    What a model wrote is data: an escape sequence in it must not move the cursor, set a title or
    turn the line around. Line feeds and tabs stay.
    """
    return _HIDDEN.sub(lambda m: _shown(ord(m.group())), text)


def one_line(text: str) -> str:
    """Return :func:`visible` text on one line."""
    return " ".join(visible(text).split())


def hanging(label: str, text: str, width: int = 10) -> str:
    """Return a label and a text whose further lines stand under its first one."""
    first, *rest = visible(text).split("\n")
    return "\n".join([f"  {label:<{width}}{first}", *(" " * (width + 2) + line for line in rest)])


def percent(value: float | None) -> str:
    """Return a share as a whole percentage, ``-`` where there is none."""
    return "-" if value is None else f"{100 * value:.0f}%"


def interval(value: float | None, low: float, high: float) -> str:
    """Return a share and its interval as whole percentages, ``-`` where there is none."""
    return "-" if value is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"


def measured(value: float | None, low: float, high: float) -> str:
    """Return a number and its interval with two digits, ``-`` where there is none."""
    return "-" if value is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with so many digits after the point, ``-`` where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``8.1 s``, ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def table(
    title: str, *columns: str, words: tuple[str, ...] = (), prose: tuple[str, ...] = ()
) -> Table:
    """Return a plain table.

    Args:
        title: Stands above it.
        columns: Their headers, which may have two lines. Numbers, unless named in
        words: short texts, or in
        prose: long texts. Where the terminal is too narrow, the longest texts are broken into lines
            first; numbers never are, nor is anything cut off.
    """
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        text = column in words or column in prose
        made.add_column(
            column,
            justify="left" if text else "right",
            no_wrap=not text,
            overflow="fold",
        )
    return made


def cut(text: str, columns: int) -> str:
    """Return a text that takes so many columns at most, with an ellipsis for what was cut off.

    Chinese characters take two each.
    """
    if cell_len(text) <= columns:
        return text
    return set_cell_size(text, columns - 1).rstrip() + "\u2026"


def cell(text: str) -> Text:
    """Return model text as a table's cell: never read as markup."""
    return Text(visible(text))


def stdout() -> Console:
    """Return a console on standard output, without guessing at markup in what is printed."""
    return Console(markup=False, highlight=False, emoji=False)


def stderr() -> Console:
    """Return a console on standard error, for progress and notes."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def _shown(code: int) -> str:
    if code < _FIRST_PRINTABLE:
        return chr(_PICTURES + code)
    return _DELETE_PICTURE if code == _DELETE else f"\\u{code:04x}"

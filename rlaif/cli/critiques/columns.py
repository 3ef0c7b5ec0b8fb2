"""Texts side by side, however wide their characters are on a terminal."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len

from rlaif.cli.output import visible

LEAST_WIDTH = 24
_BETWEEN = "  │ "
_INDENT = "  "

Section = tuple[str, str]
"""A heading of ours, and what a model wrote under it."""


def below_each_other(sections: Sequence[Section], width: int) -> list[str]:
    """Return sections as lines, an empty one after each.

    What a model wrote is indented, so that no line of it looks like a heading.
    """
    return [line for section in sections for line in (*_lines_of(section, width), "")]


def side_by_side(left: Sequence[Section], right: Sequence[Section], width: int) -> list[str]:
    """Return sections in two columns, each beside its like; below each other where it is narrow.

    Args:
        left: The left column; what a model wrote is made visible.
        right: The right column.
        width: Columns of the terminal.
    """
    each = (width - cell_len(_BETWEEN)) // 2
    if each < LEAST_WIDTH:
        return below_each_other([*left, *right], width)
    lines = []
    for pair in zip_longest(left, right, fillvalue=("", "")):
        one, other = (_lines_of(section, each) for section in pair)
        for a, b in zip_longest(one, other, fillvalue=""):
            lines.append(f"{a}{' ' * (each - cell_len(a))}{_BETWEEN}{b}".rstrip())
        lines.append("")
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of so many terminal columns at most.

    Lines break at spaces, and inside of what is longer than a line: so Chinese, which has no
    spaces, fills its lines. A wide character counts two columns, a combining mark none.
    """
    return [line for row in visible(text).expandtabs(4).split("\n") for line in _lines(row, width)]


def _lines(row: str, width: int) -> Iterator[str]:
    while cell_len(row) > width:
        end = _fitting(row, width)
        space = row.rfind(" ", 0, end + 1)
        if space > 0 and cell_len(row[:space]) * 2 >= width:
            yield row[:space]
            row = row[space + 1 :]
        else:
            yield row[:end]
            row = row[end:]
    yield row


def _fitting(row: str, width: int) -> int:
    """Return how many characters fit: at least one, and marks stay with what they stand on."""
    used = 0
    for at, sign in enumerate(row):
        used += cell_len(sign)
        if used > width and at:
            return at
    return len(row)


def _lines_of(section: Section, width: int) -> list[str]:
    heading, body = section
    inner = wrapped(body, width - len(_INDENT)) if body else []
    return [*wrapped(heading, width), *(f"{_INDENT}{line}" for line in inner)]

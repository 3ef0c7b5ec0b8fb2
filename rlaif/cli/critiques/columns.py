"""Texts side by side, however wide their characters are on a terminal."""

from collections.abc import Iterator
from itertools import zip_longest

from rich.cells import cell_len

from rlaif.cli.output import visible

LEAST_WIDTH = 24
_BETWEEN = "  │ "


def side_by_side(left: str, right: str, width: int) -> str:
    """Return two texts in columns of the same width, or below each other where there is no room.

    Args:
        left: The left one; what a model wrote is made visible.
        right: The right one.
        width: Columns of the terminal.
    """
    each = (width - cell_len(_BETWEEN)) // 2
    if each < LEAST_WIDTH:
        return "\n".join([*wrapped(left, width), "", *wrapped(right, width)])
    pairs = zip_longest(wrapped(left, each), wrapped(right, each), fillvalue="")
    return "\n".join(f"{_padded(a, each)}{_BETWEEN}{b}".rstrip() for a, b in pairs)


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


def _padded(line: str, width: int) -> str:
    return line + " " * (width - cell_len(line))

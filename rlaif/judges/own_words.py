"""A judge's own words, told from those that it quotes of what it was shown.

As in Markdown, quoted is a line that begins with ``>``, a block of code between fences (three or
more backticks or tildes, with or without a language after the first), and a line that is indented
by four columns more than the least indented one; a tab counts as four. A fence that nothing closes
runs to the end. Models like to wrap all that they say in one block: then its inside is their own.
"""

import re
from collections.abc import Iterator, MutableSequence, Sequence

_INDENT = " \t\r\f\v"
_INDENTED = 4
_QUOTE = re.compile(r"[^\S\n]*>")
_LISTED = rf"[{_INDENT}]*(?:(?:[-*+\u2022]|\d{{1,9}}[.)])[ \t]+)*"
_FENCE = re.compile(rf"{_LISTED}(?:(?P<ticks>`{{3,}})[^`]*|(?P<tildes>~{{3,}}).*)")
_MAY_QUOTE = re.compile(r"```|~~~|^[^\S\n]*>|^[ \r\f\v]{4}|^[ \r\f\v]{0,3}\t", re.MULTILINE)


def own_words(reply: str) -> str:
    """Return a reply with blanks for what it quotes, every other character in its place."""
    if _MAY_QUOTE.search(reply) is None:
        return reply
    lines = unwrapped(reply).split("\n")
    blocks = list(_blocks(lines))
    for opened, closed in blocks:
        _blank(lines, range(opened + 1, closed))
    written = [place for place, line in enumerate(lines) if line.strip()]
    apart = min((_columns(lines[place]) for place in written), default=0) + _INDENTED
    _blank(lines, [place for block in blocks for place in block if place < len(lines)])
    _blank(lines, [i for i in written if _QUOTE.match(lines[i]) or _columns(lines[i]) >= apart])
    return "\n".join(lines)


def unwrapped(reply: str) -> str:
    """Return a reply with blanks for the fences around it, where it is one fenced block."""
    if reply.strip()[-3:] not in ("```", "~~~"):
        return reply
    lines = reply.split("\n")
    written = [place for place, line in enumerate(lines) if line.strip()]
    block = (written[0], written[-1])
    if next(_blocks(lines), None) != block:
        return reply
    _blank(lines, block)
    return "\n".join(lines)


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where each fenced block opens and closes; past the end where nothing closes it."""
    opened, fence, column = 0, "", 0
    for place, line in enumerate(lines):
        if fence:
            if _closes(line, fence) and _columns(line) < column + _INDENTED:
                yield opened, place
                fence = ""
        elif ("```" in line or "~~~" in line) and (match := _FENCE.fullmatch(line)):
            kind = match.lastgroup or ""
            opened, fence = place, match[kind]
            column = _columns(line) + len(line[: match.start(kind)].lstrip(_INDENT))
    if fence:
        yield opened, len(lines)


def _closes(line: str, fence: str) -> bool:
    said = line.strip()
    return said.startswith(fence) and not said.strip(fence[0])


def _columns(line: str) -> int:
    """Return how far a line is indented."""
    if line[:1] not in _INDENT:
        return 0
    indent = line[: len(line) - len(line.lstrip(_INDENT))]
    return len(indent) + (_INDENTED - 1) * indent.count("\t")


def _blank(lines: MutableSequence[str], places: Sequence[int]) -> None:
    for place in places:
        lines[place] = " " * len(lines[place])

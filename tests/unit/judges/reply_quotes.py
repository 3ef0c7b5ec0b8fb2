"""A slow oracle of what a judge quotes: line by line, and character by character."""

_INDENT = " \t\r\f\v"


def slow_own(said: str) -> list[str]:
    """Return the lines of a reply, those that quote empty."""
    lines = slow_unwrapped(said)
    inside, fences = _fenced(lines)
    left = [place for place, line in enumerate(lines) if line.strip() and place not in inside]
    margin = min((_column(lines[place]) for place in left), default=0)
    own = [
        place
        for place in left
        if place not in fences
        and not lines[place].lstrip().startswith(">")
        and _column(lines[place]) - margin < 4
    ]
    return [line if place in own else "" for place, line in enumerate(lines)]


def slow_unwrapped(said: str) -> list[str]:
    """Return the lines of a reply without the fences around it, where it is one block."""
    lines = said.split("\n")
    filled = [place for place, line in enumerate(lines) if line.strip()]
    inside, fences = _fenced(lines)
    if len(filled) < 2 or fences != [filled[0], filled[-1]]:
        return lines
    if set(range(filled[0] + 1, filled[-1])) != inside:
        return lines
    return ["" if place in fences else line for place, line in enumerate(lines)]


def _fenced(lines: list[str]) -> tuple[set[int], list[int]]:
    """Return which lines are inside of fences, and which are fences."""
    inside: set[int] = set()
    fences: list[int] = []
    open_with: tuple[str, int] | None = None
    for place, line in enumerate(lines):
        if open_with is None:
            open_with = _opening(line)
            fences += [place] if open_with else []
            continue
        fence, column = open_with
        bare = line.strip()
        if set(bare) == {fence[0]} and len(bare) >= len(fence) and _column(line) - column < 4:
            fences.append(place)
            open_with = None
        else:
            inside.add(place)
    return inside, fences


def _opening(line: str) -> tuple[str, int] | None:
    """Return the fence that a line opens with, and the column where it stands."""
    rest = line.lstrip(_INDENT)
    column = _column(line)
    while (marker := _marker(rest)) > 0:
        column += marker
        rest = rest[marker:]
    run = rest[: len(rest) - len(rest.lstrip(rest[:1]))] if rest else ""
    if len(run) < 3 or run[0] not in "`~" or (run[0] == "`" and "`" in rest[len(run) :]):
        return None
    return run, column


def _marker(rest: str) -> int:
    """Return how long the mark of a list's item is with the blanks after it; 0 without one."""
    at = 0
    while at < 9 and rest[at : at + 1].isdecimal():
        at += 1
    if rest[at : at + 1] in (tuple(".)") if at else tuple("-*+\u2022")):
        after = rest[at + 1 :]
        blanks = len(after) - len(after.lstrip(" \t"))
        return at + 1 + blanks if blanks else 0
    return 0


def _column(line: str) -> int:
    column = 0
    for char in line:
        if char not in _INDENT:
            break
        column += 4 if char == "\t" else 1
    return column

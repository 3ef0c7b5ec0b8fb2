"""An answer with the errors that a judge marked in it, as text."""

from collections.abc import Iterator, Sequence

from rlaif.cli.critiques.columns import Section
from rlaif.records import MarkedError, Marking

OPEN, CLOSE = "\u27e6", "\u27e7"


def with_marks(answer: str, errors: Sequence[MarkedError]) -> str:
    """Put each error that was found between brackets, numbered as in the list of errors.

    Spans may overlap: a bracket that closes has the number of the one that it closes.
    """
    edges: list[tuple[int, int, int, str]] = []
    for number, error in enumerate(errors, start=1):
        if error.start is not None and error.end is not None:
            edges.append((error.start, 1, number, f"{OPEN}{number} "))
            edges.append((error.end, 0, -number, f" {number}{CLOSE}"))
    parts: list[str] = []
    done = 0
    for place, _, _, mark in sorted(edges):
        parts += [answer[done:place], mark]
        done = place
    return "".join([*parts, answer[done:]])


def marking_sections(marking: Marking, answer: str) -> Iterator[Section]:
    """Yield the marked answer and the list of errors, each under a heading."""
    if marking.unscored is not None:
        yield "errors", f"not read: {marking.unscored}"
    elif not marking.errors:
        yield "errors", "none marked"
    else:
        yield "marked", with_marks(answer, marking.errors)
        errors = enumerate(marking.errors, start=1)
        yield "errors", "\n".join(_error(number, error) for number, error in errors)
    if marking.call is not None:
        yield "request for errors", marking.call.request
        yield "reply with errors", marking.call.reply


def _error(number: int, error: MarkedError) -> str:
    where = f" (not marked: {error.unlocated})" if error.unlocated is not None else ""
    return f'{number}. "{error.quote}" - {error.why}{where}'

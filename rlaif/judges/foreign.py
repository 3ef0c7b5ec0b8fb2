"""Code of others: what it prints is kept apart, and what it did wrong is told in words."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from traceback import walk_tb

from pydantic import ValidationError

from rlaif.expectation import told
from rlaif.text import quoted, shortened, writable

_LONGEST = 400
_MOST_BITS = 10_000
_PLAIN = (bool, int, float, str, type(None))


@contextmanager
def printing_aside() -> Iterator[None]:
    """Send what code of others prints to standard error: standard output is the command's.

    It stands around each import and call of such code, as ``with`` or as a decorator; they all
    happen in one thread, since ``sys.stdout`` is changed for the whole process meanwhile. Not
    covered are ``sys.__stdout__``, whatever writes to file descriptor 1 itself (``os.write``, a
    library in C, a child process), and a thread of theirs that prints after the call.
    """
    with redirect_stdout(sys.stderr):
        yield


class ForeignError(Exception):
    """Code of others raised an exception.

    Attributes:
        raised: What it raised.
    """

    def __init__(self, raised: BaseException) -> None:
        super().__init__(str(type(raised)))
        self.raised = raised


@contextmanager
def guarded(*ours: type[Exception]) -> Iterator[None]:
    """Take what code of others raises, also what asks Python to exit, for its failure.

    An interrupt is the user's, and goes through.

    Args:
        ours: Exceptions that such code may raise on purpose; they go through.

    Raises:
        ForeignError: Any other was raised.
    """
    passed: tuple[type[BaseException], ...] = (KeyboardInterrupt, *ours)
    try:
        yield
    except passed:
        raise
    except BaseException as exc:
        raise ForeignError(exc) from exc


def words_of(exc: BaseException) -> str:
    """Say what an exception is: its type and message, at most 400 characters, always UTF-8.

    An error of pydantic's is told in one line, field by field. Nothing is ever raised here, since
    this stands where others' exceptions are caught.
    """
    name, message = type(exc).__name__, _message_of(exc)
    return shortened(writable(f"{name}: {message}" if message else name), _LONGEST)


def line_in(file: Path, exc: BaseException) -> int | None:
    """Return the innermost line of a file that an exception went through, None where it did not."""
    own = str(file)
    if isinstance(exc, SyntaxError) and exc.filename == own:
        return exc.lineno
    lines = [line for frame, line in walk_tb(exc.__traceback__) if frame.f_code.co_filename == own]
    return lines[-1] if lines else None


def shown(value: object) -> str:
    """Return a value as Python writes it where that runs no code of others, else its type."""
    kind = type(value)
    if kind is int and isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return f"an int of {value.bit_length():,} bits"
    return writable(quoted(value)) if kind in _PLAIN else f"a {kind.__name__}"


def _message_of(exc: BaseException) -> str:
    try:
        return told(exc, shown) if isinstance(exc, ValidationError) else str(exc)
    except Exception as own:  # noqa: BLE001 - theirs to break
        return f"its message cannot be read ({type(own).__name__})"

"""What libraries raise when a file cannot be written, told in one message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from rlaif.errors import StageError


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Tell which folder could not be written, where torch or safetensors fail in doing so.

    Faults of the system itself (``OSError``) say so themselves and pass.

    Raises:
        StageError: A library could not write.
    """
    try:
        yield
    except (SafetensorError, RuntimeError) as exc:
        raise StageError(
            f"{folder} could not be written: {exc}",
            "room on the disk and the right to write there",
            "make room; the same command then goes on from the last good checkpoint",
        ) from exc

"""SQLite's errors, told as what was seen, what was expected and what to do."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlaif.errors import DiskFullError, LedgerError

_NEARLY_FULL = 1 << 20
_PRIMARY = 0xFF
_REMEDIES = {
    sqlite3.SQLITE_BUSY: (
        "no other process writing for that long",
        "find the process that holds the ledger open, or wait for it, and run the command again",
    ),
    sqlite3.SQLITE_CONSTRAINT: (
        "rows that refer to rows which are there, each written once",
        "this is a bug in what was written: nothing of this unit was kept; please report it",
    ),
    sqlite3.SQLITE_CORRUPT: ("a sound database", "restore the ledger from a backup"),
    sqlite3.SQLITE_NOTADB: ("a SQLite database", "restore the ledger from a backup, or move it"),
    sqlite3.SQLITE_CANTOPEN: (
        "a file that can be opened",
        "check that the folder exists and that you may read and write it",
    ),
    sqlite3.SQLITE_READONLY: ("a file that can be written", "check the file's permissions"),
    sqlite3.SQLITE_IOERR: (
        "a disk that reads and writes",
        "check the disk (and its free space), then run the command again: what was committed stays",
    ),
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn any error of SQLite or of the file system inside the block into one of rlaif's.

    Args:
        path: The database file.

    Raises:
        DiskFullError: There is no room left.
        LedgerError: Anything else went wrong.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise as_ledger_error(exc, path) from exc


def as_ledger_error(error: sqlite3.Error | OSError, path: Path) -> LedgerError:
    """Return the error that tells a person what happened to the database at ``path``."""
    seen = f"{path}: {error}"
    if _is_full(error, path):
        return DiskFullError(
            seen,
            "room on the disk for the next unit",
            "make room, then run the command again: it goes on with the unit that failed, "
            "and nothing already committed is lost",
        )
    expected, action = _REMEDIES.get(_primary_code(error), ("", "see the error above"))
    return LedgerError(seen, expected, action)


def _primary_code(error: sqlite3.Error | OSError) -> int:
    if isinstance(error, OSError):
        return sqlite3.SQLITE_CANTOPEN
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY


def _is_full(error: sqlite3.Error | OSError, path: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    code = _primary_code(error)
    return code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _nearly_full(path))


def _nearly_full(path: Path) -> bool:
    folder = path.parent
    return folder.is_dir() and shutil.disk_usage(folder).free < _NEARLY_FULL

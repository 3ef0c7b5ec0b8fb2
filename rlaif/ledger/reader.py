"""Reading a ledger: a read-only connection, standard library only."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Self
from urllib.parse import quote

from rlaif.errors import LedgerError
from rlaif.ledger.connected import connect
from rlaif.ledger.faults import translated
from rlaif.ledger.identity import require_current, schema_version
from rlaif.ledger.reads import LedgerReads


def schema_at(path: Path) -> int:
    """Return the schema's version of a ledger: 0 where there is none yet, or only its empty file.

    Raises:
        LedgerError: It is another program's, or written by a newer rlaif.
    """
    if not path.is_file():
        return 0
    with translated(path), closing(_read_only(path, lambda _: None)) as connection:
        return schema_version(connection, path)


class LedgerReader(LedgerReads):
    """A read-only view of a ledger, also while another process writes it; see :meth:`open`."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger for reading.

        Raises:
            LedgerError: There is none, it is another program's, or its schema is not this one.
        """
        if not path.is_file():
            raise LedgerError(
                f"{path} does not exist",
                "the ledger of a project that has run",
                "run a cycle first (rlaif run), or name the project with --project DIR",
            )
        with translated(path):
            connection = _read_only(path, lambda found: require_current(found, path))
        return cls(connection, path)


def _read_only(path: Path, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    return connect(f"file:{quote(str(path.resolve()))}?mode=ro", prepare, uri=True)

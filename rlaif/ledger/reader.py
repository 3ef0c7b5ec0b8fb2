"""Reading a ledger: a read-only connection, standard library only."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from rlaif.errors import LedgerError
from rlaif.ledger.faults import translated
from rlaif.ledger.identity import require_current
from rlaif.ledger.reads import LedgerReads

BUSY_SECONDS = 30.0


class LedgerReader(LedgerReads):
    """A read-only view of a ledger, also while another process writes it.

    Args:
        connection: A read-only connection; :meth:`open` makes one.
        path: The database's file.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.connection.row_factory = sqlite3.Row
        self.path = path

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
            uri = f"file:{quote(str(path.resolve()))}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
            try:
                require_current(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(connection, path)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

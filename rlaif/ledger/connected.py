"""A connection to a ledger, and how every read goes through it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from rlaif.ledger.faults import translated

BUSY_SECONDS = 30.0


class Connected:
    """A connection to a ledger, with errors that people can read; a context that closes it.

    Args:
        connection: A connection in autocommit mode, at the newest schema.
        path: The database's file.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.connection.row_factory = sqlite3.Row
        self.path = path

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _all(self, sql: str, *values: Any) -> list[sqlite3.Row]:  # noqa: ANN401 - SQL values
        with translated(self.path):
            return self.connection.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> sqlite3.Row | None:  # noqa: ANN401 - SQL values
        found = self._all(sql, *values)
        return found[0] if found else None


def connect(
    database: str | Path, prepare: Callable[[sqlite3.Connection], None], *, uri: bool = False
) -> sqlite3.Connection:
    """Connect in autocommit mode and prepare the connection; one that cannot be is closed."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=BUSY_SECONDS, uri=uri)
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection

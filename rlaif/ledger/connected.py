"""A connection to a ledger, and how every read goes through it."""

import sqlite3
from pathlib import Path
from typing import Any

from rlaif.ledger.faults import translated


class Connected:
    """A connection to a ledger, with errors that people can read.

    Attributes:
        connection: The SQLite connection, in autocommit mode, its rows by name.
        path: The database's file.
    """

    connection: sqlite3.Connection
    path: Path

    def _all(self, sql: str, *values: Any) -> list[sqlite3.Row]:  # noqa: ANN401 - SQL values
        with translated(self.path):
            return self.connection.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> sqlite3.Row | None:  # noqa: ANN401 - SQL values
        found = self._all(sql, *values)
        return found[0] if found else None

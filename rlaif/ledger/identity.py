"""Is this file a ledger, and one that this rlaif understands?"""

import sqlite3
from pathlib import Path

from rlaif.errors import LedgerError
from rlaif.ledger.layout import APPLICATION_ID, SCHEMA_VERSION


def pragma(connection: sqlite3.Connection, name: str) -> int | str:
    """Return the value of one of SQLite's settings."""
    value: int | str = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def is_empty(connection: sqlite3.Connection) -> bool:
    """Return whether the database has no table at all."""
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _is_ours(connection: sqlite3.Connection) -> bool:
    return pragma(connection, "application_id") == APPLICATION_ID


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema's version: 0 for a database that is still empty.

    Raises:
        LedgerError: The database is another program's, or a newer rlaif's.
    """
    if not _is_ours(connection) and is_empty(connection):
        return 0
    if not _is_ours(connection):  # again: who makes a ledger gives it its id before its tables
        raise LedgerError(
            f"{path} is a SQLite database, but not a ledger of rlaif",
            "a ledger, or no file there",
            "move the file away, or name another project",
        )
    version = int(pragma(connection, "user_version"))
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"{path} has schema {version}, written by a newer rlaif",
            f"schema {SCHEMA_VERSION} or older",
            "install the newer rlaif again",
        )
    return version


def require_current(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a ledger that a writer has yet to bring to this schema.

    Raises:
        LedgerError: The schema is older or newer than this rlaif's, or no ledger's.
    """
    version = schema_version(connection, path)
    if version < SCHEMA_VERSION:
        raise LedgerError(
            f"{path} has schema {version}",
            f"schema {SCHEMA_VERSION}",
            "run a command that writes (rlaif run), which brings it up to date",
        )

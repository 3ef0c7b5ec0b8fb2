"""The ledger's migrations (sqlite-utils), applied under a lock between processes."""

import sqlite3
from pathlib import Path

from sqlite_utils import Database, Migrations

from rlaif.artifacts import sync_folder
from rlaif.ledger.critique_index import CritiqueIndex
from rlaif.ledger.identity import is_empty, pragma, schema_version
from rlaif.ledger.layout import (
    APPLICATION_ID,
    AUDITS_TABLES,
    CONTENT_TABLES,
    CUT_COLUMNS,
    FEEDBACK_TABLES,
    JUDGES_TABLES,
    LISTS_TABLES,
    LOG_TABLES,
    RUN_TABLES,
    SCHEMA_VERSION,
    SEARCHED,
    WORDING_TABLES,
    WRITTEN_TABLES,
)
from rlaif.ledger.lock import waiting_lock

MIGRATION_SECONDS = 60.0

migrations = Migrations("rlaif")
_SETTINGS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA cache_size = -131072",
)


@migrations()
def m001_first_tables(db: Database) -> None:
    """Make the tables of the first release and their full text indexes."""
    for statement in (*RUN_TABLES, *CONTENT_TABLES):
        db.execute(statement)
    for table, column in SEARCHED:
        db.table(table).enable_fts([column], create_triggers=True, tokenize="trigram")
    db.execute("PRAGMA user_version = 1")


@migrations()
def m002_judges(db: Database) -> None:
    """Keep who judged, what a verdict was read from, samples, costs, and servers' raw replies."""
    for statement in JUDGES_TABLES:
        db.execute(statement)
    db.execute("PRAGMA user_version = 2")


@migrations()
def m003_critique_log(db: Database) -> None:
    """Index critiques by words and facts together, those of all cycles before too."""
    for statement in LOG_TABLES:
        db.execute(statement)
    db.conn.row_factory = sqlite3.Row
    CritiqueIndex(db.conn).add_after(0)
    db.execute("PRAGMA user_version = 3")


@migrations()
def m004_feedback(db: Database) -> None:
    """Keep what humans said, which of it a cycle used, and what a preference weighs."""
    for statement in FEEDBACK_TABLES:
        db.execute(statement)
    db.execute("PRAGMA user_version = 4")


@migrations()
def m005_written_feedback(db: Database) -> None:
    """Keep revisions of answers, the errors that judges mark in them, and who graded a critique."""
    for statement in WRITTEN_TABLES:
        db.execute(statement)
    db.execute("PRAGMA user_version = 5")


@migrations()
def m006_lists(db: Database) -> None:
    """Take rankings of lists: judgements of up to nine answers, the third and later ones apart."""
    for statement in LISTS_TABLES:
        db.execute(statement)
    db.execute("PRAGMA user_version = 6")


@migrations()
def m007_audits(db: Database) -> None:
    """Keep audits of judges that people ask for between cycles."""
    for statement in AUDITS_TABLES:
        db.execute(statement)
    db.execute("PRAGMA user_version = 7")


@migrations()
def m008_cut_replies(db: Database) -> None:
    """Keep how many replies of a call came to their limit, and each cycle's rubric word for word.

    Of earlier calls and cycles it is not known.
    """
    for statement in (*CUT_COLUMNS, *WORDING_TABLES):
        db.execute(statement)
    db.execute("PRAGMA user_version = 8")


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make a connection one that writes, at the newest schema; raises what :func:`migrate` does."""
    migrate(connection, path)
    for setting in _SETTINGS:
        connection.execute(setting)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a database to the newest schema, and into WAL mode.

    Two processes that migrate at once would collide, so one waits for the other.

    Args:
        connection: An open connection in autocommit mode.
        path: The database's file.

    Raises:
        LedgerError: The file is no ledger, or was written by a newer rlaif.
    """
    if _is_ready(connection, path):
        return
    with waiting_lock(path.with_name(f"{path.name}.migrating"), MIGRATION_SECONDS):
        if is_empty(connection):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrations.apply(Database(connection))
        sync_folder(path.parent)


def _is_ready(connection: sqlite3.Connection, path: Path) -> bool:
    return (
        schema_version(connection, path) == SCHEMA_VERSION
        and pragma(connection, "journal_mode") == "wal"
    )

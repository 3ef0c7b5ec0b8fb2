"""Writing rows, inside a transaction that the ledger has opened."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from sqlite_utils import Database

from rlaif.errors import LedgerError
from rlaif.ledger import clock
from rlaif.ledger.reply_reads import LAST_REPLY
from rlaif.ledger.rows import AuditRow, Row, record_json, reply_row, to_json
from rlaif.records import AuditOnDemand, StoredReply

PromotionKind = Literal["base", "promote", "rollback"]


def insert(db: Database, table: str, rows: Sequence[Row], *, ignore: bool = False) -> None:
    """Insert rows of the same columns; with ``ignore``, those whose key is there stay as they are.

    One prepared statement for all of them: a generic insert, which looks at each value, would take
    as long as everything else that a judgement costs the ledger.
    """
    if not rows:
        return
    names = ", ".join(f'"{name}"' for name in rows[0])
    values = ", ".join(f":{name}" for name in rows[0])
    verb = "INSERT OR IGNORE" if ignore else "INSERT"
    db.conn.executemany(f'{verb} INTO "{table}" ({names}) VALUES ({values})', rows)


def put_new(db: Database, table: str, rows: Sequence[Row]) -> int:
    """Insert the rows whose key is not there yet; return how many these were."""
    count = f"SELECT count(*) FROM {table}"  # noqa: S608 - a constant
    before = db.execute(count).fetchone()[0]
    insert(db, table, rows, ignore=True)
    return int(db.execute(count).fetchone()[0] - before)


def put_replies(
    db: Database, replies: Sequence[StoredReply], cycle: int | None, *, refused: bool
) -> range:
    """Insert servers' replies, and return the numbers of the new rows.

    Those that are no answers go under keys that nobody asks for.
    """
    at = clock.iso_now()
    found = [reply_row(reply, cycle, at) for reply in replies]
    first = 1 + db.execute(LAST_REPLY).fetchone()[0]
    for number, row in enumerate(found, start=first):
        row["key"] = f"refused {number} {row['key']}" if refused else row["key"]
    insert(db, "replies", found, ignore=not refused)
    return range(first, 1 + db.execute(LAST_REPLY).fetchone()[0])


def put_prompts(db: Database, rows: Sequence[Row]) -> None:
    """Insert prompts; where one is known, set its tags and split.

    Raises:
        LedgerError: A known id comes with other words: what was answered and judged under that
            id would change its meaning.
    """
    new = _new_rows(db, "prompts", rows, ("messages",), "give the changed prompt a new id")
    insert(db, "prompts", new)
    added = {row["id"] for row in new}
    for row in rows:
        if row["id"] not in added:
            db.execute("UPDATE prompts SET tags = :tags, split = :split WHERE id = :id", row)


def put_completions(db: Database, rows: Sequence[Row]) -> None:
    """Insert completions that are not known yet.

    Raises:
        LedgerError: A known id comes with another answer.
    """
    columns = tuple(rows[0]) if rows else ()
    insert(db, "completions", _new_rows(db, "completions", rows, columns, "report this bug"))


def put_audit(db: Database, audit: AuditOnDemand) -> AuditRow:
    """Insert an audit that was made on demand, under the next number."""
    number = 1 + db.execute("SELECT coalesce(max(number), 0) FROM audits").fetchone()[0]
    row = AuditRow(number=number, at=clock.iso_now(), audit=audit)
    insert(db, "audits", [{"number": number, "at": row.at, "content": record_json(audit)}])
    return row


def put_policy(
    db: Database,
    version: str,
    digest: str,
    path: str,
    parent: str | None,
    card: dict[str, Any],
    cycle: int | None,
) -> None:
    """Insert a policy."""
    row = {"version": version, "digest": digest, "path": path, "parent": parent}
    insert(db, "policies", [{**row, "card": to_json(card), "cycle": cycle}])


def put_promotion(
    db: Database, version: str, reason: str, kind: PromotionKind, cycle: int | None
) -> None:
    """Insert the next promotion."""
    last = db.execute("SELECT coalesce(max(position), 0) FROM promotions").fetchone()[0]
    row = {"position": last + 1, "version": version, "kind": kind, "reason": reason}
    insert(db, "promotions", [{**row, "cycle": cycle, "at": clock.iso_now()}])


def put_event(db: Database, kind: str, message: str, cycle: int | None) -> None:
    """Insert an event."""
    row = {"kind": kind, "message": message, "cycle": cycle, "at": clock.iso_now()}
    insert(db, "events", [row])


def _new_rows(
    db: Database, table: str, rows: Sequence[Row], fixed: tuple[str, ...], action: str
) -> list[Row]:
    """Return the rows whose id is unknown, after checking that known ones did not change."""
    wanted = {row["id"]: row for row in rows}
    cursor = db.execute(
        f"SELECT * FROM {table} WHERE id IN (SELECT value FROM json_each(?))",  # noqa: S608 - a constant
        [json.dumps(list(wanted))],
    )
    known = {found["id"]: found for found in cursor}
    for row in rows:
        other = known.get(row["id"], wanted[row["id"]])
        changed = [name for name in fixed if row[name] != other[name]]
        if changed:
            raise LedgerError(
                f"{table[:-1]} {row['id']} is in the ledger with other {', '.join(changed)}: "
                f"{other[changed[0]]!r}, now {row[changed[0]]!r}",
                "an id that means the same thing for ever",
                action,
            )
    return [row for row_id, row in wanted.items() if row_id not in known]

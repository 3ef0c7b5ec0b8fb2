"""Writing rows, inside a transaction that the ledger has opened."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlite_utils import Database

from rlaif.errors import LedgerError
from rlaif.ledger import clock
from rlaif.ledger.reply_reads import LAST_REPLY
from rlaif.ledger.rows import AuditRow, Row, record_json, reply_from, reply_row, to_json
from rlaif.records import AuditOnDemand, StoredReply

PromotionKind = Literal["base", "promote", "rollback"]


@dataclass(frozen=True)
class KeptReplies:
    """What came of putting servers' replies.

    Attributes:
        numbers: The numbers of the new rows, one for each reply.
        stored: What each one's key finds from now on: the reply, or one that came before it. Of
            replies that are no answers, these themselves.
    """

    numbers: range
    stored: list[StoredReply]


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


def put_rubric(db: Database, columns: tuple[str, str, str, str], cycle: int | None) -> None:
    """Insert a rubric (hash, name, version, text), and what it said in a cycle, word for word.

    One hash may have many texts: the first stays with it, as names and comments change no label.
    """
    row = dict(zip(("hash", "name", "version", "text"), columns, strict=True))
    insert(db, "rubrics", [row], ignore=True)
    if cycle is not None:
        put = (
            "INSERT OR REPLACE INTO cycle_rubrics (cycle, name, version, text) VALUES (?, ?, ?, ?)"
        )
        db.execute(put, (cycle, *columns[1:]))


def put_replies(
    db: Database, replies: Sequence[StoredReply], cycle: int | None, *, refused: bool
) -> KeptReplies:
    """Insert servers' replies, each of which was paid for.

    Those that are no answers go under keys that nobody asks for; so does a reply whose key has one
    already, since another process asked the same meanwhile.
    """
    at = clock.iso_now()
    known = {} if refused else _replies_of(db, [reply.key for reply in replies])
    first = 1 + db.execute(LAST_REPLY).fetchone()[0]
    numbers = range(first, first + len(replies))
    found, stored = [], []
    for number, reply in zip(numbers, replies, strict=True):
        row = reply_row(reply, cycle, at)
        if refused or reply.key in known:
            row["key"] = f"refused {number} {reply.key}"
        found.append(row)
        stored.append(reply if refused else known.setdefault(reply.key, reply))
    insert(db, "replies", found)
    return KeptReplies(numbers, stored)


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


def _replies_of(db: Database, keys: Sequence[str]) -> dict[str, StoredReply]:
    """Return the replies that are there under some keys."""
    sql = "SELECT * FROM replies WHERE key IN (SELECT value FROM json_each(?))"
    return {row["key"]: reply_from(row) for row in db.execute(sql, [json.dumps(list(keys))])}


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

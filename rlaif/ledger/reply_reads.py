"""Servers' replies as they came, and what they cost."""

import sqlite3

from rlaif.ledger import rows
from rlaif.ledger.connected import Connected
from rlaif.records import MAX_TOKENS, Spent, StoredReply

_SUMS = (  # bounded: a count near 2**63 would leave no integer for the sum
    "SELECT count(*) AS calls, coalesce(sum("  # noqa: S608 - constants
    f"min(prompt_tokens, {MAX_TOKENS}) + min(reply_tokens, {MAX_TOKENS})), 0) AS tokens, "
    "coalesce(sum(cost), 0.0) AS money FROM replies"
)
LAST_REPLY = "SELECT coalesce(max(rowid), 0) AS number FROM replies"


class ReplyReads(Connected):
    """Replies by the digest of what was asked, and their sums."""

    def reply(self, key: str) -> StoredReply | None:
        """Return the reply that was kept under a key."""
        found = self._one("SELECT * FROM replies WHERE key = ?", key)
        return None if found is None else rows.reply_from(found)

    def spent(self, *, cycle: int | None = None, day: str | None = None) -> Spent:
        """Add up what replies have taken.

        Args:
            cycle: Only those that this cycle paid for.
            day: Only those of this day in UTC, as ``2026-11-29``.
        """
        row = self._one(
            f"{_SUMS} WHERE (?1 IS NULL OR cycle = ?1) "
            "AND (?2 IS NULL OR (at >= ?2 AND at < ?2 || 'U'))",
            cycle,
            day,
        )
        return _spent(row)

    def last_reply(self) -> int:
        """Return the number of the newest row; rows get ever higher ones."""
        return int(self._all(LAST_REPLY)[0]["number"])

    def spent_by(self, numbers: range, day: str) -> Spent:
        """Add up what the rows of some numbers have taken on a day and later.

        Args:
            numbers: The rows' numbers.
            day: The day in UTC, as ``2026-11-29``.
        """
        row = self._one(
            f"{_SUMS} WHERE rowid >= ? AND rowid < ? AND at >= ?", numbers.start, numbers.stop, day
        )
        return _spent(row)


def _spent(row: sqlite3.Row | None) -> Spent:
    return Spent() if row is None else Spent(**{name: row[name] for name in Spent.model_fields})

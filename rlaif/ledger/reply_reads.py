"""Servers' replies as they came, and what they cost."""

from rlaif.ledger import rows
from rlaif.ledger.connected import Connected
from rlaif.records import Spent, StoredReply


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
            "SELECT count(*) AS calls, coalesce(sum(prompt_tokens + reply_tokens), 0) AS tokens, "
            "coalesce(sum(cost), 0.0) AS money FROM replies WHERE (?1 IS NULL OR cycle = ?1) "
            "AND (?2 IS NULL OR (at >= ?2 AND at < ?2 || 'U'))",
            cycle,
            day,
        )
        return Spent() if row is None else Spent(**{name: row[name] for name in Spent.model_fields})

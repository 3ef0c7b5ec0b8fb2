"""Servers' replies go into the ledger as they come, and the budget knows what they cost."""

from collections.abc import Sequence

from rlaif.config import BudgetConfig
from rlaif.judges.budget import Budget
from rlaif.ledger import clock
from rlaif.ledger.writer import Ledger
from rlaif.records import StoredReply


class LedgerReplies:
    """The replies of a cycle's judges, kept in the ledger outside of any unit.

    A unit that is redone after a kill finds them there, and pays for none of them again.

    Args:
        ledger: Open for writing, in the thread that judges.
        cycle: The cycle that pays; it has begun before the first reply comes.
    """

    def __init__(self, ledger: Ledger, cycle: int) -> None:
        self._ledger = ledger
        self._cycle = cycle

    def get(self, key: str) -> StoredReply | None:
        """Return the reply with a key, of this cycle or any before it."""
        return self._ledger.reply(key)

    def put(self, replies: Sequence[StoredReply]) -> None:
        """Keep replies; they are durable when this returns."""
        self._ledger.add_replies(replies, self._cycle)


def budget_of(ledger: Ledger, config: BudgetConfig, cycle: int) -> Budget:
    """Return the budget of a cycle, with what it and this UTC day have spent before."""
    today = clock.utc_now().date().isoformat()
    return Budget(
        config,
        clock.utc_now,
        cycle=ledger.spent(cycle=cycle),
        day=ledger.spent(day=today),
    )

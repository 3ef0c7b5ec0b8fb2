"""Servers' replies go into the ledger as they come, and the budget knows what they cost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rlaif.config import BudgetConfig
from rlaif.judges.budget import Budget
from rlaif.ledger import clock
from rlaif.ledger.writer import Ledger
from rlaif.records import StoredReply, digest_of


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
        self._apart: tuple[str | int, ...] = ()

    def get(self, key: str) -> StoredReply | None:
        """Return the reply with a key, of this cycle or any before it."""
        found = self._ledger.reply(self._kept_as(key))
        return None if found is None else found.model_copy(update={"key": key})

    def put(self, replies: Sequence[StoredReply]) -> None:
        """Keep replies; they are durable when this returns."""
        kept = [r.model_copy(update={"key": self._kept_as(r.key)}) for r in replies]
        self._ledger.add_replies(kept, self._cycle)

    def put_refused(self, replies: Sequence[StoredReply]) -> None:
        """Keep what was paid for in vain; the budget of whoever runs next counts it."""
        self._ledger.add_replies(replies, self._cycle, refused=True)

    @contextmanager
    def anew(self, stage: str) -> Iterator[None]:
        """Ask within the block what other cycles or stages have asked before, once more.

        Its replies are kept apart, under this cycle and stage: so a block that is redone after a
        kill finds them again.
        """
        self._apart = (stage, self._cycle)
        try:
            yield
        finally:
            self._apart = ()

    def _kept_as(self, key: str) -> str:
        return digest_of([key, *self._apart]) if self._apart else key


def budget_of(ledger: Ledger, config: BudgetConfig, cycle: int) -> Budget:
    """Return the budget of a cycle, with what it and this UTC day have spent before."""
    today = clock.utc_now().date().isoformat()
    return Budget(
        config,
        clock.utc_now,
        cycle=ledger.spent(cycle=cycle),
        day=ledger.spent(day=today),
    )

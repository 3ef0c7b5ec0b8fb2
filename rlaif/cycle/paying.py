"""Servers' replies go into the ledger as they come, and the budget knows what they cost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from rlaif.config import BudgetConfig
from rlaif.errors import BudgetSpentError, TrialStoppedError
from rlaif.judges.budget import Budget, plus
from rlaif.ledger import clock
from rlaif.ledger.writer import Ledger
from rlaif.records import Spent, StoredReply, digest_of


class LedgerReplies:
    """The replies of judges, kept in the ledger outside of any unit.

    A unit that is redone after a kill finds them there, and pays for none of them again. Each
    group is a short transaction of its own, so a trial may keep its replies beside a cycle.

    Args:
        ledger: Open for writing, in the thread that judges.
        cycle: The cycle that pays, which has begun before the first reply comes; None: a trial.

    Attributes:
        reused: How many replies were there already.
    """

    def __init__(self, ledger: Ledger, cycle: int | None) -> None:
        self._ledger = ledger
        self._cycle = cycle
        self._apart: tuple[str | int | None, ...] = ()
        self._seen = ledger.last_reply()
        self._of_others: list[range] = []
        self.reused = 0

    def get(self, key: str) -> StoredReply | None:
        """Return the reply with a key, of this cycle or any before it."""
        found = self._ledger.reply(self._kept_as(key))
        self.reused += found is not None
        return None if found is None else _under(key, found)

    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        """Keep replies, durable when this returns; return what the ledger has of each question.

        Where a trial and a cycle asked the same at once, both go on with the first reply.
        """
        renamed = [_under(self._kept_as(reply.key), reply) for reply in replies]
        kept = self._ledger.add_replies(renamed, self._cycle)
        self._pass_over(kept.numbers)
        return [_under(r.key, stored) for stored, r in zip(kept.stored, replies, strict=True)]

    def put_refused(self, replies: Sequence[StoredReply]) -> None:
        """Keep what was paid for in vain; the budget of whoever runs next counts it."""
        self._pass_over(self._ledger.add_replies(replies, self._cycle, refused=True).numbers)

    def spent_by_others(self, day: date) -> Spent:
        """Return what other processes have spent on a day since this was last asked."""
        following = self._ledger.last_reply() + 1
        self._pass_over(range(following, following))
        if not self._of_others:
            return Spent()
        found, self._of_others = self._of_others, []
        return plus(*(self._ledger.spent_by(numbers, day.isoformat()) for numbers in found))

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

    def _pass_over(self, own: range) -> None:
        """Note which rows came since the last ones and are of others."""
        if own.start > self._seen + 1:
            self._of_others.append(range(self._seen + 1, own.start))
        self._seen = own.stop - 1


def _under(key: str, reply: StoredReply) -> StoredReply:
    """Return a reply under a key; itself where it has that key already."""
    return reply if reply.key == key else reply.model_copy(update={"key": key})


def budget_of(
    ledger: Ledger, config: BudgetConfig, cycle: int | None, replies: LedgerReplies | None = None
) -> Budget:
    """Return a budget with what was spent before.

    Args:
        ledger: Holds all that was paid for.
        config: The limits.
        cycle: The cycle that pays. None: a trial or an audit, which may take as much as a cycle may
            each time that it is asked for.
        replies: Where it keeps replies; it tells what others spend meanwhile.
    """
    today = clock.utc_now().date().isoformat()
    return Budget(
        config,
        clock.utc_now,
        cycle=Spent() if cycle is None else ledger.spent(cycle=cycle),
        day=ledger.spent(day=today),
        elsewhere=None if replies is None else replies.spent_by_others,
        stops=TrialStoppedError if cycle is None else BudgetSpentError,
    )

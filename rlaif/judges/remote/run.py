"""What the calls of one ``judge()`` share: the account, the end, the counts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rlaif.judges.budget import Bill, Budget
from rlaif.records import Spent


@dataclass
class Counts:
    """What a judge did since it was made.

    Attributes:
        calls: Requests sent.
        retries: Those among them that were a call's second or later attempt.
        replies: Replies that came and were kept.
        reused: Replies that were there already and not asked for.
        failures: Calls that brought no reply in all their attempts, or one without words.
        without_log_probs: Replies whose log-probs were asked for and could not be read.
    """

    calls: int = 0
    retries: int = 0
    replies: int = 0
    reused: int = 0
    failures: int = 0
    without_log_probs: int = 0


class Stop:
    """Whether further attempts are begun; those under way go on, waits for others end.

    Attributes:
        error: What ended the run, the first of it; None where it goes on, or was cancelled.
        over: Whether no attempt is begun any more.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.over = False
        self._waiting: set[asyncio.Task[Any]] = set()

    def because(self, error: Exception) -> None:
        """End the run for a reason."""
        self.error = self.error or error
        self.end()

    def end(self) -> None:
        """Begin no attempt from now on."""
        self.over = True
        for task in self._waiting:
            task.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark this task as one that waits and has nothing under way."""
        task = asyncio.current_task()
        if task is None or self.over:
            raise asyncio.CancelledError
        self._waiting.add(task)
        try:
            yield
        finally:
            self._waiting.discard(task)


class Account:
    """A budget that tasks wait for: a call that fits once others have ended is let in then.

    Args:
        budget: The budget; None: there is no limit.
    """

    def __init__(self, budget: Budget | None) -> None:
        self._budget = budget
        self._ended = asyncio.Event()

    async def begin(self, estimate: Spent) -> Bill:
        """Wait until a call fits.

        Raises:
            BudgetSpentError: It does not, whatever the calls under way turn out to cost.
        """
        if self._budget is None:
            return Bill()
        while not self._budget.admits(estimate):
            await self._ended.wait()
        return self._budget.begin(estimate)

    def end(self, bill: Bill) -> None:
        """Book a call that ended."""
        if self._budget is not None:
            self._budget.end(bill)
            self._ended.set()
            self._ended = asyncio.Event()

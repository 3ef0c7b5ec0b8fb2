"""What judging on servers may cost, checked before each call."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from rlaif.config.serving import BudgetConfig
from rlaif.errors import BudgetSpentError
from rlaif.records import Spent

KINDS = ("calls", "tokens", "money")


def plus(*parts: Spent) -> Spent:
    """Add up what was spent."""
    return Spent(
        calls=sum(part.calls for part in parts),
        tokens=sum(part.tokens for part in parts),
        money=math.fsum(part.money for part in parts),
    )


@dataclass(eq=False)
class Bill:
    """What a call that is under way has cost so far."""

    spent: Spent = field(default_factory=Spent)

    def add(self, spent: Spent) -> None:
        """Put something on the bill."""
        self.spent = plus(self.spent, spent)


class Budget:
    """Limits per cycle and per UTC day, with what was spent and what is under way.

    A call is admitted if its estimate fits into every limit beside what is spent and the estimates
    of the calls under way; so a limit is passed by no more than estimates are wrong. What is spent
    counts on the day on which the call ends.

    Args:
        config: The limits.
        now: The time, with a zone.
        cycle: What this cycle spent before.
        day: What this UTC day spent before, this cycle included.
        elsewhere: Returns what others have spent on a day since it was last asked; they share its
            limits, as a rubric's trial does that runs beside a cycle.
        stops: What is raised where there is no room.
    """

    def __init__(
        self,
        config: BudgetConfig,
        now: Callable[[], datetime],
        cycle: Spent | None = None,
        day: Spent | None = None,
        elsewhere: Callable[[date], Spent] | None = None,
        stops: type[BudgetSpentError] = BudgetSpentError,
    ) -> None:
        self._stops = stops
        self._config = config
        self._now = now
        self._elsewhere = elsewhere
        self._cycle = cycle or Spent()
        self._day = day or Spent()
        self._date = self._today()
        self._under_way: dict[Bill, Spent] = {}

    @property
    def cycle(self) -> Spent:
        """What the cycle has spent, calls under way left out."""
        return self._cycle

    @property
    def day(self) -> Spent:
        """What this UTC day has spent, calls under way left out."""
        self._turn_page()
        return self._day

    def admits(self, estimate: Spent) -> bool:
        """Tell whether a call may begin now; False: once calls under way have ended, perhaps.

        Raises:
            BudgetSpentError: It does not fit a limit, whatever those under way turn out to cost.
        """
        self._turn_page()
        under_way = plus(*self._under_way.values())
        fits = True
        for name, spent, most in self._limits():
            kind = name.partition("_")[2]
            wanted = getattr(estimate, kind)
            if spent + wanted > most:
                raise self._spent(name, spent, most)
            fits = fits and spent + wanted + getattr(under_way, kind) <= most
        return fits

    def begin(self, estimate: Spent) -> Bill:
        """Hold an estimate while a call is under way."""
        bill = Bill()
        self._under_way[bill] = estimate
        return bill

    def end(self, bill: Bill) -> None:
        """Book what the bill of a call says, and let its estimate go."""
        del self._under_way[bill]
        self._turn_page()
        self._cycle = plus(self._cycle, bill.spent)
        self._day = plus(self._day, bill.spent)

    def _limits(self) -> Iterator[tuple[str, float, float]]:
        """List the limits that are set: name, what is spent of it, the limit."""
        for span, spent in (("cycle", self._cycle), ("day", self._day)):
            for kind in KINDS:
                most = getattr(self._config, f"{span}_{kind}")
                if most != "off":
                    yield f"{span}_{kind}", getattr(spent, kind), most

    def _spent(self, name: str, spent: float, most: float) -> BudgetSpentError:
        frees = None
        if name.startswith("day"):
            frees = datetime.combine(self._date + timedelta(days=1), time(), UTC)
        return self._stops(f"budget.{name}", spent, most, frees)

    def _turn_page(self) -> None:
        """Begin a new day's account where the day has changed; add what others have spent."""
        today = self._today()
        if today != self._date:
            self._date, self._day = today, Spent()
        if self._elsewhere is not None:
            self._day = plus(self._day, self._elsewhere(today))

    def _today(self) -> date:
        return self._now().astimezone(UTC).date()

"""What judging on servers may cost, checked before each call."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter

from rlaif.config.serving import BudgetConfig
from rlaif.errors import BudgetSpentError
from rlaif.records import Spent

SPANS = ("cycle", "day")
KINDS = ("calls", "tokens", "money")
_ROUNDING = 1e-9  # three times 0.1 fits into 0.3


@dataclass(frozen=True)
class _Limit:
    """A limit that is set: over what, of what, how much, and how it is read off a sum."""

    span: str
    kind: str
    most: float
    read: Callable[[Spent], float]

    def holds(self, spent: float) -> bool:
        """Whether a sum is within the limit."""
        slack = _ROUNDING * self.most if self.kind == "money" else 0.0
        return spent <= self.most + slack


def plus(*parts: Spent) -> Spent:
    """Add up what was spent."""
    calls = tokens = 0
    for part in parts:
        calls += part.calls
        tokens += part.tokens
    return Spent(calls=calls, tokens=tokens, money=math.fsum([part.money for part in parts]))


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
    counts on the day on which the call ends. What others have under way is not known here: together
    they and this budget pass a day's limit by no more than that.

    Args:
        config: The limits.
        now: The time, with a zone.
        cycle: What this cycle spent before.
        day: What this UTC day spent before, this cycle included.
        elsewhere: Returns what others have spent on a day since it was last asked; they share its
            limits, as a rubric's trial does that runs beside a cycle. It is asked before each call
            where a day has a limit.
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
        self._limits = list(_limits_of(config))
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
        self._see_others()
        return self._day

    def admits(self, estimate: Spent) -> bool:
        """Tell whether a call may begin now; False: once calls under way have ended, perhaps.

        Raises:
            BudgetSpentError: It does not fit a limit, whatever those under way turn out to cost.
        """
        if any(limit.span == "day" for limit in self._limits):
            self._see_others()
        fits = True
        for limit in self._limits:
            spent = limit.read(self._cycle if limit.span == "cycle" else self._day)
            wanted = limit.read(estimate)
            if not limit.holds(spent + wanted):
                raise self._spent(limit, spent)
            under_way = math.fsum(map(limit.read, self._under_way.values()))
            fits = fits and limit.holds(spent + wanted + under_way)
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

    def _spent(self, limit: _Limit, spent: float) -> BudgetSpentError:
        frees = None
        if limit.span == "day":
            frees = datetime.combine(self._date + timedelta(days=1), time(), UTC)
        return self._stops(f"budget.{limit.span}_{limit.kind}", spent, limit.most, frees)

    def _see_others(self) -> None:
        """Add what others have spent of this day since they were last looked at."""
        self._turn_page()
        if self._elsewhere is not None:
            self._day = plus(self._day, self._elsewhere(self._date))

    def _turn_page(self) -> None:
        """Begin a new day's account where one has come; a clock set back opens no old one."""
        today = self._today()
        if today > self._date:
            self._date, self._day = today, Spent()

    def _today(self) -> date:
        return self._now().astimezone(UTC).date()


def _limits_of(config: BudgetConfig) -> Iterator[_Limit]:
    """List the limits that are set."""
    for span in SPANS:
        for kind in KINDS:
            most = getattr(config, f"{span}_{kind}")
            if most != "off":
                yield _Limit(span, kind, most, attrgetter(kind))

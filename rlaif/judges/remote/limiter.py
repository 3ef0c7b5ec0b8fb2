"""How many calls an endpoint takes at once: additive increase, multiplicative decrease.

Chiu and Jain 1989 ("Analysis of the increase and decrease algorithms for congestion avoidance"),
as TCP has it (RFC 5681): a window's worth of good replies widens the window by one call; a sign of
overload halves it. Calls that began before a decrease say nothing about the window since, so a
burst of refusals halves it once.
"""

from typing import Literal

Outcome = Literal["ok", "overload", "other"]
_DECREASE = 0.5


class Limiter:
    """A window of calls in flight.

    Args:
        most: The widest it gets, and its width at first.

    Attributes:
        limit: Width of the window, in calls, between 1 and ``most``; whole calls are let in.
        in_flight: Calls that were begun and not ended.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._decreased = float("-inf")
        self.limit = float(most)
        self.in_flight = 0

    @property
    def has_room(self) -> bool:
        """Whether another call may begin."""
        return self.in_flight < int(self.limit)

    def begin(self) -> None:
        """Count a call that begins."""
        self.in_flight += 1

    def end(self, outcome: Outcome, began: float, now: float) -> None:
        """Count a call that ended, and learn from it.

        Args:
            outcome: What came: a reply, a sign of overload, or neither.
            began: When it began, in seconds of any steady clock.
            now: That clock now.
        """
        full = self.in_flight >= int(self.limit)
        self.in_flight -= 1
        if outcome == "overload" and began > self._decreased:
            self.limit = max(1.0, self.limit * _DECREASE)
            self._decreased = now
        elif outcome == "ok" and full:
            self.limit = min(float(self._most), self.limit + 1.0 / self.limit)

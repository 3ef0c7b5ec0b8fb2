"""A circuit breaker (Nygard 2007, "Release It!"): an endpoint that keeps failing is left alone."""

from typing import Literal

State = Literal["closed", "open", "half-open"]
_LONGEST = 64


class Breaker:
    """Opens after so many failures on end; one probe at a time then decides whether it closes.

    Each probe that fails doubles the cool-down, up to 64 times the first.

    Args:
        failures: Failures on end that open it.
        seconds: The first cool-down.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self._threshold = failures
        self._first = seconds
        self._failures = 0
        self._cooldown = seconds
        self._opens_again: float | None = None
        self._probing = False

    def state(self, now: float) -> State:
        """Return the state; half-open: a probe may go, or is on its way."""
        if self._opens_again is None:
            return "closed"
        return "half-open" if self._probing or now >= self._opens_again else "open"

    def admits(self, now: float) -> bool:
        """Tell whether a call may begin."""
        if self._opens_again is None:
            return True
        return now >= self._opens_again and not self._probing

    def admits_from(self, now: float) -> float:
        """Return when a call may begin, if nothing else happens: now, or after the cool-down."""
        return now if self._opens_again is None else max(now, self._opens_again)

    def begin(self) -> bool:
        """Begin a call that was admitted; True: it is the probe."""
        self._probing = self._opens_again is not None
        return self._probing

    def succeed(self) -> None:
        """Close: the endpoint answered."""
        self._failures = 0
        self._cooldown = self._first
        self._opens_again = None
        self._probing = False

    def fail(self, now: float, *, probe: bool) -> None:
        """Count a failure; those of calls from before it opened change nothing once it is open."""
        self._failures += 1
        if probe:
            self._cooldown = min(2.0 * self._cooldown, _LONGEST * self._first)
            self._opens_again = now + self._cooldown
            self._probing = False
        elif self._opens_again is None and self._failures >= self._threshold:
            self._opens_again = now + self._cooldown

    def abandon(self, *, probe: bool) -> None:
        """End a call that says nothing about the endpoint; another may probe."""
        if probe:
            self._probing = False

"""How long to wait before a call is tried again."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np


class Backoff:
    """Exponential back-off with full jitter: uniform between 0 and a bound that doubles.

    Marc Brooker 2015 ("Exponential backoff and jitter", AWS Architecture Blog).

    Args:
        first: Bound of the first wait, in seconds.
        most: Bound of all waits.
        generator: Where the jitter is drawn.
    """

    def __init__(self, first: float, most: float, generator: np.random.Generator) -> None:
        self._first = first
        self._most = most
        self._generator = generator

    def seconds(self, failures: int) -> float:
        """Return the wait after so many failed attempts, 1 or more."""
        doublings = min(failures - 1, 60)
        return float(self._generator.uniform(0.0, min(self._most, self._first * 2.0**doublings)))


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a server asks to be left alone for.

    Read in this order: ``retry-after-ms``; ``Retry-After`` in seconds; ``Retry-After`` as a date
    (RFC 9110, section 10.2.3), from the server's own ``Date`` where it sends one, since its clock
    may differ from ours.

    Args:
        headers: The reply's headers, keys in lower case or without regard to case.
        now: Our time, with a zone.

    Returns:
        Seconds, at least 0; None where there is no such header, or none that can be read.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000.0
    said = headers.get("retry-after")
    seconds = _seconds(said)
    if seconds is not None:
        return seconds
    until = _date(said)
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("date")) or now)).total_seconds())


def _seconds(said: str | None) -> float | None:
    try:
        seconds = float(said or "")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _date(said: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(said or "")
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

"""The only place where rlaif reads a clock."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time of day in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place that may


def iso_now() -> str:
    """Return the time of day in UTC as ISO 8601, to the microsecond."""
    return utc_now().isoformat(timespec="microseconds")


def monotonic() -> float:
    """Return seconds since some fixed moment, for durations; never steps back."""
    return time.monotonic()

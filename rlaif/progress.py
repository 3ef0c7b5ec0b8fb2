"""How work in progress is told to whoever watches: a terminal, a log, nobody."""

from collections.abc import Callable
from typing import Protocol

Answered = Callable[[int, int], None]
"""Told how many of a judge's replies have come, of how many that it was asked for at once."""
Began = Callable[[str], None]
"""Told the name of each step of a trial as it begins."""


def nobody(*_: object) -> None:
    """Tell nobody."""


class Watcher(Protocol):
    """Told of a run's progress; what it does must not change the run."""

    def cycle(self, number: int, last: int) -> None:
        """A cycle begins, or goes on; ``last`` is the number of the last one asked for."""

    def stage(self, cycle: int, stage: str) -> None:
        """A stage begins, or goes on; cycle 0: a step of what is done outside of any cycle."""

    def units(self, done: int, total: int, noun: str) -> None:
        """So many of the stage's units are done (``noun``: what they are, e.g. ``updates``)."""

    def note(self, message: str) -> None:
        """Something that a person should read."""


class Silent:
    """A watcher that tells nobody."""

    def cycle(self, number: int, last: int) -> None:
        """Say nothing."""

    def stage(self, cycle: int, stage: str) -> None:
        """Say nothing."""

    def units(self, done: int, total: int, noun: str) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """Say nothing."""

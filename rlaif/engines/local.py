"""Work in this process, one thing after the other."""

from collections.abc import Callable, Iterable, Iterator

from rlaif.engines import Item, Job, Report, Result


class LocalEngine:
    """The engine that needs nothing: no server, no other process."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield ``function`` of each item in order, each only when it is asked for.

        So the caller can commit a result before the next one is begun.
        """
        return map(function, items)

    def train(self, function: Callable[[Job], Report], job: Job) -> Report:
        """Return ``function(job)``."""
        return function(job)

"""Where work runs: in this process now; behind the same two calls, on other machines later."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Job = TypeVar("Job")
Report = TypeVar("Report")


class Engine(Protocol):
    """Runs a stage's work, without knowing what it is."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply ``function`` to each item.

        Args:
            function: What to do with a unit; it depends on the item alone.
            items: The units.

        Yields:
            The results, in the order of ``items``, each as soon as it and all before it are
            there; what ``function`` raises is raised in the place of its result.
        """
        ...

    def train(self, function: Callable[[Job], Report], job: Job) -> Report:
        """Run a training job, whose inputs and outputs are files.

        Args:
            function: The trainer.
            job: What it is to do, and where its files are.

        Returns:
            What the trainer reports.
        """
        ...

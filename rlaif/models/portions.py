"""How many rows run through a model at once: halved, for good, whenever memory runs out."""

import gc
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch

from rlaif.errors import TrainingError

Result = TypeVar("Result")


class OutOfMemoryError(TrainingError):
    """The device's memory does not hold even the smallest piece of work."""


class Portion:
    """Rows that run at once; memory that runs out halves them, and nothing raises them again.

    Args:
        what: The work, for messages: "learning".
        rows: How many to begin with, at least 1.

    Attributes:
        rows: How many now.
        halved: How often memory has run out.
    """

    def __init__(self, what: str, rows: int) -> None:
        self.what = what
        self.rows = rows
        self.halved = 0

    def run(self, work: Callable[[int], Result], count: int) -> Result:
        """Return ``work(rows)``, begun anew with half the rows until memory suffices.

        Args:
            work: Cuts its rows as it is told; begun again, it must start from nothing.
            count: How many rows it has in all.

        Raises:
            OutOfMemoryError: A single row does not fit.
        """
        while True:
            try:
                return work(min(self.rows, count))
            except torch.OutOfMemoryError as exc:
                self._halve(min(self.rows, count), exc)
            # Not in the handler: there the traceback still holds what the attempt had allocated.
            gc.collect()
            torch.cuda.empty_cache()

    def each(self, count: int, work: Callable[[slice], Result]) -> list[Result]:
        """Do work on rows one portion after the other; what is done is not done again.

        Args:
            count: How many rows.
            work: Takes the places of a portion's rows.

        Returns:
            The results, in order.

        Raises:
            OutOfMemoryError: A single row does not fit.
        """
        found: list[Result] = []
        done = 0
        while done < count:
            found.append(self.run(partial(_from, done, work), count - done))
            done += self.rows
        return found

    def _halve(self, rows: int, seen: torch.OutOfMemoryError) -> None:
        if rows == 1:
            raise exhausted(f"{self.what}, one row at a time") from seen
        self.rows = rows // 2
        self.halved += 1

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint keeps: low bits depend on how work was cut."""
        return {"rows": self.rows, "halved": self.halved}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a checkpoint; what memory has taught before holds."""
        self.halved = state["halved"]
        if self.halved:
            self.rows = min(self.rows, state["rows"])


def _from(first: int, work: Callable[[slice], Result], rows: int) -> Result:
    return work(slice(first, first + rows))


def exhausted(what: str) -> OutOfMemoryError:
    """Return the error of work that memory does not hold.

    Args:
        what: The work.
    """
    return OutOfMemoryError(
        f"memory ran out: {what}",
        "a device with room for the weights, their gradients and one row",
        "close what else uses the device, or turn on ppo.gradient_checkpointing: the same command "
        "goes on from the last checkpoint then; or begin the stage again with adapters "
        "(ppo.lora_rank), or the next cycle with a lower generation.max_tokens or a smaller policy",
    )

"""What every stage of a running cycle has at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rlaif.config import RlaifConfig
from rlaif.crew import Crew
from rlaif.cycle.paying import LedgerReplies
from rlaif.engines import Engine
from rlaif.ledger.unit import Unit
from rlaif.ledger.writer import Ledger
from rlaif.progress import Watcher
from rlaif.project import Project
from rlaif.seeds import derive_seed


class Named(Protocol):
    """Work that is one unit of the ledger."""

    @property
    def name(self) -> str:
        """The unit's name, unique in its stage."""


W = TypeVar("W", bound=Named)
R = TypeVar("R")


@dataclass(frozen=True)
class CycleContext:
    """A cycle under way.

    Attributes:
        project: Its folders.
        config: The settings that the cycle was begun with.
        ledger: Where every unit is committed.
        crew: The models.
        replies: What judges on servers have said.
        engine: Where work runs.
        watcher: Who is told.
        number: The cycle's number.
        incumbent: The version of the policy that was live when the cycle began.
    """

    project: Project
    config: RlaifConfig
    ledger: Ledger
    crew: Crew
    replies: LedgerReplies
    engine: Engine
    watcher: Watcher
    number: int
    incumbent: str

    def seed(self, *names: str | int) -> int:
        """Return the seed of a place in this cycle."""
        return derive_seed(self.config.run.seed, self.number, *names)

    def run_units(
        self,
        stage: str,
        units: Sequence[W],
        work: Callable[[W], R],
        record: Callable[[Unit, R], None],
        noun: str = "units",
    ) -> None:
        """Run the units that the ledger does not have, and commit each as it arrives.

        Args:
            stage: The stage.
            units: All units of the stage, or of one phase of it; fixed before the first runs.
            work: What a unit computes; it writes nothing.
            record: How its result becomes rows.
            noun: What the units are, for the watcher.
        """
        done = self.ledger.done_units(self.number, stage)
        missing = [unit for unit in units if unit.name not in done]
        finished = len(units) - len(missing)
        self.watcher.units(finished, len(units), noun)
        for unit, result in zip(missing, self.engine.map(work, missing), strict=True):
            with self.ledger.unit(self.number, stage, unit.name) as rows:
                record(rows, result)
            finished += 1
            self.watcher.units(finished, len(units), noun)

    def run_once(self, stage: str, name: str, work: Callable[[Unit], None]) -> None:
        """Run a stage's single unit unless the ledger has it."""
        if name not in self.ledger.done_units(self.number, stage):
            with self.ledger.unit(self.number, stage, name) as rows:
                work(rows)

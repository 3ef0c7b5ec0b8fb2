"""Progress for people: a live line on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from rlaif.cli.output import duration, visible
from rlaif.ledger.clock import monotonic
from rlaif.progress import Watcher

PLAIN_SECONDS = 10.0
BAR_WIDTH = 10

Clock = Callable[[], float]


class Pace:
    """How fast units get done: those this process did, over the time since it told of the first.

    A stage may have phases, each with units of its own: the count begins anew with each.

    Args:
        clock: Seconds since some fixed moment.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._phase: tuple[int, str] | None = None
        self._first = (0.0, 0)

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return self._clock() - self._began

    def facts(self, done: int, total: int, noun: str) -> str:
        """Return units done, their rate and the time left, as far as they are known."""
        now = self._clock()
        if self._phase != (total, noun) or done < self._first[1]:
            self._phase, self._first = (total, noun), (now, done)
        then, before = self._first
        text = f"{done}/{total} {noun}"
        if done <= before or now <= then:
            return text
        rate = (done - before) / (now - then)
        left = duration(max(total - done, 0) / rate)
        return f"{text}, {_speed(rate)}, {left} left"


class PlainWatcher:
    """Prints a line when a stage begins and ends, and every ten seconds between.

    Args:
        console: Where to print.
        last: The last cycle that will be run; 0 where only the conductor knows.
        clock: Seconds since some fixed moment.
        trial: What is done, where that is no cycle.
    """

    def __init__(
        self, console: Console, last: int = 0, clock: Clock = monotonic, trial: str = ""
    ) -> None:
        self._console = console
        self._last = last
        self._clock = clock
        self._where = ""
        self._cycles = trial
        self._pace = Pace(clock)
        self._told = clock()

    def cycle(self, number: int, last: int) -> None:
        """Remember which cycle is under way."""
        self._cycles = f"cycle {number}/{max(number, last, self._last)}"

    def stage(self, cycle: int, stage: str) -> None:
        """Say that a stage begins."""
        self._where = f"{self._cycles or f'cycle {cycle}'} {stage}"
        self._pace = Pace(self._clock)
        self._told = self._clock()
        self._say(self._where)

    def units(self, done: int, total: int, noun: str) -> None:
        """Say how far the stage is, when it ends and now and then."""
        facts = self._pace.facts(done, total, noun)
        if done < total and self._clock() - self._told < PLAIN_SECONDS:
            return
        self._told = self._clock()
        self._say(f"{self._where}: {facts}")

    def note(self, message: str) -> None:
        """Say something that a person should read."""
        self._say(f"note: {message}")

    def _say(self, line: str) -> None:
        self._console.print(Text(visible(line)), soft_wrap=True)


class LiveWatcher:
    """Keeps one live line, and leaves a line behind for every stage that is over.

    Args:
        progress: A display that somebody else starts and stops.
        last: The last cycle that will be run; 0 where only the conductor knows.
        clock: Seconds since some fixed moment.
        trial: What is done, where that is no cycle.
    """

    def __init__(
        self, progress: Progress, last: int = 0, clock: Clock = monotonic, trial: str = ""
    ) -> None:
        self._progress = progress
        self._last = last
        self._clock = clock
        self._cycles = trial
        self._done = ""
        self._where = ""
        self._pace = Pace(clock)
        self._task = progress.add_task("starting", total=None, facts="")

    def cycle(self, number: int, last: int) -> None:
        """Show which cycle is under way."""
        self.leave()
        self._cycles = f"cycle {number}/{max(number, last, self._last)}"
        self._progress.reset(self._task, total=None, description=self._cycles, facts="")

    def stage(self, cycle: int, stage: str) -> None:
        """Leave a line for the stage before, and show this one."""
        self.leave()
        self._where = f"{self._cycles or f'cycle {cycle}'}  {stage}"
        self._pace = Pace(self._clock)
        self._progress.reset(self._task, total=None, description=self._where, facts="")

    def units(self, done: int, total: int, noun: str) -> None:
        """Move the bar."""
        self._done = f"{done}/{total} {noun}"
        facts = self._pace.facts(done, total, noun)
        self._progress.update(self._task, completed=done, total=max(total, 1), facts=facts)

    def note(self, message: str) -> None:
        """Print something above the live line."""
        self._progress.console.print(Text(visible(f"note: {message}")))

    def leave(self) -> None:
        """Leave a line behind for the stage that was shown, if any."""
        if self._where:
            line = f"{self._where:<26} {self._done:<30} {duration(self._pace.seconds)}"
            self._progress.console.print(Text(line))
        self._where = self._done = ""


@contextmanager
def watching(console: Console, last: int = 0, trial: str = "") -> Iterator[Watcher]:
    """Show progress while the block runs.

    Args:
        console: Where to show it; a terminal gets a live line.
        last: The last cycle that will be run.
        trial: What is done, where that is no cycle.

    Yields:
        The watcher to tell.
    """
    if not console.is_terminal:
        yield PlainWatcher(console, last, trial=trial)
        return
    columns = (
        TextColumn("{task.description:<26}", markup=False),
        BarColumn(BAR_WIDTH),
        TextColumn("{task.fields[facts]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        watcher = LiveWatcher(progress, last, trial=trial)
        yield watcher
        watcher.leave()


def _speed(rate: float) -> str:
    return (
        f"{rate:.0f}/s"
        if rate >= 10
        else f"{rate:.1f}/s"
        if rate >= 1
        else f"{1 / rate:.1f} s each"
    )

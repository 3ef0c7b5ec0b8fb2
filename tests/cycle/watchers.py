"""Watchers of a run: some keep what they are told, some stand for a kill."""

from rlaif.progress import Silent


class Stopped(Exception):  # noqa: N818 - stands for a kill, not for an error
    """Raised by a watcher in place of a kill."""


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


class StopAfter(Silent):
    """Raises once so many units were done anew in this run."""

    def __init__(self, units: int) -> None:
        self.left = units
        self.last = (-1, -1, "")

    def units(self, done: int, total: int, noun: str) -> None:
        self.left -= (done - 1, total, noun) == self.last
        self.last = (done, total, noun)
        if self.left < 0:
            raise Stopped


class StopAt(Silent):
    """Raises when so many units of a kind are done."""

    def __init__(self, noun: str, done: int) -> None:
        self.noun, self.done = noun, done

    def units(self, done: int, total: int, noun: str) -> None:  # noqa: ARG002 - the protocol's
        if (noun, done) == (self.noun, self.done):
            raise Stopped


class StopAtStage(Silent):
    """Raises where a stage begins."""

    def __init__(self, name: str) -> None:
        self.name = name

    def stage(self, cycle: int, stage: str) -> None:  # noqa: ARG002 - the protocol's
        if stage == self.name:
            raise Stopped

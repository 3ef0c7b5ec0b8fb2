"""Locks between processes: flock, which the system releases when the holder dies."""

import fcntl
import json
import os
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from pydantic import ValidationError

from rlaif.errors import LedgerError, ProjectLockedError
from rlaif.ledger import clock
from rlaif.records import Record

_PROBE_SECONDS = 0.2
_RETRY_SECONDS = 0.02

_held: "weakref.WeakSet[ProjectLock]" = weakref.WeakSet()


class LockHolder(Record):
    """The process that holds a project: its id, what it runs, since when (UTC, ISO 8601)."""

    pid: int
    command: str
    since: str


class ProjectLock:
    """The lock of a project: one process runs cycles, checkpoints and migrates.

    The file stays when the lock goes; what it says is true only while somebody holds it
    (:func:`lock_holder` asks the system, not the file).

    Args:
        path: The lock's file, made where missing.
        command: What the holder runs, for the message that others get.
    """

    def __init__(self, path: Path, command: str | None = None) -> None:
        self.path = path
        self.command = command or " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        self._stream: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ProjectLockedError: Another process (or another lock in this one) holds it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stream = self.path.open("a+", encoding="utf-8")
        if not _flock(stream, _PROBE_SECONDS):
            stream.close()
            raise self._refusal()
        holder = LockHolder(pid=os.getpid(), command=self.command, since=clock.iso_now())
        _rewrite(stream, holder.model_dump_json())
        self._stream = stream
        _held.add(self)

    def release(self) -> None:
        """Give the lock back; does nothing where it is not held."""
        if self._stream is not None:
            _rewrite(self._stream, "")
            self.abandon()

    def abandon(self) -> None:
        """Close the file as a forked child must: the parent goes on holding the lock."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        _held.discard(self)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _refusal(self) -> ProjectLockedError:
        holder = _read_holder(self.path)
        who = (
            f"process {holder.pid} ({holder.command}), since {holder.since}"
            if holder
            else "another process"
        )
        return ProjectLockedError(
            f"{self.path} is held by {who}",
            "one process at a time that runs cycles of a project",
            "wait for it or stop it; the lock goes when the process ends, so there is no file "
            "to remove",
        )


def lock_holder(path: Path) -> LockHolder | None:
    """Return who holds a project's lock now, or None where nobody does."""
    if not path.exists():
        return None
    with path.open("r", encoding="utf-8") as stream:
        if _flock(stream, 0.0, fcntl.LOCK_SH):
            return None
    return _read_holder(path) or LockHolder(pid=0, command="unknown", since="")


@contextmanager
def waiting_lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold a lock for a short piece of work, waiting for others that do the same.

    Args:
        path: The lock's file, made where missing.
        seconds: How long to wait.

    Raises:
        LedgerError: The lock was not free in time.
    """
    with path.open("a+", encoding="utf-8") as stream:
        if not _flock(stream, seconds):
            raise LedgerError(
                f"{path} has been locked for more than {seconds:g} s",
                "a migration that ends within a moment",
                "find the process that is migrating the ledger, and stop it if it hangs",
            )
        yield


def _flock(stream: IO[str], seconds: float, kind: int = fcntl.LOCK_EX) -> bool:
    """Try for ``seconds`` to lock an open file (a probe of another process lasts a moment)."""
    deadline = clock.monotonic() + seconds
    while True:
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= deadline:
                return False
            time.sleep(_RETRY_SECONDS)
        else:
            return True


def _rewrite(stream: IO[str], text: str) -> None:
    stream.seek(0)
    stream.truncate()
    stream.write(text)
    stream.flush()


def _read_holder(path: Path) -> LockHolder | None:
    try:
        return LockHolder.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError):
        return None


def _abandon_in_child() -> None:
    for lock in list(_held):
        lock.abandon()


os.register_at_fork(after_in_child=_abandon_in_child)

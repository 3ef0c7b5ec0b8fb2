"""One process at a time holds a project; the system lets go when it dies."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_samples import in_child

from rlaif.errors import LedgerError, ProjectLockedError
from rlaif.ledger.lock import ProjectLock, lock_holder, waiting_lock

HOLD = """
import sys, time
from pathlib import Path
from rlaif.ledger.lock import ProjectLock
with ProjectLock(Path(sys.argv[1]), "rlaif run --cycles 3"):
    print("held", flush=True)
    time.sleep(60)
"""
PROBE = """
import sys, time
from pathlib import Path
from rlaif.ledger.lock import lock_holder
end = time.monotonic() + 0.7
while time.monotonic() < end:
    lock_holder(Path(sys.argv[1]))
"""


@pytest.fixture
def lock_path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "project.lock"


@pytest.fixture
def holder(lock_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_process_is_told_who_holds_the_lock(
    lock_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(ProjectLockedError) as error:
        ProjectLock(lock_path).acquire()
    assert f"process {holder.pid} (rlaif run --cycles 3), since 20" in error.value.seen
    assert str(lock_path) in error.value.seen
    assert "no file to remove" in error.value.action
    assert error.value.exit_code == 75
    found = lock_holder(lock_path)
    assert found is not None
    assert (found.pid, found.command) == (holder.pid, "rlaif run --cycles 3")


def test_the_lock_goes_when_its_holder_is_killed(
    lock_path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads(lock_path.read_text(encoding="utf-8"))["pid"] == holder.pid
    assert lock_holder(lock_path) is None
    with ProjectLock(lock_path, "rlaif run"):
        found = lock_holder(lock_path)
        assert found is not None
        assert (found.pid, found.command) == (os.getpid(), "rlaif run")
    assert lock_holder(lock_path) is None


def test_a_stale_file_with_a_living_process_id_does_not_lock(lock_path: Path) -> None:
    lock_path.parent.mkdir()
    stale = {"pid": os.getppid(), "command": "another program by now", "since": "2020"}
    lock_path.write_text(json.dumps(stale) + " " * 300, encoding="utf-8")
    with ProjectLock(lock_path, "rlaif run"):
        assert json.loads(lock_path.read_text(encoding="utf-8"))["command"] == "rlaif run"


def test_two_locks_in_one_process_exclude_each_other_too(lock_path: Path) -> None:
    one, other = ProjectLock(lock_path), ProjectLock(lock_path)
    with one, pytest.raises(ProjectLockedError):
        other.acquire()
    with other:
        pass


def test_a_lock_can_be_taken_again_and_given_back_twice(lock_path: Path) -> None:
    lock = ProjectLock(lock_path)
    for _ in range(3):
        lock.acquire()
        lock.release()
        lock.release()
    assert lock_holder(lock_path) is None


def test_an_exception_gives_the_lock_back(lock_path: Path) -> None:
    def fail() -> None:
        with ProjectLock(lock_path):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert lock_holder(lock_path) is None


def test_nobody_holds_a_lock_that_was_never_made(lock_path: Path) -> None:
    assert lock_holder(lock_path) is None
    assert not lock_path.exists()


@pytest.mark.parametrize("content", ["", "{", '{"pid": "many"}', "[]"])
def test_a_holder_that_cannot_be_read_still_holds(lock_path: Path, content: str) -> None:
    with ProjectLock(lock_path):
        lock_path.write_text(content, encoding="utf-8")
        found = lock_holder(lock_path)
        assert found is not None
        assert found.command == "unknown"
        with pytest.raises(ProjectLockedError, match="another process"):
            ProjectLock(lock_path).acquire()


def test_a_probe_does_not_turn_a_newcomer_away(lock_path: Path) -> None:
    with ProjectLock(lock_path):
        pass
    with subprocess.Popen([sys.executable, "-c", PROBE, str(lock_path)]) as prober:
        taken = 0
        while prober.poll() is None:
            with ProjectLock(lock_path):
                taken += 1
            time.sleep(0.001)
    assert taken > 10
    assert prober.returncode == 0


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(lock_path: Path) -> None:
    lock = ProjectLock(lock_path)
    lock.acquire()

    def check() -> None:
        assert lock._stream is None
        lock.release()
        with pytest.raises(ProjectLockedError):
            ProjectLock(lock_path).acquire()

    assert in_child(check) == 0
    assert lock_holder(lock_path) is not None
    lock.release()


def test_the_command_line_is_what_others_are_told(
    lock_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/rlaif", "run", "--cycles", "2"])
    assert ProjectLock(lock_path).command == "rlaif run --cycles 2"


def test_waiting_for_a_lock_ends_with_a_message(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db.migrating"
    with (
        waiting_lock(path, 1.0),
        pytest.raises(LedgerError, match=r"locked for more than 0\.05 s"),
        waiting_lock(path, 0.05),
    ):
        pass
    with waiting_lock(path, 0.0):
        pass

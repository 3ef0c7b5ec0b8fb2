"""Run one cycle again and again, killed, as no handler could see coming, at one moment each time.

    python -m tests.cycle.dying_run PROJECT MOMENT:NAME...

Prints how each run ended, one number a line: minus the signal's.

``unit STAGE``: a unit of that stage has written its rows and files and has not committed.
``landed FOLDER``: that folder has its final name, and no row vouches for it yet.
``link VERSION``: a promotion is in the ledger, and ``policies/current`` does not point to it yet.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import rlaif.policies
from rlaif import artifacts
from rlaif.cycle import run_cycles
from rlaif.ledger.unit import Unit
from rlaif.ledger.writer import Ledger
from rlaif.progress import Silent
from rlaif.project import load_project
from tests.cycle.forked import in_a_child


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def die_before_commit(stage: str) -> None:
    commit = Ledger.unit

    @contextmanager
    def dying(self: Ledger, cycle: int, of: str, name: str) -> Iterator[Unit]:
        with commit(self, cycle, of, name) as rows:
            yield rows
            if of == stage:
                die()

    Ledger.unit = dying  # type: ignore[method-assign]


def die_once_landed(folder: str) -> None:
    move = artifacts._move_over

    def dying(aside: Path, target: Path) -> None:
        move(aside, target)
        if target.name == folder:
            die()

    artifacts._move_over = dying


def die_before_the_link(version: str) -> None:
    point = rlaif.policies.point_link

    def dying(link: Path, target: Path) -> None:
        if target.name == version:
            die()
        point(link, target)

    rlaif.policies.point_link = dying


MOMENTS: dict[str, Any] = {
    "unit": die_before_commit,
    "landed": die_once_landed,
    "link": die_before_the_link,
}


def main() -> None:
    root, *moments = sys.argv[1:]
    for moment in moments:
        kind, _, name = moment.partition(":")

        def run(kind: str = kind, name: str = name) -> None:
            MOMENTS[kind](name)
            run_cycles(load_project(Path(root)), more=1, watcher=Silent())

        sys.stdout.write(f"{in_a_child(run)}\n")


if __name__ == "__main__":
    main()

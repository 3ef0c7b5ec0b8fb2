"""Run PPO jobs again and again, killed, as no handler could see coming, at one moment each time.

    python dying_ppo.py JOB.json...

Each job is killed in every update's learning, while each checkpoint is being written, and once it
has landed; then it runs to its end. Prints how each run ended, a number a line: minus the signal.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import torch

from rlaif import artifacts
from rlaif.stages.ppo import PpoJob, train_ppo
from rlaif.stages.ppo.learning import Epochs


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def in_learning(update: int) -> None:
    apply = Epochs._apply
    steps = []

    def dying(self: Epochs, figures: dict[str, float], now: int) -> float:
        steps.append(now)
        if now == update and steps.count(now) == 2:  # one step of this update is taken
            die()
        return apply(self, figures, now)

    Epochs._apply = dying  # type: ignore[method-assign]


def at_checkpoint(update: int, *, landed: bool) -> None:
    move = artifacts._move_over

    def dying(aside: Path, target: Path) -> None:
        mine = target.name == f"update-{update:05d}"
        if landed or not mine:
            move(aside, target)
        if mine:
            die()

    artifacts._move_over = dying


def moments(updates: int) -> list[Callable[[], None]]:
    found: list[Callable[[], None]] = []
    for update in range(updates):
        found += [
            lambda update=update: in_learning(update),
            lambda update=update: at_checkpoint(update + 1, landed=False),
            lambda update=update: at_checkpoint(update + 1, landed=True),
        ]
    return [*found, lambda: None]


def main() -> None:
    torch.set_num_threads(1)
    for path in sys.argv[1:]:
        job = PpoJob.model_validate_json(Path(path).read_text(encoding="utf-8"))
        for prepare in moments(job.ppo.updates):
            child = os.fork()
            if child == 0:
                prepare()
                train_ppo(job)
                os._exit(0)
            sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

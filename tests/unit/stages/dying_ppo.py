"""Run PPO jobs again and again, killed, as no handler could see coming, at one moment each time.

    python dying_ppo.py JOB.json...

Each job is killed in every update's learning; while each checkpoint is half written, once it is
whole and has not landed, and once it has; and before and after the challenger lands. Then it runs
to its end. Prints how each run ended, a number a line: minus the signal.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import torch

from rlaif import artifacts
from rlaif.stages.ppo import PpoJob, train_ppo, trainer
from rlaif.stages.ppo.checkpoints import PREFIX
from rlaif.stages.ppo.learning import Epochs

Moment = Callable[[], None]


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


def half_written(done: int) -> None:
    save = trainer.save_state

    def dying(state: dict[str, object], folder: Path) -> None:
        save(state, folder)
        if state["done"] == done:
            with (folder / "state.json").open("r+b") as file:
                file.truncate(100)
            die()

    trainer.save_state = dying  # type: ignore[assignment]


def at_landing(name: str, *, landed: bool) -> None:
    move = artifacts._move_over

    def dying(aside: Path, target: Path) -> None:
        mine = target.name == name
        if landed or not mine:
            move(aside, target)
        if mine:
            die()

    artifacts._move_over = dying


def moments(job: PpoJob) -> Iterator[Moment]:
    """Yield the moments in the order in which a job comes to them."""
    for update in range(job.ppo.updates):
        yield partial(in_learning, update)
        done = update + 1
        if done % job.ppo.checkpoint_updates == 0:
            yield partial(half_written, done)
            for landed in (False, True):
                yield partial(at_landing, f"{PREFIX}{done:05d}", landed=landed)
    for landed in (False, True):
        yield partial(at_landing, job.output.name, landed=landed)


def ended(job: PpoJob, prepare: Moment | None) -> int:
    """Run a job in a child; return its exit status, minus the signal if it was killed."""
    child = os.fork()
    if child == 0:
        if prepare is not None:
            prepare()
        train_ppo(job)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    torch.set_num_threads(1)
    for path in sys.argv[1:]:
        job = PpoJob.model_validate_json(Path(path).read_text(encoding="utf-8"))
        for prepare in [*moments(job), None]:
            sys.stdout.write(f"{ended(job, prepare)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

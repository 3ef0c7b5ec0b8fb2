"""The local engine: in order, one at a time, nothing hidden."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rlaif.engines import Engine
from rlaif.engines.local import LocalEngine


@dataclass(frozen=True)
class Job:
    steps: int


def engine() -> Engine:
    """Return the engine as its callers see it, so that mypy holds it to the protocol."""
    return LocalEngine()


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(engine().map(lambda n: n * n, [3, 1, 2])) == [9, 1, 4]


def test_an_item_is_begun_only_after_the_result_before_it_was_taken() -> None:
    log: list[str] = []

    def items() -> Iterator[int]:
        for n in range(3):
            log.append(f"item {n}")
            yield n

    def work(n: int) -> int:
        log.append(f"work {n}")
        return n

    for result in engine().map(work, items()):
        log.append(f"commit {result}")
    assert log == [f"{what} {n}" for n in range(3) for what in ("item", "work", "commit")]


def test_what_the_function_raises_comes_in_the_place_of_its_result() -> None:
    results = engine().map(lambda n: 6 // n, [2, 0, 3])
    assert next(results) == 3
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_training_runs_the_job_and_returns_its_report() -> None:
    assert engine().train(lambda job: f"{job.steps} steps", Job(steps=4)) == "4 steps"


def test_training_lets_errors_through() -> None:
    def diverge(job: Job) -> str:
        raise FloatingPointError(f"loss is not finite at step {job.steps}")

    with pytest.raises(FloatingPointError, match="step 4"):
        engine().train(diverge, Job(steps=4))

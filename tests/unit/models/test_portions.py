"""Work that does not fit into memory is cut smaller, and only then given up."""

import gc
import weakref

import pytest
import torch

from rlaif.errors import TrainingError
from rlaif.models.portions import OutOfMemoryError, Portion


def needing(limit: int, tried: list[int]) -> object:
    def work(rows: int) -> int:
        tried.append(rows)
        if rows > limit:
            raise torch.OutOfMemoryError
        return rows

    return work


def test_work_that_fits_runs_once_with_all_its_rows() -> None:
    portion, tried = Portion("work", 8), list[int]()
    assert portion.run(needing(8, tried), 8) == 8
    assert tried == [8]
    assert (portion.rows, portion.halved) == (8, 0)


def test_rows_are_halved_until_it_fits_and_stay_so() -> None:
    portion, tried = Portion("work", 16), list[int]()
    assert portion.run(needing(3, tried), 16) == 2
    assert portion.run(needing(3, tried), 16) == 2
    assert tried == [16, 8, 4, 2, 2]
    assert (portion.rows, portion.halved) == (2, 3)


def test_halving_begins_at_the_rows_that_there_are() -> None:
    portion, tried = Portion("work", 64), list[int]()
    portion.run(needing(4, tried), 5)
    assert tried == [5, 2]


def test_one_row_that_does_not_fit_is_an_error_that_says_what_to_do() -> None:
    portion, tried = Portion("learning", 4), list[int]()
    with pytest.raises(TrainingError, match="learning, one row at a time") as caught:
        portion.run(needing(0, tried), 4)
    assert tried == [4, 2, 1]
    assert isinstance(caught.value, OutOfMemoryError)
    assert "gradient_checkpointing" in caught.value.action
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


def test_what_a_failed_attempt_made_is_gone_before_the_next() -> None:
    made: list[weakref.ref[torch.Tensor]] = []

    def work(rows: int) -> bool:
        large = torch.zeros(rows)
        made.append(weakref.ref(large))
        if rows > 1:
            raise torch.OutOfMemoryError
        return made[0]() is None

    gc.disable()
    try:
        assert Portion("work", 2).run(work, 2)
    finally:
        gc.enable()


def test_each_does_every_row_once_in_order() -> None:
    portion = Portion("work", 4)
    done: list[int] = []

    def work(places: slice) -> list[int]:
        rows = list(range(10))[places]
        if len(rows) > 2 and done:
            raise torch.OutOfMemoryError
        done.extend(rows)
        return rows

    assert portion.each(10, work) == [[0, 1, 2, 3], [4, 5], [6, 7], [8, 9]]
    assert done == list(range(10))


def test_other_faults_pass() -> None:
    def work(rows: int) -> None:
        raise RuntimeError(f"{rows}")

    portion = Portion("work", 4)
    with pytest.raises(RuntimeError, match="4"):
        portion.run(work, 4)
    assert portion.rows == 4


def test_a_checkpoint_keeps_the_rows() -> None:
    portion, other = Portion("work", 8), Portion("work", 8)
    portion.run(needing(2, []), 8)
    other.load_state_dict(portion.state_dict())
    assert (other.rows, other.halved) == (2, 2)


def test_what_memory_taught_outlives_a_kill_and_a_larger_setting() -> None:
    portion, smaller, larger, untaught = (Portion("work", rows) for rows in (8, 2, 16, 16))
    untaught.load_state_dict(portion.state_dict())
    assert (untaught.rows, untaught.halved) == (16, 0)
    portion.load_state_dict({"rows": 4, "halved": 1})
    for other in (smaller, larger):
        other.load_state_dict(portion.state_dict())
    assert [(p.rows, p.halved) for p in (portion, smaller, larger)] == [(4, 1), (2, 1), (4, 1)]

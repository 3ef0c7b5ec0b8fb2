"""Batches on several cores: same results, same order, threads given back."""

import pytest
import torch

from rlaif.models.parallel import on_all_cores

CPU = torch.device("cpu")


def work(n: int) -> tuple[int, int]:
    return n, torch.get_num_threads()


@pytest.fixture(params=[1, 2])
def cores(request: pytest.FixtureRequest) -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_keep_their_order_and_each_item_has_one_core(cores: int) -> None:
    assert on_all_cores(work, list(range(9)), CPU) == [(n, 1) for n in range(9)]
    assert torch.get_num_threads() == cores


@pytest.mark.parametrize(("items", "threads"), [(0, 0), (1, 4), (2, 2), (3, 1), (4, 1), (5, 1)])
def test_few_items_have_several_cores_each(items: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert on_all_cores(work, list(range(items)), CPU) == [(n, threads) for n in range(items)]
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_what_an_item_raises_comes_through_and_the_threads_come_back(cores: int) -> None:
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda n: 1 // n, [1, 0, 2], CPU)
    assert torch.get_num_threads() == cores

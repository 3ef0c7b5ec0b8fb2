"""Independent batches on the cores of a CPU: small models gain little from sharing one batch."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from rlaif.progress import nobody

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_all_cores(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    device: torch.device,
    told: Callable[[Result], None] = nobody,
) -> list[Result]:
    """Apply a function of the model to items, several at once where that is faster.

    On the CPU each item gets a core to itself, or as many as there are for it where items are
    few; torch lets go of the interpreter while it computes. On other devices, and on one core,
    items go one after the other. The results are the same, to the bit, on the same machine with
    the same number of threads.

    Args:
        function: Must not touch what other items touch.
        items: The work.
        device: Where the model is.
        told: Told each result, in the order of the items and in the caller's thread.

    Returns:
        The results, in the order of the items.
    """
    cores = torch.get_num_threads()
    if device.type != "cpu" or cores == 1 or len(items) < 2:
        return _collected(map(function, items), told)
    each = max(cores // len(items), 1)
    torch.set_num_threads(each)
    try:
        with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(each,)) as pool:
            return _collected(pool.map(function, items), told)
    finally:
        torch.set_num_threads(cores)


def _collected(found: Iterable[Result], told: Callable[[Result], None]) -> list[Result]:
    results = []
    for result in found:
        results.append(result)
        told(result)
    return results

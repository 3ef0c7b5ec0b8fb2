"""The best rate at which a device multiplies matrices: what shares of peak are shares of."""

import time

import torch

from rlaif.seeds import torch_generator

SIZES = {"cpu": 2048}
SIZE_ELSEWHERE = 8192
TRIES = 8


def matmul_peak(dtype: torch.dtype, device: str = "cpu") -> float:
    """Return the best rate of a large matrix product, in GFLOP/s.

    Args:
        dtype: Of the matrices, whose numbers are random: a GPU multiplies equal ones faster.
        device: "cpu" or "cuda".
    """
    size = SIZES.get(device, SIZE_ELSEWHERE)
    numbers = torch.rand(size, size, generator=torch_generator(0)).to(device, dtype)
    best = float("inf")
    for _ in range(TRIES):
        settle(device)
        start = time.perf_counter()
        numbers @ numbers.T
        settle(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def settle(device: str) -> None:
    """Wait until a device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()

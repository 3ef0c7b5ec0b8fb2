"""Seeded random inputs for the golden tests."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


@dataclass
class Case:
    """Rows of different lengths, and a source of numbers to lay over them."""

    rng: np.random.Generator
    lengths: list[int]
    width: int

    @property
    def mask(self) -> Tensor:
        return torch.arange(self.width) < torch.tensor(self.lengths)[:, None]

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    def numbers(self, scale: float = 1.0) -> Array:
        """Normal numbers for every cell; padding cells hold some too, to be ignored."""
        return self.rng.normal(0, scale, (len(self.lengths), self.width))


def random_case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    rows, width = int(rng.integers(2, 6)), int(rng.integers(2, 9))
    return Case(rng, [int(n) for n in rng.integers(1, width + 1, rows)], width)


def assert_close(found: Tensor, expected: Array | float, rtol: float = 1e-10) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=rtol, atol=1e-12)

"""Hypothesis strategies: masked rows and distributions, in float64."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

quick = settings(deadline=None, max_examples=25, derandomize=True)


@dataclass
class Rows:
    """Response lengths, and a source of numbers to lay over the cells."""

    lengths: list[int]
    width: int
    rng: np.random.Generator

    @property
    def mask(self) -> Tensor:
        return torch.arange(self.width) < torch.tensor(self.lengths)[:, None]

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    def numbers(self, scale: float = 1.0) -> Tensor:
        return torch.from_numpy(self.rng.normal(0, scale, (len(self.lengths), self.width)))

    def vectors(self, size: int, scale: float = 1.0) -> Tensor:
        shape = (len(self.lengths), self.width, size)
        return torch.from_numpy(self.rng.normal(0, scale, shape))


@st.composite
def rows(draw: st.DrawFn, min_rows: int = 1) -> Rows:
    lengths = draw(st.lists(st.integers(1, 7), min_size=min_rows, max_size=5))
    spare = draw(st.integers(0, 2))
    seed = draw(st.integers(0, 2**32 - 1))
    return Rows(lengths, max(lengths) + spare, np.random.default_rng(seed))


logits = st.lists(st.floats(-15, 15), min_size=2, max_size=6)


@st.composite
def two_distributions(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits of two distributions over the same small vocabulary."""
    p = draw(logits)
    q = draw(st.lists(st.floats(-15, 15), min_size=len(p), max_size=len(p)))
    return torch.tensor(p, dtype=torch.float64), torch.tensor(q, dtype=torch.float64)


def assert_close(found: Tensor, expected: Tensor | float, atol: float = 1e-10) -> None:
    truth = expected.detach().numpy() if isinstance(expected, Tensor) else expected
    np.testing.assert_allclose(found.detach().numpy(), truth, rtol=1e-9, atol=atol)

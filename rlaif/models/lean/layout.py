"""Rows of unlike length as one list of tokens: buckets of rows of like length, end to end.

A bucket is a rectangle whose rows begin in its first column, so under causal attention no real
token sees the filler behind it, and every layer but attention works on the bare list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

MAX_WASTE = 0.08


@dataclass(frozen=True)
class Bucket:
    """A rectangle within the list: `rows` rows of `width` tokens from place `start` on."""

    start: int
    rows: int
    width: int

    @property
    def span(self) -> slice:
        """Its places in the list."""
        return slice(self.start, self.start + self.rows * self.width)


@dataclass(frozen=True)
class Layout:
    """Token ids and positions of all buckets, end to end.

    Attributes:
        ids: Tokens; filler is whatever fills.
        positions: Place of each token in its own row, from 0.
        buckets: The rectangles, in order.
        starts: Place in the list at which each row, in the order it was given, begins.
    """

    ids: Int[Tensor, " tokens"]
    positions: Int[Tensor, " tokens"]
    buckets: tuple[Bucket, ...]
    starts: Int[Tensor, " rows"]

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[int]], filler: int, max_waste: float = MAX_WASTE
    ) -> "Layout":
        """Lay rows out, the longest first.

        Args:
            rows: Token ids, none empty.
            filler: Any token.
            max_waste: Share of a bucket that may be filler before a new one is begun.
        """
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        buckets: list[Bucket] = []
        ids: list[int] = []
        starts = [0] * len(rows)
        for group in _groups([len(rows[row]) for row in order], max_waste):
            members = [order[place] for place in group]
            width = len(rows[members[0]])
            buckets.append(Bucket(len(ids), len(members), width))
            for row in members:
                starts[row] = len(ids)
                ids += [*rows[row], *[filler] * (width - len(rows[row]))]
        positions = [torch.arange(b.width).repeat(b.rows) for b in buckets]
        return cls(torch.tensor(ids), torch.cat(positions), tuple(buckets), torch.tensor(starts))


def _groups(lengths: Sequence[int], max_waste: float) -> list[range]:
    """Cut falling lengths into runs of which at most that share is filler."""
    groups, begin, real = [], 0, 0
    for place, length in enumerate(lengths):
        area = lengths[begin] * (place - begin + 1)
        if real + length < (1 - max_waste) * area:
            groups.append(range(begin, place))
            begin, real = place, 0
        real += length
    return [*groups, range(begin, len(lengths))]

"""Low-rank adapters as the blocks use them: pairs of thin matrices beside a frozen one.

    W x + (alpha / r) B A x      (Hu et al. 2022, "LoRA", eq. 3)

One frozen base may carry several adapters, which differ in these pairs alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlaif.models.lean.weights import Sizes, interleaved

TURNED = frozenset({"query", "key"})


class Pair(NamedTuple):
    """An adapter of one matrix [out, in].

    As a working copy, `up` is multiplied by the scale already, and its rows are in the order of
    `interleaved` where those of the matrix are.

    Attributes:
        down: A [rank, in].
        up: B [out, rank].
        scale: alpha / rank.
    """

    down: Tensor
    up: Tensor
    scale: float


class BlockPairs(NamedTuple):
    """The adapters of a block's matrices; None where a matrix has none."""

    query: Pair | None = None
    key: Pair | None = None
    value: Pair | None = None
    out: Pair | None = None
    gate: Pair | None = None
    up: Pair | None = None
    down: Pair | None = None

    @property
    def leaves(self) -> Iterator[Tensor]:
        """A and B of each matrix that is adapted, in order."""
        return (x for pair in self if pair is not None for x in (pair.down, pair.up))


def pairs_of(layer: Any, adapter: str) -> BlockPairs:  # noqa: ANN401 - each family has its own class
    """Return a block's own parameters of an adapter that PEFT has put in.

    Args:
        layer: A decoder block.
        adapter: The adapter's name.
    """
    attention, feed = layer.self_attn, layer.mlp
    return BlockPairs(
        query=_pair(attention.q_proj, adapter),
        key=_pair(attention.k_proj, adapter),
        value=_pair(attention.v_proj, adapter),
        out=_pair(attention.o_proj, adapter),
        gate=_pair(feed.gate_proj, adapter),
        up=_pair(feed.up_proj, adapter),
        down=_pair(feed.down_proj, adapter),
    )


def _pair(linear: Any, adapter: str) -> Pair | None:  # noqa: ANN401 - PEFT's layers
    if adapter not in getattr(linear, "lora_A", {}):
        return None
    down, up = linear.lora_A[adapter].weight, linear.lora_B[adapter].weight
    return Pair(down, up, float(linear.scaling[adapter]))


class WorkingPairs:
    """Working copies of an adapter, brought up to date on demand.

    Args:
        masters: Its parameters in each block.
        sizes: The model's sizes.
        dtype: The type that computes.
    """

    def __init__(self, masters: Sequence[BlockPairs], sizes: Sizes, dtype: torch.dtype) -> None:
        self.masters = list(masters)
        self._head = sizes.head
        self._dtype = dtype
        self._seen: tuple[int, ...] = ()
        self._blocks: list[BlockPairs] = []

    @property
    def blocks(self) -> list[BlockPairs]:
        """The copies, up to date."""
        seen = tuple(x._version for block in self.masters for x in block.leaves)
        if not self._seen or seen != self._seen:
            self._blocks = [self._copied(block) for block in self.masters]
            self._seen = seen
        return self._blocks

    def outdate(self) -> None:
        """Let the next reading copy, whatever has been seen: fused optimisers hide their writes."""
        self._seen = ()

    @torch.no_grad()
    def _copied(self, block: BlockPairs) -> BlockPairs:
        copies = {}
        for name, pair in block._asdict().items():
            if pair is None:
                continue
            up = interleaved(pair.up, self._head) if name in TURNED else pair.up
            scaled = up.to(torch.promote_types(up.dtype, torch.float32)) * pair.scale
            copies[name] = Pair(pair.down.detach().to(self._dtype), scaled.to(self._dtype), 1.0)
            copies[name] = copies[name]._replace(scale=pair.scale)
        return BlockPairs(**copies)

"""The weights of a Llama-like model as its blocks use them: in the type that computes.

The model's own parameters stay the masters, in float32, which the optimiser moves; the working
copies here follow them whenever they have changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

FAMILIES = frozenset({"llama", "mistral", "qwen2"})
STATIC_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})


@dataclass(frozen=True)
class Sizes:
    """Heads, key heads, head width, inner width and the norm's epsilon."""

    heads: int
    key_heads: int
    head: int
    inner: int
    epsilon: float

    @property
    def group(self) -> int:
        """Query heads that share one key head."""
        return self.heads // self.key_heads


class BlockWeights(NamedTuple):
    """A block's weights, in the order in which masters and gradients come too.

    As working copies the norms are wide, the matrices in the computing type, and the rows of
    `query` and `key` (and of their biases) in the order of `interleaved`.
    """

    attention_norm: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor
    feed_norm: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor
    query_bias: Tensor | None = None
    key_bias: Tensor | None = None
    value_bias: Tensor | None = None


def is_supported(model: PreTrainedModel) -> bool:
    """Whether the blocks of a model are those that this package computes."""
    base: Any = model.base_model
    config = base.config
    rotation = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    return (
        config.model_type in FAMILIES
        and config.hidden_act == "silu"
        and not getattr(config, "mlp_bias", False)
        and not getattr(config, "sliding_window", None)
        and rotation in STATIC_ROTATIONS
        and all(layer.self_attn.o_proj.bias is None for layer in base.layers)
    )


def sizes_of(model: PreTrainedModel) -> Sizes:
    """Read the sizes off a model's configuration."""
    config = model.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Sizes(
        config.num_attention_heads,
        config.num_key_value_heads,
        int(head),
        config.intermediate_size,
        float(config.rms_norm_eps),
    )


def masters_of(layer: Any) -> BlockWeights:  # noqa: ANN401 - each family has a class of its own
    """Return a block's own parameters."""
    attention, feed = layer.self_attn, layer.mlp
    return BlockWeights(
        layer.input_layernorm.weight,
        attention.q_proj.weight,
        attention.k_proj.weight,
        attention.v_proj.weight,
        attention.o_proj.weight,
        layer.post_attention_layernorm.weight,
        feed.gate_proj.weight,
        feed.up_proj.weight,
        feed.down_proj.weight,
        attention.q_proj.bias,
        attention.k_proj.bias,
        attention.v_proj.bias,
    )


def interleaved(rows: Tensor, head: int) -> Tensor:
    """Put the halves of each head's rows side by side: 0, h/2, 1, h/2 + 1, ...

    So the two numbers that a rotation mixes are neighbours and count as one complex number. Scores
    do not change, since queries and keys are reordered alike.
    """
    pairs: Tensor = rows.unflatten(0, (-1, 2, head // 2))
    return pairs.transpose(1, 2).flatten(0, 2)


def halved(rows: Tensor, head: int) -> Tensor:
    """Undo `interleaved`."""
    pairs: Tensor = rows.unflatten(0, (-1, head // 2, 2))
    return pairs.transpose(1, 2).flatten(0, 2)


def wide_of(dtype: torch.dtype) -> torch.dtype:
    """Return the type of norms, sums and the residual stream: float32 at least."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class WorkingCopies:
    """The working copies of all blocks and of the head, brought up to date on demand.

    Args:
        blocks: Masters of each block.
        head: Master of the language-model head, or None.
        sizes: The model's sizes.
        dtype: The type that computes.
    """

    def __init__(
        self,
        blocks: Sequence[BlockWeights],
        head: Tensor | None,
        sizes: Sizes,
        dtype: torch.dtype,
    ) -> None:
        self._masters = [x.detach() for block in blocks for x in block if x is not None]
        self._head_master = None if head is None else head.detach()
        self._versions = self._seen()
        self.blocks = [_working(block, sizes.head, dtype) for block in blocks]
        self.head = None if self._head_master is None else self._head_master.to(dtype)
        self._sizes = sizes

    @torch.no_grad()
    def refresh(self, blocks: Sequence[BlockWeights]) -> None:
        """Copy the masters again if any of them has been written to.

        Torch counts writes to a tensor, but not those of its fused optimisers: who uses one says so
        by `outdate`.
        """
        seen = self._seen()
        if seen == self._versions:
            return
        self._versions = seen
        for working, masters in zip(self.blocks, blocks, strict=True):
            for name, copy in working._asdict().items():
                if copy is not None:
                    _fill(copy, _ordered(name, getattr(masters, name).detach(), self._sizes.head))
        if self.head is not None and self._head_master is not None:
            _fill(self.head, self._head_master)

    def let_go_of_masters(self) -> None:
        """Never look at the masters again: they are frozen, and may be emptied."""
        self._masters, self._head_master = [], None
        self._versions = ()

    def outdate(self) -> None:
        """Let the next `refresh` copy, whatever has been seen."""
        self._versions = ()

    def _seen(self) -> tuple[int, ...]:
        head = [] if self._head_master is None else [self._head_master]
        return tuple(x._version for x in [*self._masters, *head])


_TURNED = frozenset({"query", "key", "query_bias", "key_bias"})


def _ordered(name: str, master: Tensor, head: int) -> Tensor:
    return interleaved(master, head) if name in _TURNED else master


def _working(masters: BlockWeights, head: int, dtype: torch.dtype) -> BlockWeights:
    copies = {
        name: _ordered(name, x.detach(), head).to(wide_of(dtype) if "norm" in name else dtype)
        for name, x in masters._asdict().items()
        if x is not None
    }
    return BlockWeights(**copies)


def _fill(copy: Tensor, master: Tensor) -> None:
    if copy.data_ptr() != master.data_ptr():  # else the master itself is in use
        copy.copy_(master)

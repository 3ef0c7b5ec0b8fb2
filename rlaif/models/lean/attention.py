"""Attention on a CPU: causal over rectangles, forward and backward, and of new tokens to old ones.

Over rectangles it is torch's fused kernel, which leaves out what lies above the diagonal. It is
given float32 at least: in bfloat16 its backward pass takes three times as long, and plain products
would have torch compile a kernel for each new shape, of which there are many (docs/LOG.md measures
both).

Queries come scaled by 1 / sqrt(head width).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_NO_DROPOUT, _CAUSAL = 0.0, True
SCORES_AT_ONCE = 2**21


class Attended(NamedTuple):
    """What attention gives, and the logarithm of each softmax's sum, for the backward pass."""

    mixed: Float[Tensor, "rows tokens heads head"]
    normaliser: Float[Tensor, "rows tokens heads"]


class AttentionGrads(NamedTuple):
    """Gradients with respect to what attention was given."""

    query: Float[Tensor, "rows tokens heads head"]
    key: Float[Tensor, "rows tokens key_heads head"]
    value: Float[Tensor, "rows tokens key_heads head"]


def attend_causally(
    query: Float[Tensor, "rows tokens heads head"],
    key: Float[Tensor, "rows tokens key_heads head"],
    value: Float[Tensor, "rows tokens key_heads head"],
) -> Attended:
    """Let each token of a row attend to those up to itself; a key head serves heads in a row."""
    group = query.shape[2] // key.shape[2]
    q, k, v = _by_head(query), _by_head(key, group), _by_head(value, group)
    mixed, normaliser = _forward(q, k, v, _NO_DROPOUT, _CAUSAL, scale=1.0)
    return Attended(mixed.transpose(1, 2), normaliser.transpose(1, 2))


def attend_causally_backward(
    grad: Float[Tensor, "rows tokens heads head"],
    found: Attended,
    query: Float[Tensor, "rows tokens heads head"],
    key: Float[Tensor, "rows tokens key_heads head"],
    value: Float[Tensor, "rows tokens key_heads head"],
) -> AttentionGrads:
    """Gradients of `attend_causally`, given the gradient of its result and the result itself."""
    group = query.shape[2] // key.shape[2]
    q, k, v = _by_head(query), _by_head(key, group), _by_head(value, group)
    upper, mixed = (_by_head(x.to(query.dtype)) for x in (grad, found.mixed))
    normaliser = found.normaliser.transpose(1, 2).contiguous()
    grads = _backward(upper, q, k, v, mixed, normaliser, _NO_DROPOUT, _CAUSAL, scale=1.0)
    own, *shared = (x.transpose(1, 2) for x in grads)
    summed = (x.unflatten(2, (-1, group)).sum(3) for x in shared) if group > 1 else shared
    return AttentionGrads(own, *summed)


def attend(
    query: Float[Tensor, "slices queries head"],
    key: Float[Tensor, "slices keys head"],
    value: Float[Tensor, "slices keys head"],
    bias: Float[Tensor, "slices queries keys"] | None,
) -> Float[Tensor, "slices queries head"]:
    """Return softmax(query key' + bias) value, in the type of the queries.

    Args:
        query: Those of the heads that share one key head side by side; a slice is one key head of
            one row.
        key: Keys, wide.
        value: Values, wide.
        bias: 0 where a query may look and very low where it may not; None: anywhere.
    """
    at_once = max(1, SCORES_AT_ONCE // (query.shape[1] * key.shape[1]))
    found = torch.empty_like(query)
    for start in range(0, len(query), at_once):
        part = slice(start, start + at_once)
        wide, keys = query[part].to(key.dtype), key[part].mT
        scores = wide @ keys if bias is None else torch.baddbmm(bias[part], wide, keys)
        found[part] = scores.softmax(-1) @ value[part]
    return found


def _by_head(x: Tensor, group: int = 1) -> Tensor:
    """[rows, tokens, heads, head] -> [rows, heads * group, tokens, head]."""
    return (x if group == 1 else x.repeat_interleave(group, dim=2)).transpose(1, 2)

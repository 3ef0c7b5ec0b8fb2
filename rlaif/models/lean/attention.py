"""Causal attention over rectangles, forward and backward, as plain batched matrix products.

On a CPU torch's fused attention is slow backwards in bfloat16 (on the machine of docs/LOG.md five
times slower than the products written out), so they are written out here, a slice of heads at a
time: scores exist for one slice only and are computed again in the backward pass. They run in
float32 at least: for bfloat16 torch would compile a kernel for each new shape, and shapes here are
many (ibid.).

Queries come scaled by 1 / sqrt(head width), and with the heads that share one key head side by
side: [slices, group * tokens, head width], where a slice is one key head of one row.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SLICE_NUMBERS = 2**21


class AttentionGrads(NamedTuple):
    """Gradients with respect to what `attend` was given."""

    query: Float[Tensor, "slices queries head"]
    key: Float[Tensor, "slices keys head"]
    value: Float[Tensor, "slices keys head"]


def causal_bias(tokens: int, group: int, dtype: torch.dtype) -> Float[Tensor, "1 queries keys"]:
    """Return 0 where a query may look and -inf where it may not: at later tokens.

    Args:
        tokens: Tokens of a row.
        group: Query heads that share a key head.
        dtype: Type of queries, keys and values; the scores' own is float32 at least.
    """
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    bias = torch.zeros(tokens, tokens, dtype=wide).masked_fill_(later, -torch.inf)
    return bias.repeat(group, 1).unsqueeze(0)


def attend(
    query: Float[Tensor, "slices queries head"],
    key: Float[Tensor, "slices keys head"],
    value: Float[Tensor, "slices keys head"],
    bias: Float[Tensor, "#slices #queries keys"] | None,
) -> Float[Tensor, "slices queries head"]:
    """Return softmax(query key' + bias) value, in the type of the queries; the bias is wide."""
    found = torch.empty_like(query)
    for part in _slices(query, key):
        q, k, v = (_wide(x[part]) for x in (query, key, value))
        found[part] = _weights(q, k, _of(bias, part)) @ v
    return found


def attend_backward(
    grad: Float[Tensor, "slices queries head"],
    found: Float[Tensor, "slices queries head"],
    query: Float[Tensor, "slices queries head"],
    key: Float[Tensor, "slices keys head"],
    value: Float[Tensor, "slices keys head"],
    bias: Float[Tensor, "#slices #queries keys"],
) -> AttentionGrads:
    """Gradients of `attend`, given the gradient of its result and the result itself.

    With P the weights: dV = P' dO; dS = P * (dO V' - rowsum(dO * O)); dQ = dS K; dK = dS' Q (Dao et
    al. 2022, "FlashAttention", appendix B.2).
    """
    grads = AttentionGrads(*(torch.empty_like(x) for x in (query, key, value)))
    for part in _slices(query, key):
        upper, o, q, k, v = (_wide(x[part]) for x in (grad, found, query, key, value))
        weights = _weights(q, k, _of(bias, part))
        grads.value[part] = weights.mT @ upper
        mean = (upper * o).sum(-1, keepdim=True)
        slope = (upper @ v.mT).sub_(mean).mul_(weights)
        grads.query[part] = slope @ k
        grads.key[part] = slope.mT @ q
    return grads


def _weights(query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
    scores = query @ key.mT if bias is None else torch.baddbmm(bias, query, key.mT)
    return scores.softmax(-1)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _slices(query: Tensor, key: Tensor) -> Iterator[slice]:
    """Cut the slices so that the scores of a run of them stay in the processor's cache."""
    at_once = max(1, SLICE_NUMBERS // (query.shape[1] * key.shape[1]))
    for start in range(0, len(query), at_once):
        yield slice(start, start + at_once)


def _of(bias: Tensor | None, part: slice) -> Tensor | None:
    return bias if bias is None or len(bias) == 1 else bias[part]

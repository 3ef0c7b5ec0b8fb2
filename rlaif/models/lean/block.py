"""One decoder block of the Llama family, forward and backward, on a bare list of tokens.

    h = x + attention(norm(x)) W_o;   y = h + (silu(norm(h) W_gate) * norm(h) W_up) W_down

(Touvron et al. 2023, "LLaMA"; Zhang and Sennrich 2019 for the norm; Su et al. 2021 for the
rotation.) The residual stream and the norms are float32, matrix products run in the type of the
working copies. Written out, the backward pass keeps nothing that is cheap to compute again, and
stays in the computing type between two products.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import silu

from rlaif.models.lean.attention import attend, attend_backward, causal_bias
from rlaif.models.lean.layout import Bucket
from rlaif.models.lean.weights import BlockWeights, Sizes, halved


@dataclass(frozen=True)
class Rotation:
    """Each token's turn as complex numbers [tokens, 1, head width / 2].

    Those of the queries are multiplied by 1 / sqrt(head width): scores come scaled for nothing.
    """

    query: Tensor
    key: Tensor


@dataclass(frozen=True)
class Plan:
    """What all blocks of a pass share.

    Attributes:
        sizes: The model's.
        buckets: The rectangles of the token list.
        rotation: Of the list's positions.
    """

    sizes: Sizes
    buckets: tuple[Bucket, ...]
    rotation: Rotation


class Kept(NamedTuple):
    """What the backward pass needs of the forward pass."""

    inputs: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    attended: Tensor
    middle: Tensor
    gate: Tensor
    up: Tensor


def block_forward(
    x: Tensor, weights: BlockWeights, plan: Plan, wanted: Tensor | None
) -> tuple[Tensor, Kept]:
    """Run a block.

    Args:
        x: Residual stream [tokens, width].
        weights: The block's working copies.
        plan: What all blocks share.
        wanted: Places whose output is wanted, in order; None for all. Only the last block of a
            model may leave places out.

    Returns:
        The residual stream [wanted, width], and what the backward pass needs.
    """
    query, key, value = project_heads(
        normed(x, weights.attention_norm, weights, plan), weights, plan
    )
    attended = torch.empty_like(query)
    for bucket in plan.buckets:
        q, k, v = (_slice(part[bucket.span], bucket, plan.sizes) for part in (query, key, value))
        bias = causal_bias(bucket.width, plan.sizes.group, query.dtype)
        attended[bucket.span] = _unslice(attend(q, k, v, bias), bucket, plan.sizes)
    attended = attended.flatten(1)
    mixed, stream = (attended, x) if wanted is None else (attended[wanted], x[wanted])
    middle = stream + mixed @ weights.out.T
    y, gate, up = feed_forward(middle, weights, plan)
    return y, Kept(x, query, key, value, attended, middle, gate, up)


def project_heads(fed: Tensor, weights: BlockWeights, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    """Return turned queries and keys, and values: [tokens, heads, head width] each."""
    query, key, value = (
        _projected(fed, matrix, bias).unflatten(-1, (-1, plan.sizes.head))
        for matrix, bias in (
            (weights.query, weights.query_bias),
            (weights.key, weights.key_bias),
            (weights.value, weights.value_bias),
        )
    )
    return turn(query, plan.rotation.query), turn(key, plan.rotation.key), value


def feed_forward(
    middle: Tensor, weights: BlockWeights, plan: Plan
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the residual stream after the feed-forward half, and its gate and inputs."""
    fed = normed(middle, weights.feed_norm, weights, plan)
    gate, up = fed @ weights.gate.T, fed @ weights.up.T
    return middle + silu(gate).mul_(up) @ weights.down.T, gate, up


def turn(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each head [tokens, heads, head width], neighbours as complex numbers, by its angles."""
    wide = x.to(angles.real.dtype).unflatten(-1, (-1, 2))
    return torch.view_as_real(torch.view_as_complex(wide) * angles).flatten(-2).to(x.dtype)


def normed(x: Tensor, norm: Tensor, weights: BlockWeights, plan: Plan) -> Tensor:
    """Return the root-mean-square norm of the residual stream, in the computing type."""
    return torch.rms_norm(x, (x.shape[-1],), norm, plan.sizes.epsilon).to(weights.out.dtype)


def block_backward(
    grad: Tensor, kept: Kept, weights: BlockWeights, plan: Plan, wanted: Tensor | None
) -> tuple[Tensor, BlockWeights]:
    """Return the gradients with respect to `x` and to the masters."""
    middle_grad, feed = _feed_backward(grad, kept, weights, plan)
    half = middle_grad.to(weights.out.dtype)
    mixed = kept.attended if wanted is None else kept.attended[wanted]
    places = len(kept.inputs)
    attended = _everywhere(half @ weights.out, places, wanted)
    heads = _heads_backward(attended, kept, plan)
    fed = normed(kept.inputs, weights.attention_norm, weights, plan)
    inputs = heads[0] @ weights.query
    for part, matrix in zip(heads[1:], (weights.key, weights.value), strict=True):
        inputs = torch.addmm(inputs, part, matrix)
    x_grad, attention_norm = _norm_backward(inputs, kept.inputs, weights.attention_norm, plan)
    query, key, value = (part.T @ fed for part in heads)
    width = plan.sizes.head
    grads = feed._replace(
        attention_norm=attention_norm,
        query=halved(query, width),
        key=halved(key, width),
        value=value,
        out=half.T @ mixed,
    )
    if weights.query_bias is not None:
        of_query, of_key, of_value = (part.sum(0, dtype=grad.dtype) for part in heads)
        grads = grads._replace(
            query_bias=halved(of_query, width), key_bias=halved(of_key, width), value_bias=of_value
        )
    return x_grad.add_(_everywhere(middle_grad, places, wanted)), grads


def _feed_backward(
    grad: Tensor, kept: Kept, weights: BlockWeights, plan: Plan
) -> tuple[Tensor, BlockWeights]:
    """Backward through the feed-forward half: gradients of `middle` and of its weights."""
    half = grad.to(weights.down.dtype)
    act = half @ weights.down
    opened = silu(kept.gate)
    up_grad = act * opened
    down = half.T @ opened.mul_(kept.up)
    gate_grad = torch.ops.aten.silu_backward(act.mul_(kept.up), kept.gate)
    fed = normed(kept.middle, weights.feed_norm, weights, plan)
    inputs = torch.addmm(gate_grad @ weights.gate, up_grad, weights.up)
    back, norm = _norm_backward(inputs, kept.middle, weights.feed_norm, plan)
    nothing = fed.new_empty(0)
    return back.add_(grad), BlockWeights(
        nothing, nothing, nothing, nothing, nothing,
        feed_norm=norm, gate=gate_grad.T @ fed, up=up_grad.T @ fed, down=down,
    )  # fmt: skip


def _heads_backward(grad: Tensor, kept: Kept, plan: Plan) -> list[Tensor]:
    """Gradients [tokens, width] of queries, keys and values before their turn."""
    sizes = plan.sizes
    kept_heads = (kept.query, kept.key, kept.value)
    found = [torch.empty_like(x) for x in kept_heads]
    flat = [x.unflatten(-1, (-1, sizes.head)) for x in (grad, kept.attended)]
    for bucket in plan.buckets:
        upper, attended, q, k, v = (
            _slice(x[bucket.span], bucket, sizes) for x in (*flat, *kept_heads)
        )
        bias = causal_bias(bucket.width, sizes.group, grad.dtype)
        grads = attend_backward(upper, attended, q, k, v, bias)
        for place, part in zip(found, grads, strict=True):
            place[bucket.span] = _unslice(part, bucket, sizes)
    query, key, value = found
    turned = (turn(query, plan.rotation.query.conj()), turn(key, plan.rotation.key.conj()), value)
    return [x.flatten(1) for x in turned]


def _projected(x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    return torch.nn.functional.linear(x, matrix, bias)


def _slice(x: Tensor, bucket: Bucket, sizes: Sizes) -> Tensor:
    """[places, heads, head width] -> [rows * key heads, heads per key head * width, head width]."""
    rows: Tensor = x.unflatten(0, (bucket.rows, bucket.width))
    return rows.transpose(1, 2).reshape(bucket.rows * sizes.key_heads, -1, sizes.head)


def _unslice(x: Tensor, bucket: Bucket, sizes: Sizes) -> Tensor:
    rows = x.reshape(bucket.rows, -1, bucket.width, sizes.head).transpose(1, 2)
    return rows.reshape(bucket.rows * bucket.width, -1, sizes.head)


def _norm_backward(grad: Tensor, x: Tensor, weight: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """Gradients of the norm: with n = x / rms, dx = (g w - n mean(g w n)) / rms, dw = sum(g n)."""
    wide = grad.to(x.dtype)
    scale = (x.square().mean(-1, keepdim=True) + plan.sizes.epsilon).rsqrt()
    unit = x * scale
    weight_grad = (wide * unit).sum(0)
    inner = wide * weight
    mean = (inner * unit).mean(-1, keepdim=True)
    return inner.sub_(unit.mul_(mean)).mul_(scale), weight_grad


def _everywhere(x: Tensor, places: int, wanted: Tensor | None) -> Tensor:
    """Put rows back to where they were taken from, zeros elsewhere."""
    if wanted is None:
        return x
    return x.new_zeros(places, x.shape[-1]).index_copy_(0, wanted, x)

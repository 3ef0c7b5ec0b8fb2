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

from rlaif.models.lean.attention import Attended, attend_causally, attend_causally_backward
from rlaif.models.lean.layout import Bucket
from rlaif.models.lean.pairs import BlockPairs
from rlaif.models.lean.products import Layer, Slope, product, product_back, product_slope
from rlaif.models.lean.weights import BlockWeights, Sizes


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
    normaliser: Tensor
    middle: Tensor
    gate: Tensor
    up: Tensor


def block_forward(
    x: Tensor, layer: Layer, plan: Plan, wanted: Tensor | None
) -> tuple[Tensor, Kept]:
    """Run a block.

    Args:
        x: Residual stream [tokens, width].
        layer: The block's working copies.
        plan: What all blocks share.
        wanted: What is wanted of its output; None for all.

    Returns:
        The residual stream [wanted, width], and what the backward pass needs.
    """
    fed = normed(x, layer.weights.attention_norm, layer, plan)
    heads = project_heads(fed, layer, plan)
    found = [attend_causally(*(_rows(x, bucket) for x in heads)) for bucket in plan.buckets]
    attended = _end_to_end([part.mixed.flatten(2).to(fed.dtype) for part in found])
    normaliser = _end_to_end([part.normaliser for part in found])
    mixed, stream = _only(attended, wanted), _only(x, wanted)
    middle = stream + product(layer, "out", mixed)
    y, gate, up = feed_forward(middle, layer, plan)
    return y, Kept(x, *heads, attended, normaliser, middle, gate, up)


def project_heads(fed: Tensor, layer: Layer, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    """Return turned queries and keys, and values: wide [tokens, heads, head width] each."""
    wide = plan.rotation.key.real.dtype
    query, key, value = (
        product(layer, name, fed, bias).to(wide).unflatten(-1, (-1, plan.sizes.head))
        for name, bias in _biases(layer)
    )
    return turn_(query, plan.rotation.query), turn_(key, plan.rotation.key), value


def feed_forward(middle: Tensor, layer: Layer, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    """Return the residual stream after the feed-forward half, and its gate and inputs."""
    fed = normed(middle, layer.weights.feed_norm, layer, plan)
    gate, up = product(layer, "gate", fed), product(layer, "up", fed)
    return middle + product(layer, "down", silu(gate).mul_(up)), gate, up


def turn_(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each head [tokens, heads, head width], in place, by its angles.

    Neighbours count as one complex number.
    """
    torch.view_as_complex(x.unflatten(-1, (-1, 2))).mul_(angles)
    return x


def normed(x: Tensor, norm: Tensor, layer: Layer, plan: Plan) -> Tensor:
    """Return the root-mean-square norm of the residual stream, in the computing type."""
    return (x * _per_root_mean_square(x, plan)).mul_(norm).to(layer.weights.out.dtype)


def block_backward(
    grad: Tensor, kept: Kept, layer: Layer, plan: Plan, wanted: Tensor | None
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the gradient with respect to `x`, and those of what is trained.

    The latter are in the order of `BlockWeights`; where an adapter is worn, of its `leaves`.
    """
    weights, slopes = layer.weights, _Slopes(layer, plan)
    middle_grad, feed_norm = _feed_backward(grad, kept, slopes)
    half = middle_grad.to(weights.out.dtype)
    places = len(kept.inputs)
    slopes.add("out", half, _only(kept.attended, wanted))
    attended = _everywhere(product_back(layer, "out", half), places, wanted)
    heads = _heads_backward(attended, kept, plan)
    fed = normed(kept.inputs, weights.attention_norm, layer, plan)
    for part, (name, bias) in zip(heads, _biases(layer), strict=True):
        slopes.add(name, part, fed, biased=bias is not None)
    inputs = product_back(layer, "query", heads[0])
    inputs = product_back(layer, "key", heads[1], inputs)
    inputs = product_back(layer, "value", heads[2], inputs)
    x_grad, attention_norm = _norm_backward(inputs, kept.inputs, weights.attention_norm, plan)
    return (
        x_grad.add_(_everywhere(middle_grad, places, wanted)),
        slopes.in_order(attention_norm, feed_norm),
    )


def _feed_backward(grad: Tensor, kept: Kept, slopes: "_Slopes") -> tuple[Tensor, Tensor]:
    """Backward through the feed-forward half: gradients of `middle` and of its norm."""
    layer, plan = slopes.layer, slopes.plan
    half = grad.to(layer.weights.down.dtype)
    act = product_back(layer, "down", half)
    opened = silu(kept.gate)
    up_grad = act * opened
    slopes.add("down", half, opened.mul_(kept.up))
    gate_grad = torch.ops.aten.silu_backward(act.mul_(kept.up), kept.gate)
    fed = normed(kept.middle, layer.weights.feed_norm, layer, plan)
    slopes.add("gate", gate_grad, fed)
    slopes.add("up", up_grad, fed)
    inputs = product_back(layer, "up", up_grad, product_back(layer, "gate", gate_grad))
    back, norm = _norm_backward(inputs, kept.middle, layer.weights.feed_norm, plan)
    return back.add_(grad), norm


class _Slopes:
    """Gathers a block's gradients and puts them into the order in which autograd wants them."""

    def __init__(self, layer: Layer, plan: Plan) -> None:
        self.layer = layer
        self.plan = plan
        self._found: dict[str, Slope | None] = {}

    def add(self, name: str, grad: Tensor, x: Tensor, *, biased: bool = False) -> None:
        """Take the gradients of one product."""
        head = self.plan.sizes.head
        self._found[name] = product_slope(self.layer, name, grad, x, head, biased=biased)

    def in_order(self, attention_norm: Tensor, feed_norm: Tensor) -> list[Tensor | None]:
        """Return all gradients."""
        if self.layer.pairs is not None:
            slopes = (self._found[name] for name in BlockPairs._fields)
            return [x for slope in slopes if slope is not None for x in slope]
        of = {name: slope.first for name, slope in self._found.items() if slope is not None}
        biases = {f"{name}_bias": slope.second for name, slope in self._found.items() if slope}
        of |= {"attention_norm": attention_norm, "feed_norm": feed_norm}
        return [of.get(name, biases.get(name)) for name in BlockWeights._fields]


def _biases(layer: Layer) -> tuple[tuple[str, Tensor | None], ...]:
    weights = layer.weights
    return (
        ("query", weights.query_bias),
        ("key", weights.key_bias),
        ("value", weights.value_bias),
    )


def _heads_backward(grad: Tensor, kept: Kept, plan: Plan) -> list[Tensor]:
    """Gradients [tokens, width] of queries, keys and values before their turn."""
    mixed = kept.attended.unflatten(-1, (-1, plan.sizes.head))
    upper = grad.unflatten(-1, (-1, plan.sizes.head))
    found = []
    for bucket in plan.buckets:
        above, own, *rest = (
            _rows(x, bucket)
            for x in (upper, mixed, kept.normaliser, kept.query, kept.key, kept.value)
        )
        found.append(attend_causally_backward(above, Attended(own, rest[0]), *rest[1:]))
    query, key, value = (_end_to_end(list(parts)) for parts in zip(*found, strict=True))
    turn_(query, plan.rotation.query.conj())
    turn_(key, plan.rotation.key.conj())
    return [x.flatten(1).to(grad.dtype) for x in (query, key, value)]


def _end_to_end(parts: list[Tensor]) -> Tensor:
    """[rows, width, ...] of each bucket -> [places, ...]."""
    flat = [part.flatten(0, 1) for part in parts]
    return flat[0] if len(flat) == 1 else torch.cat(flat)


def _only(x: Tensor, wanted: Tensor | None) -> Tensor:
    return x if wanted is None else x[wanted]


def _rows(x: Tensor, bucket: Bucket) -> Tensor:
    """[places, ...] -> the bucket's [rows, width, ...], in place."""
    rows: Tensor = x[bucket.span].unflatten(0, (bucket.rows, bucket.width))
    return rows


def _per_root_mean_square(x: Tensor, plan: Plan) -> Tensor:
    """1 / rms [tokens, 1], in one pass over the residual stream: torch's norm takes several."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    found: Tensor = length.square_().div_(x.shape[-1]).add_(plan.sizes.epsilon).rsqrt_()
    return found


def _norm_backward(grad: Tensor, x: Tensor, weight: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """Gradients of the norm: with n = x / rms, dx = (g w - n mean(g w n)) / rms, dw = sum(g n)."""
    wide = grad.to(x.dtype, copy=True)
    scale = _per_root_mean_square(x, plan)
    both = wide * x
    weight_grad = both.mT @ scale.squeeze(-1)
    mean = (both @ weight).unsqueeze(-1).mul_(scale).div_(x.shape[-1])
    inner = wide.mul_(weight).mul_(scale)
    return inner.addcmul_(x, mean.mul_(scale).mul_(scale), value=-1), weight_grad


def _everywhere(x: Tensor, places: int, wanted: Tensor | None) -> Tensor:
    """Put rows back to where they were taken from, zeros elsewhere."""
    if wanted is None:
        return x
    return x.new_zeros(places, x.shape[-1]).index_copy_(0, wanted, x)

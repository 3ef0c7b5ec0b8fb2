"""The matrix products of a block, forward and backward, with and without an adapter."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from rlaif.models.lean.pairs import TURNED, BlockPairs, Pair
from rlaif.models.lean.weights import BlockWeights, halved, wide_of


class Layer(NamedTuple):
    """A block's weights, and the adapter that is worn on them.

    Attributes:
        weights: Working copies.
        pairs: Working copies of the adapter; None for the bare block, whose weights may be trained.
    """

    weights: BlockWeights
    pairs: BlockPairs | None = None

    def pair(self, name: str) -> Pair | None:
        """The adapter of one of the matrices, if there is any."""
        found: Pair | None = None if self.pairs is None else getattr(self.pairs, name)
        return found


class Slope(NamedTuple):
    """Gradients with respect to a matrix and its bias, or to its adapter's two matrices."""

    first: Tensor
    second: Tensor | None = None


def product(layer: Layer, name: str, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W^T + bias, and the adapter's share.

    Args:
        layer: The block.
        name: Which matrix [out, in].
        x: [tokens, in].
        bias: [out].
    """
    found = linear(x, getattr(layer.weights, name), bias)
    pair = layer.pair(name)
    return found if pair is None else found.addmm_(x @ pair.down.T, pair.up.T)


def product_back(layer: Layer, name: str, grad: Tensor, onto: Tensor | None = None) -> Tensor:
    """Return the gradient with respect to what a product took.

    Args:
        layer: The block.
        name: Which matrix [out, in].
        grad: Gradient of the product [tokens, out].
        onto: Where given, is added [tokens, in].
    """
    matrix = getattr(layer.weights, name)
    found = grad @ matrix if onto is None else torch.addmm(onto, grad, matrix)
    pair = layer.pair(name)
    return found if pair is None else found.addmm_(grad @ pair.up, pair.down)


def product_slope(
    layer: Layer, name: str, grad: Tensor, x: Tensor, head: int, *, biased: bool = False
) -> Slope | None:
    """Return the gradients of what is trained; None where that is nothing.

    Args:
        layer: The block.
        name: Which matrix [out, in].
        grad: Gradient of the product [tokens, out].
        x: What it took [tokens, in].
        head: Width of a head: gradients of turned matrices come in the masters' order.
        biased: Whether a bias was added.
    """
    turned = name in TURNED
    if layer.pairs is None:
        matrix, bias = grad.T @ x, grad.sum(0, dtype=wide_of(grad.dtype)) if biased else None
        if turned:
            matrix, bias = halved(matrix, head), None if bias is None else halved(bias, head)
        return Slope(matrix, bias)
    pair = layer.pair(name)
    if pair is None:
        return None
    up = (grad.T @ (x @ pair.down.T)).mul_(pair.scale)
    return Slope((grad @ pair.up).T @ x, halved(up, head) if turned else up)

"""Lessons that begin alike, packed into one tree so that their common beginning is read once.

Each token of a tree sees only its ancestors and has its depth as position, so every lesson gets
the loss that it would get alone.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from rlaif.bundled.training import TYPICAL_TOKENS, Sequence


@dataclass(frozen=True)
class Tree:
    """Token sequences merged where they begin alike; a parent stands before its children.

    Attributes:
        ids: Token of each node.
        parents: Index of each node's parent; -1 for the root.
        depths: Number of ancestors of each node: its position.
        weights: How much predicting each node from its parent counts.
    """

    ids: list[int]
    parents: list[int]
    depths: list[int]
    weights: list[float]


def merge(sequences: list[Sequence]) -> Tree:
    """Merge sequences that begin with the same token; equal beginnings must weigh the same."""
    tree = Tree([], [], [], [])
    places: dict[tuple[int, int], int] = {}
    for sequence in sequences:
        parent = -1
        for depth, (token, weight) in enumerate(zip(sequence.ids, sequence.weights, strict=True)):
            known = places.get((parent, token))
            if known is None:
                known = len(tree.ids)
                places[parent, token] = known
                tree.ids.append(token)
                tree.parents.append(parent)
                tree.depths.append(depth)
                tree.weights.append(weight)
            parent = known
    return tree


def ancestry(tree: Tree, width: int) -> torch.Tensor:
    """Return the mask [width, width]: True where the row's node sees the column's node.

    Rows past the tree see themselves only, so that no row is empty.
    """
    sees = torch.eye(width, dtype=torch.bool)
    for node, parent in enumerate(tree.parents):
        if parent >= 0:
            sees[node] |= sees[parent]
    return sees


def tree_loss(model: LlamaForCausalLM, trees: list[Tree]) -> torch.Tensor:
    """Return the weighted cross-entropy in nats, over twenty times the number of trees."""
    width = max(len(tree.ids) for tree in trees)
    ids, positions, hidden_at, targets, weights = [], [], [], [], []
    for row, tree in enumerate(trees):
        spare = [0] * (width - len(tree.ids))
        ids.append(tree.ids + spare)
        positions.append(tree.depths + spare)
        counted = [node for node, weight in enumerate(tree.weights) if weight > 0]
        hidden_at += [row * width + tree.parents[node] for node in counted]
        targets += [tree.ids[node] for node in counted]
        weights += [tree.weights[node] for node in counted]
    sees = torch.stack([ancestry(tree, width) for tree in trees])[:, None]
    mask = torch.zeros(sees.shape).masked_fill_(~sees, torch.finfo(torch.float32).min)
    hidden = model.model(
        input_ids=torch.tensor(ids),
        position_ids=torch.tensor(positions),
        attention_mask=mask,
        use_cache=False,
    ).last_hidden_state
    chosen = hidden.flatten(0, 1)[torch.tensor(hidden_at)]
    losses = cross_entropy(model.lm_head(chosen).float(), torch.tensor(targets), reduction="none")
    return (losses * torch.tensor(weights)).sum() / (TYPICAL_TOKENS * len(trees))

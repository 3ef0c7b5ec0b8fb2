"""Lessons in a tree are worth exactly what they are worth alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import log_softmax

from rlaif.bundled.training import TYPICAL_TOKENS, Sequence, new_model
from rlaif.bundled.trees import Tree, ancestry, merge, tree_loss
from rlaif.seeds import seed_everything


def told(start: int, *ids: int) -> Sequence:
    """Return a sequence whose tokens from ``start`` on count."""
    return Sequence(list(ids), [0.0] * start + [1.0] * (len(ids) - start))


def test_a_common_beginning_is_kept_once() -> None:
    tree = merge([told(3, 2, 5, 6, 7), told(3, 2, 5, 8, 7), told(2, 2, 9, 7)])
    assert tree == Tree(
        ids=[2, 5, 6, 7, 8, 7, 9, 7],
        parents=[-1, 0, 1, 2, 1, 4, 0, 6],
        depths=[0, 1, 2, 3, 2, 3, 1, 2],
        weights=[0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
    )


def test_a_node_sees_its_ancestors_and_itself_only() -> None:
    tree = merge([told(1, 2, 5, 6), told(1, 2, 7)])
    expected = [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]
    assert ancestry(tree, 5).int().tolist() == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(2, 5), min_size=1, max_size=6), min_size=1, max_size=5))
def test_every_sequence_is_a_path_of_the_tree(rows: list[list[int]]) -> None:
    tree = merge([Sequence([1, *row], [0.0] * (len(row) + 1)) for row in rows])
    paths = set()
    for node in range(len(tree.ids)):
        path, at = [], node
        while at >= 0:
            path.append(tree.ids[at])
            at = tree.parents[at]
        assert len(path) == tree.depths[node] + 1
        paths.add(tuple(reversed(path)))
    assert {(1, *row) for row in rows} <= paths
    assert len(paths) == len(tree.ids)


def test_the_loss_of_a_tree_is_the_sum_of_its_sequences() -> None:
    seed_everything(4)
    model = new_model(32, 0, 1)
    first = [told(2, 2, 5, 6, 7), told(3, 2, 5, 8, 9, 10, 11)]
    second = [told(1, 2, 20, 21)]
    expected = 0.0
    for sequence in [*first, *second]:
        ids = torch.tensor([sequence.ids])
        logs = log_softmax(model(input_ids=ids).logits[0].detach().double(), dim=-1)
        for place, weight in enumerate(sequence.weights):
            if weight:
                expected -= float(logs[place - 1, sequence.ids[place]])
    loss = tree_loss(model, [merge(first), merge(second)]).item()
    assert loss == pytest.approx(expected / (2 * TYPICAL_TOKENS), rel=1e-4)

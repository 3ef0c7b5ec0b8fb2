"""Rows grouped by direction: the largest first, all in one group, the same every time."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.cli.critiques.clusters import clusters
from rlaif.cli.critiques.vectors import Floats
from rlaif.seeds import numpy_generator


def blobs(counts: Sequence[int], seed: int = 7) -> tuple[Floats, list[int]]:
    """Return rows around so many far directions, shuffled, and the direction of each."""
    random = numpy_generator(seed)
    kinds = random.permutation(np.repeat(np.arange(len(counts)), counts))
    rows = np.eye(16, dtype=np.float32)[kinds] + random.normal(0, 0.02, (len(kinds), 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), kinds.tolist()


def test_groups_that_lie_apart_are_found_the_largest_first() -> None:
    rows, kinds = blobs([40, 90, 10])
    found = clusters(rows, 3, seed=1)
    assert [len(c.members) for c in found] == [90, 40, 10]
    for cluster, kind in zip(found, (1, 0, 2), strict=True):
        assert {kinds[i] for i in cluster.members} == {kind}
        mean = rows[cluster.members].mean(axis=0)
        assert cluster.centre == cluster.members[(rows[cluster.members] @ mean).argmax()]


def test_grouping_is_the_same_every_time_and_goes_beyond_the_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, _ = blobs([40, 90, 10])
    first, again = (clusters(rows, 4, seed=3) for _ in range(2))
    assert all(np.array_equal(a.members, b.members) for a, b in zip(first, again, strict=True))
    monkeypatch.setattr("rlaif.cli.critiques.clusters.SAMPLE", 60)
    monkeypatch.setattr("rlaif.cli.critiques.clusters._AT_ONCE", 7)
    assert [len(c.members) for c in clusters(rows, 3, seed=1)] == [90, 40, 10]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 6), st.integers(0, 5))
def test_every_row_is_in_one_group_and_equal_rows_in_the_same(
    kinds: list[int], count: int, seed: int
) -> None:
    rows = np.eye(4, dtype=np.float32)[kinds] if kinds else np.zeros((0, 4), np.float32)
    found = clusters(rows, count, seed)
    assert sorted(i for c in found for i in c.members.tolist()) == list(range(len(kinds)))
    assert len(found) == min(count, len(set(kinds)))
    for kind in set(kinds):
        members = {i for i, k in enumerate(kinds) if k == kind}
        assert sum(bool(members & set(c.members.tolist())) for c in found) == 1

"""Grouping vectors by meaning: spherical k-means (Dhillon and Modha 2001), the same every time."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rlaif.seeds import derive_seed, numpy_generator

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

SAMPLE = 20_000
_ROUNDS = 25
_AT_ONCE = 50_000


class Cluster(NamedTuple):
    """A group of rows.

    Attributes:
        members: Their places, ascending.
        centre: The place of the row nearest to the group's mean direction.
    """

    members: Numbers
    centre: int


def clusters(vectors: Floats, count: int, seed: int) -> list[Cluster]:
    """Group rows around ``count`` directions, the largest group first; empty groups are left out.

    Directions are sought among at most ``SAMPLE`` rows drawn by chance, and begin at rows far from
    each other (k-means++, Arthur and Vassilvitskii 2007); then every row goes to its nearest.

    Args:
        vectors: [rows, dimensions], each row of length 1.
        count: How many groups at most.
        seed: Of the draw and of the beginning.
    """
    if not len(vectors):
        return []
    random = numpy_generator(derive_seed(seed, "critique-themes"))
    drawn = np.sort(random.permutation(len(vectors))[:SAMPLE])
    sample = np.asarray(vectors[drawn], np.float32)
    centres = _begin(sample, count, random)
    for _ in range(_ROUNDS):
        nearest = (sample @ centres.T).argmax(axis=1)
        moved = _means(sample, nearest, centres)
        if np.allclose(moved, centres, atol=1e-6):
            break
        centres = moved
    nearest, alike = _nearest(vectors, centres)
    groups = [np.flatnonzero(nearest == k) for k in range(len(centres))]
    found = [Cluster(g, int(g[alike[g].argmax()])) for g in groups if len(g)]
    return sorted(found, key=lambda cluster: (-len(cluster.members), cluster.centre))


def _begin(sample: Floats, count: int, random: np.random.Generator) -> Floats:
    """Choose rows with chances as the square of their distance to those chosen before."""
    chosen = [int(random.integers(len(sample)))]
    apart = np.full(len(sample), np.inf)
    while len(chosen) < count:
        apart = np.minimum(apart, np.maximum(2 - 2 * (sample @ sample[chosen[-1]]), 0))
        apart[apart < 1e-6] = 0  # equal rows, but for rounding
        if not apart.any():
            break
        chosen.append(int(random.choice(len(sample), p=apart / apart.sum())))
    return sample[chosen]


def _means(sample: Floats, nearest: npt.NDArray[np.intp], centres: Floats) -> Floats:
    """Return each group's mean direction; a group without rows, or whose rows cancel, stays."""
    moved = centres.copy()
    for k in range(len(centres)):
        total = sample[nearest == k].sum(axis=0)
        length = np.linalg.norm(total)
        if length > 0:
            moved[k] = total / length
    return moved


def _nearest(vectors: Floats, centres: Floats) -> tuple[Numbers, Floats]:
    """Return each row's nearest direction and its cosine with it."""
    nearest = np.empty(len(vectors), np.int64)
    alike = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _AT_ONCE):
        scores = np.asarray(vectors[start : start + _AT_ONCE]) @ centres.T
        nearest[start : start + _AT_ONCE] = scores.argmax(axis=1)
        alike[start : start + _AT_ONCE] = scores.max(axis=1)
    return nearest, alike

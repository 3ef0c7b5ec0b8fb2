"""What hangs together counts together: how much clustered observations are worth.

Several judgements of one prompt stand or fall together, so they tell less than as many of as many
prompts. How much less is the design effect (Kish 1965, "Survey sampling", section 5.4): the
variance of a mean with the observations of a cluster summed (Liang & Zeger 1986), over that of as
many independent ones. An interval for n independent observations is then taken at n over it.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Clusters = NDArray[np.int64]


def numbered(clusters: Sequence[Hashable] | None, count: int) -> Clusters:
    """Return the cluster of each of ``count`` observations as a number from 0, in any order.

    Args:
        clusters: The name of each one's cluster; None where each is its own.
        count: How many observations there are.

    Raises:
        ValueError: There are more of one than of the other.
    """
    if clusters is None:
        return np.arange(count)
    if len(clusters) != count:
        raise ValueError(f"{count} observations and the clusters of {len(clusters)}")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(c, len(numbers)) for c in clusters], dtype=np.int64)


def cluster_sums(values: Array, clusters: Clusters) -> Array:
    """Return the sums of observations [n, ...] over each cluster [clusters, ...]."""
    sums = np.zeros((int(clusters.max(initial=-1)) + 1, *values.shape[1:]))
    np.add.at(sums, clusters, values)
    return sums


def usual_size(clusters: Clusters) -> float:
    """Return the size of the cluster in which an observation lies, on average over these.

    It is the design effect of clusters whose observations all say the same (Kish 1965): n over it
    is the number of clusters where they are of one size, and fewer where they are not.
    """
    sizes = np.bincount(clusters)
    return float((sizes**2).sum() / sizes.sum())


def effective_size(values: Array, clusters: Clusters, extremes: tuple[float, float]) -> float:
    """Return how many independent observations tell as much of a mean as these do.

    The design effect is measured with two clusters more, of the usual size, one of them at either
    extreme (as Agresti & Coull 1998 add successes and failures to a share): few clusters, or
    observations that all say the same, do not show that nothing hangs together. Where they all do
    say the same it is that of whole clusters. It is never below 1, and 1 where each observation is
    its own cluster.

    In 144 simulations of shares (5 to 100 clusters of 3 to 10 observations, even in size or not,
    intra-cluster correlation 0 to 0.7) Wilson's interval at this size covered 93% to 100% for a
    nominal 95%, mostly 95% to 99%; at the number of observations it covered down to 40%.

    Args:
        values: The observations [n].
        clusters: The cluster of each [n].
        extremes: The least and the greatest that a cluster's mean may be expected to be.
    """
    count, sums = len(values), cluster_sums(values, clusters)
    if len(sums) == count:
        return float(count)
    size = usual_size(clusters)
    mean = (values.sum() + size * sum(extremes)) / (count + 2.0 * size)
    ends = np.array(extremes) - mean
    within = sums - np.bincount(clusters) * mean
    summed = (within**2).sum() + ((size * ends) ** 2).sum()
    alone = ((values - mean) ** 2).sum() + size * (ends**2).sum()
    return float(count / max(1.0, summed / alone))


def error_of_mean(deviations: Array, clusters: Clusters, least: float = 0.0) -> float:
    """Return the standard error of a mean, clusters being what varies (Liang & Zeger 1986).

    Args:
        deviations: Of the observations from their mean [n].
        clusters: The cluster of each [n]; two or more.
        least: What the sum of squares of clusters' sums is taken to be at least.
    """
    sums = cluster_sums(deviations, clusters)
    squares = max(float((sums**2).sum()), least)
    return math.sqrt(len(sums) / (len(sums) - 1) * squares) / len(deviations)

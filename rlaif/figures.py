"""Figures of predictions that more than one stage reports."""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlaif.clusters import effective_size, numbered
from rlaif.intervals import normal_quantile

Floats = Sequence[float] | NDArray[np.float64]
_WHOLE = 1.0 - 1e-9
_ROUNDING = 1e-9


class Correlation(NamedTuple):
    """A correlation with its interval; ``value`` is None where nothing can be told of it."""

    value: float | None
    low: float
    high: float


def calibration_error(
    predicted: Floats, labels: Floats, bins: int = 10, weights: Floats | None = None
) -> float | None:
    """Return the expected calibration error (Naeini et al. 2015; Guo et al. 2017, eq. 3).

    Pairs are put into bins of equal width by the predicted probability; the error is the mean,
    weighted by pairs, of the distance between mean prediction and mean label.

    Args:
        predicted: Predicted P(first is better).
        labels: Soft labels P(first is better).
        bins: Number of bins.
        weights: What each pair counts; one each where it is None.

    Returns:
        The error in [0, 1], or None without pairs.
    """
    probabilities = np.asarray(predicted, dtype=float)
    if not len(probabilities):
        return None
    counts = np.ones_like(probabilities) if weights is None else np.asarray(weights, dtype=float)
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    excess = np.bincount(bin_of, weights=counts * (probabilities - np.asarray(labels, dtype=float)))
    return float(np.abs(excess).sum() / counts.sum())


def correlation(left: Floats, right: Floats) -> float | None:
    """Return Pearson's correlation, or None where one of the two varies by rounding alone."""
    if len(left) < 2 or not (_varies(left) and _varies(right)):
        return None
    return float(np.clip(np.corrcoef(left, right)[0, 1], -1.0, 1.0))


def correlation_interval(
    pairs: NDArray[np.float64], clusters: Sequence[Hashable], confidence: float
) -> Correlation:
    """Return Pearson's correlation with Fisher's interval; none for fewer than four, or no spread.

    No correlation of n is surer to be far from 0 than one of n / (n + 2): that is what is left of a
    whole one where half an observation is added in each of the four corners (as Agresti & Coull
    1998 do with shares). Of observations that hang together n is their effective size, by what each
    adds to the correlation, its influence x y - r (x^2 + y^2) / 2 in standard units (Devlin,
    Gnanadesikan & Kettenring 1975), which deviates by 1 - r^2 where both are normal.

    Args:
        pairs: The observations [n, 2].
        clusters: What each hangs together with.
        confidence: Of the interval.
    """
    count = len(pairs)
    value = correlation(pairs[:, 0], pairs[:, 1]) if count > 3 else None
    if value is None:
        return Correlation(None, -1.0, 1.0)
    standard = (pairs - pairs.mean(axis=0)) / pairs.std(axis=0)
    x, y = standard[:, 0], standard[:, 1]
    deviation = 1.0 - min(abs(value), count / (count + 2)) ** 2
    influence = x * y - value * (x**2 + y**2) / 2.0
    size = effective_size(influence, numbered(clusters, count), (-deviation, deviation))
    if size <= 3.0:
        return Correlation(value, -1.0, 1.0)
    half = normal_quantile(confidence) / math.sqrt(size - 3.0)
    most = size / (size + 2.0)
    low = -1.0 if value <= -_WHOLE else math.tanh(math.atanh(min(value, most)) - half)
    high = 1.0 if value >= _WHOLE else math.tanh(math.atanh(max(value, -most)) + half)
    return Correlation(value, low, high)


def _varies(values: Floats) -> bool:
    """Tell a spread from what is left of a constant after rounding."""
    return bool(np.ptp(values) > _ROUNDING * max(1.0, float(np.abs(values).max())))

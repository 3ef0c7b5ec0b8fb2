"""Figures of predictions that more than one stage reports."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = Sequence[float] | NDArray[np.float64]


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
    """Return Pearson's correlation, or None where one of the two does not vary."""
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    return float(np.clip(np.corrcoef(left, right)[0, 1], -1.0, 1.0))

"""What a reward model is worth, measured on pairs that it never trained on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = Sequence[float] | NDArray[np.float64]


def agreement(gaps: Floats, labels: Floats) -> float | None:
    """Return the share of pairs whose reward gap is on the label's side.

    Pairs labelled 0.5 have no side and are left out; a gap of exactly 0 agrees with nothing.

    Args:
        gaps: Reward of the first minus reward of the second.
        labels: P(first is better).

    Returns:
        The share, or None where no pair has a side.
    """
    sides = np.asarray(labels, dtype=float) - 0.5
    kept = sides != 0
    if not kept.any():
        return None
    return float((np.asarray(gaps)[kept] * sides[kept] > 0).mean())


def calibration_error(predicted: Floats, labels: Floats, bins: int = 10) -> float | None:
    """Return the expected calibration error (Naeini et al. 2015; Guo et al. 2017, eq. 3).

    Pairs are put into bins of equal width by the predicted probability; the error is the mean,
    weighted by pairs, of the distance between mean prediction and mean label.

    Args:
        predicted: Predicted P(first is better).
        labels: Soft labels P(first is better).
        bins: Number of bins.

    Returns:
        The error in [0, 1], or None without pairs.
    """
    probabilities = np.asarray(predicted, dtype=float)
    if not len(probabilities):
        return None
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    excess = np.bincount(bin_of, weights=probabilities - np.asarray(labels, dtype=float))
    return float(np.abs(excess).sum() / len(probabilities))


def correlation(left: Floats, right: Floats) -> float | None:
    """Return Pearson's correlation, or None where one of the two does not vary."""
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    return float(np.clip(np.corrcoef(left, right)[0, 1], -1.0, 1.0))

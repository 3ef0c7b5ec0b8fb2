"""Shares: their bounds, and their confidence intervals."""

import math
from statistics import NormalDist


def normal_quantile(confidence: float) -> float:
    """Return z: a normal variable lies within z deviations of its mean with this probability."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def clipped(probability: float) -> float:
    """Return a probability that rounding may have put outside 0 to 1."""
    return min(max(probability, 0.0), 1.0)


def wilson(rate: float, count: float, confidence: float) -> tuple[float, float]:
    """Return the score interval of a proportion (Wilson 1927); (0, 1) for no trials.

    Args:
        rate: The share.
        count: The trials.
        confidence: Of the two-sided interval.
    """
    if count == 0:
        return 0.0, 1.0
    z = normal_quantile(confidence)
    centre = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    half /= 1 + z * z / count
    return max(0.0, centre - half), min(1.0, centre + half)

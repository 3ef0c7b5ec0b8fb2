"""The logistic function, its inverse, and logistic regression on soft outcomes."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlaif.clusters import Clusters, cluster_sums

Array = NDArray[np.float64]

NEWTON_STEPS = 100
TOLERANCE = 1e-10
HALVINGS = 30


class LogisticFit(NamedTuple):
    """A fitted regression.

    Attributes:
        coefficients: One per column of the design [k].
        covariance: Of the coefficients [k, k], whatever the outcomes' variance is.
    """

    coefficients: Array
    covariance: Array


def sigmoid(value: float) -> float:
    """Return 1 over 1 + exp(-value), safe for any size; of -v it is 1 minus that of v."""
    return 0.5 * (1.0 + math.tanh(value / 2.0))


def logit(probability: float) -> float:
    """Return the log-odds of a probability strictly between 0 and 1."""
    return math.log(probability / (1.0 - probability))


def fit_logistic(
    design: Array, target: Array, ridge: float, clusters: Clusters | None = None
) -> LogisticFit:
    """Fit P = sigmoid(design @ coefficients) by Newton's method with halved steps.

    The covariance is the sandwich H^-1 G H^-1 (Huber 1967; White 1982): soft outcomes vary less
    than coins, and this holds for both. With clusters, G is of scores summed over each (Liang &
    Zeger 1986).

    Args:
        design: Explaining variables [n, k].
        target: Outcomes in [0, 1] [n].
        ridge: Half of it times the squared coefficients is added to the loss: above 0, it keeps
            data finite that a line separates.
        clusters: The cluster of each outcome [n]; None where each is its own.
    """
    weights = np.zeros(design.shape[1])
    loss = _loss(design, target, ridge, weights)
    hessian = np.eye(design.shape[1])
    for _ in range(NEWTON_STEPS):
        p = _probabilities(design, weights)
        gradient = design.T @ (p - target) + ridge * weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + ridge * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        for _ in range(HALVINGS):
            lower = _loss(design, target, ridge, weights - step)
            if lower <= loss:
                break
            step = step / 2
        weights, loss = weights - step, lower
        if float(np.abs(step).max()) < TOLERANCE:
            break
    scores = (_probabilities(design, weights) - target)[:, None] * design
    if clusters is not None:
        scores = cluster_sums(scores, clusters)
    inverse = np.linalg.inv(hessian)
    return LogisticFit(weights, inverse @ (scores.T @ scores) @ inverse)


def _probabilities(design: Array, weights: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(design @ weights / 2.0)))


def _loss(design: Array, target: Array, ridge: float, weights: Array) -> float:
    value = design @ weights
    losses = np.logaddexp(0.0, value) - target * value
    return float(losses.sum() + ridge / 2 * weights @ weights)

"""Worths of answers from rankings: Plackett-Luce.

A ranking is drawn from the best down, each time in proportion to the worths of what is left
(Luce 1959; Plackett 1975). So P(i beats j) = worth_i / (worth_i + worth_j), whatever else there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from rlaif.errors import StageError
from rlaif.logistic import sigmoid

Array = NDArray[np.float64]

PRIOR = 0.5
MAX_STEPS = 10_000
TOLERANCE = 1e-10


@dataclass(frozen=True)
class PlackettLuce:
    """Fitted worths.

    Attributes:
        log_worths: By item, natural logarithms; 0 is the worth of the prior's stand-in.
        steps: Leaps of the fit, each of two or three rounds.
    """

    log_worths: Mapping[str, float]
    steps: int

    def p_beats(self, first: str, second: str) -> float:
        """Return P(first is ranked above second); with the two swapped, 1 minus that."""
        return sigmoid(self.log_worths[first] - self.log_worths[second])


def plackett_luce(
    rankings: Sequence[Sequence[str]],
    *,
    weights: Sequence[float] | None = None,
    prior: float = PRIOR,
) -> PlackettLuce:
    """Fit worths by an MM algorithm.

    It is that of Hunter 2004, "MM algorithms for generalized Bradley-Terry models", section 5. The
    prior keeps worths finite where an item always wins or loses: each item is taken to have won
    and lost ``prior`` comparisons against a stand-in of worth 1, which also fixes the scale. It is
    Bradley and Terry's likelihood of those comparisons, so one formula holds for all.

    Args:
        rankings: Best first; each may leave items out, and says nothing about those.
        weights: What each ranking counts, above 0; one each where it is None.
        prior: Comparisons won, and lost, above 0.

    Raises:
        StageError: A ranking names an item twice; weights or prior are not above 0; or the fit does
            not settle.
    """
    _check(rankings, weights, prior)
    data = _Rankings(rankings, weights, prior)
    logs = np.zeros(len(data.names))
    for step in range(1, MAX_STEPS + 1):
        before = logs
        logs = _leap(data, before)
        if float(np.abs(logs - before).max(initial=0.0)) < TOLERANCE:
            return PlackettLuce(dict(zip(data.names, logs.tolist(), strict=True)), step)
    raise StageError(
        f"the worths of {len(data.names)} answers did not settle in {MAX_STEPS} rounds",
        "rankings that a prior can hold together",
        "raise the prior, or rank fewer answers at once",
    )


class _Rankings:
    """Rankings as indices, like ones counted together, and what the fit asks of them."""

    def __init__(
        self, rankings: Sequence[Sequence[str]], weights: Sequence[float] | None, prior: float
    ) -> None:
        self.names = sorted({name for ranking in rankings for name in ranking})
        index = {name: place for place, name in enumerate(self.names)}
        weight_of: dict[tuple[str, ...], float] = {}
        for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
            weight_of[tuple(ranking)] = weight_of.get(tuple(ranking), 0.0) + weight
        self._prior = prior
        self._choices = [
            (np.array([index[name] for name in ranking], dtype=int), weight)
            for ranking, weight in sorted(weight_of.items())
        ]
        self._wins = np.full(len(self.names), float(prior))
        for order, weight in self._choices:
            self._wins[order[:-1]] += weight

    def improved(self, logs: Array) -> Array:
        """Return the log-worths after one round of MM: wins over the sum of 1 / choices' worths."""
        worths = np.exp(logs)
        total = 2.0 * self._prior / (worths + 1.0)
        for order, weight in self._choices:
            left = np.cumsum(worths[order][::-1])[::-1]
            share = np.zeros(len(order))
            share[:-1] = 1.0 / left[:-1]
            total[order] += weight * np.cumsum(share)
        return _rescaled(np.log(self._wins / total))

    def height(self, logs: Array) -> float:
        """Return the log-posterior, which every round raises."""
        found = self._wins @ logs - 2.0 * self._prior * np.logaddexp(0.0, logs).sum()
        for order, weight in self._choices:
            left = np.logaddexp.accumulate(logs[order][::-1])[::-1]
            found -= weight * left[:-1].sum()
        return float(found)


def _leap(data: _Rankings, logs: Array) -> Array:
    """Return the log-worths after two rounds and a leap in their direction, where that is higher.

    It is the scheme SqS3 of Varadhan & Roland 2008, "Simple and globally convergent methods for
    accelerating the convergence of any EM algorithm": where all agree, MM alone creeps.
    """
    once = data.improved(logs)
    twice = data.improved(once)
    step, bend = once - logs, twice - 2.0 * once + logs
    length = float(np.linalg.norm(step)) / max(float(np.linalg.norm(bend)), 1e-300)
    if not 1.0 < length < 1e9:
        return twice
    leapt = data.improved(_rescaled(logs + 2.0 * length * step + length**2 * bend))
    return leapt if data.height(leapt) >= data.height(twice) else twice


def _rescaled(logs: Array) -> Array:
    """Return log-worths on the scale that the prior likes best; rankings know of none.

    Without this the scale would follow in steps as small as the prior is weak.
    """
    if not len(logs) or np.ptp(logs) == 0.0:
        return np.zeros_like(logs)

    def pull(shift: float) -> float:
        return float(np.tanh((logs + shift) / 2.0).sum())

    return np.asarray(logs + brentq(pull, -logs.max(), -logs.min(), xtol=1e-14))


def _check(
    rankings: Sequence[Sequence[str]], weights: Sequence[float] | None, prior: float
) -> None:
    for ranking in rankings:
        if len(set(ranking)) < len(ranking):
            raise StageError(
                f"the ranking {' > '.join(ranking)} names an answer twice",
                "every answer at most once",
                "leave the ranking out",
            )
    if not prior > 0.0 or not all(weight > 0.0 for weight in weights or ()):
        raise StageError(
            f"prior = {prior}, weights = {weights}",
            "numbers above 0",
            "give every ranking a weight, and a prior above 0",
        )
    if weights is not None and len(weights) != len(rankings):
        raise StageError(
            f"{len(weights)} weights for {len(rankings)} rankings", "one each", "give one each"
        )

"""How far a judge can be trusted: figures of agreement and bias, each with its interval.

What is unscored is counted apart in every figure, and never scored. Observations of one cluster,
such as several judgements of one prompt, are worth fewer independent ones in every interval
(``rlaif.clusters``).
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlaif.clusters import Clusters, effective_size, numbered, usual_size
from rlaif.intervals import normal_quantile, wilson
from rlaif.logistic import fit_logistic
from rlaif.records import Probability, Record
from rlaif.sides import side

CONFIDENCE = 0.95
RIDGE = 1e-2
Array = NDArray[np.float64]
Names = Sequence[Hashable] | None
_NOTHING = 1e-12


class Proportion(Record):
    """A share with Wilson's interval.

    Attributes:
        rate: The share, None where there was nothing to count.
        low: Lower end of the interval; 0 where there was nothing to count.
        high: Upper end; 1 where there was nothing to count.
        count: What was counted.
        unscored: What was left out for want of a verdict.
    """

    rate: Probability | None
    low: Probability
    high: Probability
    count: int
    unscored: int = 0


class Estimate(Record):
    """A number with its interval.

    Attributes:
        value: The number.
        error: Its standard error in large samples; None where what was counted does not vary, so
            that nothing can be told of it.
        low: Lower end of the interval, which may lie unevenly around the number.
        high: Upper end.
    """

    value: float
    error: float | None
    low: float
    high: float


class OrderedPair(NamedTuple):
    """A judge's P(first answer is better) with the first shown first, and shown second.

    None where an order is unscored.
    """

    forward: float | None
    backward: float | None

    @property
    def mean(self) -> float | None:
        """Both orders averaged, None where either is unscored."""
        if self.forward is None or self.backward is None:
            return None
        return (self.forward + self.backward) / 2.0


class OrderFigures(Record):
    """What the order of the answers does to a judge.

    Attributes:
        consistent: Share of pairs whose better answer is the same in both orders.
        same_position: Share of pairs in which the same position wins in both orders (Lee et al.
            2023, section on position bias).
        first_position: Share of those in which it is the position shown first.
        undecided: Pairs with an even verdict in an order; they are in the counts of the first two
            shares, and on neither side.
    """

    consistent: Proportion
    same_position: Proportion
    first_position: Proportion
    undecided: int


class LengthFigures(Record):
    """How far a judge follows length.

    Attributes:
        longer: Share of decided pairs of unequal length whose longer answer is preferred.
        slope: Log-odds of a preference per deviation of the difference in length, other things
            being equal where ``quality`` was given; None where no pair differs in length.
        deviation: Root mean square of the difference in length, in its own unit.
    """

    longer: Proportion
    slope: Estimate | None
    deviation: float


def proportion(
    outcomes: Sequence[float | None],
    confidence: float = CONFIDENCE,
    clusters: Names = None,
) -> Proportion:
    """Count a share with its interval.

    Args:
        outcomes: True or False, or how far something is so, in [0, 1]; None is unscored.
        confidence: Of the interval.
        clusters: What each outcome hangs together with; None where they are independent.
    """
    numbers = numbered(clusters, len(outcomes))
    scored = [
        (float(o), n) for o, n in zip(outcomes, numbers.tolist(), strict=True) if o is not None
    ]
    rate = min(math.fsum(o for o, _ in scored) / len(scored), 1.0) if scored else None
    trials = 0.0
    if scored:
        values, own = zip(*scored, strict=True)
        trials = effective_size(np.array(values), numbered(own, len(own)), (0.0, 1.0))
    low, high = wilson(rate or 0.0, trials, confidence)
    return Proportion(
        rate=rate, low=low, high=high, count=len(scored), unscored=len(outcomes) - len(scored)
    )


def accuracy(
    said: Sequence[Hashable | None],
    truth: Sequence[Hashable],
    confidence: float = CONFIDENCE,
    clusters: Names = None,
) -> Proportion:
    """Return the share of verdicts that are right.

    Args:
        said: The judge's verdicts by item; None is unscored.
        truth: The right ones.
        confidence: Of the interval.
        clusters: What each item hangs together with; None where they are independent.
    """
    pairs = zip(said, truth, strict=True)
    return proportion([None if s is None else s == t for s, t in pairs], confidence, clusters)


def order_figures(
    pairs: Sequence[OrderedPair], confidence: float = CONFIDENCE, clusters: Names = None
) -> OrderFigures:
    """Return what the order of the answers does to a judge.

    Args:
        pairs: What it says in both orders.
        confidence: Of the intervals.
        clusters: What each pair hangs together with; None where they are independent.
    """
    names = numbered(clusters, len(pairs)).tolist()
    sides = [_sides(pair) for pair in pairs]
    placed = [n for n, both in enumerate(sides) if both is None or both[0] == -both[1] != 0]
    return OrderFigures(
        consistent=proportion(
            [None if both is None else both[0] == both[1] != 0 for both in sides], confidence, names
        ),
        same_position=proportion(
            [None if both is None else both[0] == -both[1] != 0 for both in sides],
            *(confidence, names),
        ),
        first_position=proportion(
            [None if (both := sides[n]) is None else both[0] == 1 for n in placed],
            *(confidence, [names[n] for n in placed]),
        ),
        undecided=sum(both is not None and 0 in both for both in sides),
    )


def length_figures(
    verdicts: Sequence[float | None],
    differences: Sequence[float],
    quality: Sequence[float] | None = None,
    confidence: float = CONFIDENCE,
    clusters: Names = None,
) -> LengthFigures:
    """Return how far a judge follows length, by a logistic regression without intercept.

    There is no intercept since first and second are only names: swapped, a pair says the same. A
    light ridge keeps a judge finite that always follows length.

    The interval is that of the same pairs and two more of the usual difference in length, one that
    follows length and one that does not, even in quality (as Agresti & Coull 1998 add successes
    and failures to a share): few pairs, or pairs that all say the same, are never certainty. Of
    pairs that hang together, two more clusters of the usual size. It is widened to hold the slope
    itself.

    Args:
        verdicts: P(first is better); None is unscored.
        differences: Length of the first less that of the second, in whatever unit.
        quality: What the verdict should be, P(first is better) of humans or an oracle: then the
            slope is what length does beyond it.
        confidence: Of the intervals.
        clusters: What each pair hangs together with; None where they are independent.

    Raises:
        ValueError: There are more of one than of another.
    """
    if not len(verdicts) == len(differences) == len(quality if quality is not None else verdicts):
        raise ValueError(f"{len(verdicts)} verdicts and {len(differences)} differences")
    kept = [i for i, p in enumerate(verdicts) if p is not None]
    names = numbered(clusters, len(verdicts)).tolist()
    own = numbered([names[i] for i in kept], len(kept))
    target = np.array([verdicts[i] for i in kept], dtype=np.float64)
    gap = np.array([differences[i] for i in kept], dtype=np.float64)
    followed = (target - 0.5) * gap
    deviation = float(np.sqrt(np.mean(gap**2))) if len(gap) else 0.0
    columns = [gap / deviation] if deviation else []
    if quality is not None:
        columns.append(2.0 * np.array([quality[i] for i in kept], dtype=np.float64) - 1.0)
    slope = None
    if deviation:
        slope = _slope(np.stack(columns, axis=1), target, own, confidence)
    decided = followed != 0
    longer = proportion((followed > 0)[decided].tolist(), confidence, own[decided].tolist())
    return LengthFigures(
        longer=longer.model_copy(update={"unscored": len(verdicts) - len(kept)}),
        slope=slope,
        deviation=deviation,
    )


def _slope(design: Array, target: Array, clusters: Clusters, confidence: float) -> Estimate:
    """Return the first coefficient of a regression, whose column is in deviations."""
    fit = fit_logistic(design, target, RIDGE, clusters)
    copies = math.ceil(usual_size(clusters) - _NOTHING)
    both_ways = np.zeros((2 * copies, design.shape[1]))
    both_ways[:, 0] = 1.0
    sides = np.repeat([0, 1], copies)
    wider = fit_logistic(
        np.vstack([design, both_ways]),
        np.append(target, sides),
        RIDGE,
        np.append(clusters, clusters.max() + 1 + sides),
    )
    value, centre = float(fit.coefficients[0]), float(wider.coefficients[0])
    half = normal_quantile(confidence) * math.sqrt(wider.covariance[0, 0])
    error = math.sqrt(fit.covariance[0, 0])
    return Estimate(
        value=value, error=error, low=min(value, centre - half), high=max(value, centre + half)
    )


def _sides(pair: OrderedPair) -> tuple[int, int] | None:
    if pair.forward is None or pair.backward is None:
        return None
    return side(pair.forward), side(pair.backward)

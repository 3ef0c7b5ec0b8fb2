"""How far a judge can be trusted: figures of agreement and bias, each with its interval.

What is unscored is counted apart in every figure, and never scored.
"""

import math
from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlaif.intervals import clipped, normal_quantile, wilson
from rlaif.logistic import fit_logistic
from rlaif.records import Probability, Record

CONFIDENCE = 0.95
RIDGE = 1e-2
Weighting = Literal["none", "linear", "quadratic"]
Array = NDArray[np.float64]
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


class Kappa(Record):
    """Agreement of two judges beyond chance.

    Attributes:
        observed: Share of items on which they agree (weighted, where kappa is).
        expected: The same by chance, from how often each says what.
        kappa: Cohen's kappa; None without items, or where chance alone agrees on all.
        items: Items that both scored.
        unscored: Items that one of them did not score.
    """

    observed: Proportion
    expected: Probability | None
    kappa: Estimate | None
    items: int
    unscored: int


class _Agreement(NamedTuple):
    """Agreement in a table of shares; kappa's variance is that of one item."""

    observed: float
    expected: float
    kappa: float
    variance: float


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


def proportion(outcomes: Sequence[bool | None], confidence: float = CONFIDENCE) -> Proportion:
    """Count a share with its interval; None among the outcomes is unscored."""
    scored = [outcome for outcome in outcomes if outcome is not None]
    return _share(sum(scored), len(scored), len(outcomes) - len(scored), confidence)


def accuracy(
    said: Sequence[Hashable | None], truth: Sequence[Hashable], confidence: float = CONFIDENCE
) -> Proportion:
    """Return the share of verdicts that are right.

    Args:
        said: The judge's verdicts by item; None is unscored.
        truth: The right ones.
        confidence: Of the interval.
    """
    pairs = zip(said, truth, strict=True)
    return proportion([None if s is None else s == t for s, t in pairs], confidence)


def cohen_kappa(
    first: Sequence[Hashable | None],
    second: Sequence[Hashable | None],
    levels: Sequence[Hashable] | None = None,
    weighting: Weighting = "none",
    confidence: float = CONFIDENCE,
) -> Kappa:
    """Return Cohen's kappa of two judges (Cohen 1960; weighted, Cohen 1968).

    The error is that of Fleiss, Cohen & Everitt 1969, "Large sample standard errors of kappa and
    weighted kappa", equation 13. The interval is Wilson's (1927) on (1 + kappa) / 2, at the number
    of trials that would vary as much as kappa does by that error, taken with half an observation
    more in each cell (Agresti 2013, "Categorical Data Analysis", section 3.1.1, on empty cells). In
    large samples it is kappa plus and minus z errors; in small ones, of which Garner 1991 ("The
    standard error of Cohen's kappa") asks for a transformed interval, it is not symmetric and never
    without width: of items that all agree, evenly spread over two levels, it is Wilson's of the
    share that agrees.

    Args:
        first: One judge's verdicts by item; None is unscored.
        second: The other's.
        levels: All categories in order, which weights need; by default those that occur.
        weighting: How near a miss is: not at all, or by steps, or by squared steps.
        confidence: Of the intervals.

    Raises:
        ValueError: A verdict is none of ``levels``; or weights were asked for without them.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if None not in (a, b)]
    if levels is None and weighting != "none":
        raise ValueError("weights need the levels in their order")
    names = list(levels) if levels is not None else sorted({x for p in pairs for x in p}, key=repr)
    index = {name: place for place, name in enumerate(names)}
    table = np.zeros((len(names), len(names)))
    for a, b in pairs:
        if a not in index or b not in index:
            raise ValueError(f"{a!r} or {b!r} is none of the levels {names}")
        table[index[a], index[b]] += 1
    missing = len(first) - len(pairs)
    credit = _credits(len(names), weighting)
    observed, expected, kappa = _kappa(table, credit, confidence)
    return Kappa(
        observed=_share(observed * len(pairs), len(pairs), missing, confidence),
        expected=expected,
        kappa=kappa,
        items=len(pairs),
        unscored=missing,
    )


def order_figures(pairs: Sequence[OrderedPair], confidence: float = CONFIDENCE) -> OrderFigures:
    """Return what the order of the answers does to a judge."""
    scored = [
        (p.forward, p.backward) for p in pairs if p.forward is not None and p.backward is not None
    ]
    sides = [(_side(forward), _side(backward)) for forward, backward in scored]
    missing = len(pairs) - len(scored)
    kept = sum(a == b != 0 for a, b in sides)
    first = sum(a == 1 and b == -1 for a, b in sides)
    last = sum(a == -1 and b == 1 for a, b in sides)
    return OrderFigures(
        consistent=_share(kept, len(sides), missing, confidence),
        same_position=_share(first + last, len(sides), missing, confidence),
        first_position=_share(first, first + last, missing, confidence),
        undecided=sum(0 in both for both in sides),
    )


def length_figures(
    verdicts: Sequence[float | None],
    differences: Sequence[float],
    quality: Sequence[float] | None = None,
    confidence: float = CONFIDENCE,
) -> LengthFigures:
    """Return how far a judge follows length, by a logistic regression without intercept.

    There is no intercept since first and second are only names: swapped, a pair says the same. A
    light ridge keeps a judge finite that always follows length.

    The interval is that of the same pairs and two more of the usual difference in length, one that
    follows length and one that does not, even in quality (as Agresti & Coull 1998 add successes
    and failures to a share): few pairs, or pairs that all say the same, are never certainty. It is
    widened to hold the slope itself.

    Args:
        verdicts: P(first is better); None is unscored.
        differences: Length of the first less that of the second, in whatever unit.
        quality: What the verdict should be, P(first is better) of humans or an oracle: then the
            slope is what length does beyond it.
        confidence: Of the intervals.

    Raises:
        ValueError: There are more of one than of another.
    """
    if not len(verdicts) == len(differences) == len(quality if quality is not None else verdicts):
        raise ValueError(f"{len(verdicts)} verdicts and {len(differences)} differences")
    kept = [i for i, p in enumerate(verdicts) if p is not None]
    target = np.array([verdicts[i] for i in kept], dtype=np.float64)
    gap = np.array([differences[i] for i in kept], dtype=np.float64)
    followed = (target - 0.5) * gap
    decided = followed != 0
    deviation = float(np.sqrt(np.mean(gap**2))) if len(gap) else 0.0
    columns = [gap / deviation] if deviation else []
    if quality is not None:
        columns.append(2.0 * np.array([quality[i] for i in kept], dtype=np.float64) - 1.0)
    slope = None
    if deviation:
        slope = _slope(np.stack(columns, axis=1), target, confidence)
    missing = len(verdicts) - len(kept)
    return LengthFigures(
        longer=_share(int((followed > 0).sum()), int(decided.sum()), missing, confidence),
        slope=slope,
        deviation=deviation,
    )


def _share(part: float, count: int, unscored: int, confidence: float) -> Proportion:
    rate = min(part / count, 1.0) if count else 0.0
    low, high = wilson(rate, count, confidence)
    return Proportion(
        rate=rate if count else None, low=low, high=high, count=count, unscored=unscored
    )


def _slope(design: Array, target: Array, confidence: float) -> Estimate:
    """Return the first coefficient of a regression, whose column is in deviations."""
    fit = fit_logistic(design, target, RIDGE)
    both_ways = np.zeros((2, design.shape[1]))
    both_ways[:, 0] = 1.0
    wider = fit_logistic(np.vstack([design, both_ways]), np.append(target, [0.0, 1.0]), RIDGE)
    value, centre = float(fit.coefficients[0]), float(wider.coefficients[0])
    half = normal_quantile(confidence) * math.sqrt(wider.covariance[0, 0])
    error = math.sqrt(fit.covariance[0, 0])
    return Estimate(
        value=value, error=error, low=min(value, centre - half), high=max(value, centre + half)
    )


def _side(p: float) -> int:
    return (p > 0.5) - (p < 0.5)


def _credits(levels: int, weighting: Weighting) -> Array:
    """Return what each cell of a table counts as agreement, 1 on the diagonal."""
    if weighting == "none" or levels < 2:
        return np.eye(levels)
    steps = np.abs(np.subtract.outer(np.arange(levels), np.arange(levels))) / (levels - 1)
    return np.asarray(1.0 - (steps if weighting == "linear" else steps**2))


def _kappa(
    table: Array, credit: Array, confidence: float
) -> tuple[float, float | None, Estimate | None]:
    """Return observed and expected agreement, and kappa with its interval."""
    items = table.sum()
    if not items:
        return 0.0, None, None
    found = _agreement(table / items, credit)
    if 1.0 - found.expected < _NOTHING:
        return found.observed, min(found.expected, 1.0), None
    filled = _agreement((table + 0.5) / (table + 0.5).sum(), credit)
    trials = items * (1.0 - filled.kappa**2) / filled.variance
    low, high = wilson(clipped((1.0 + found.kappa) / 2.0), trials, confidence)
    error = math.sqrt(found.variance / items) if found.variance > _NOTHING else None
    kappa = Estimate(value=found.kappa, error=error, low=2.0 * low - 1.0, high=2.0 * high - 1.0)
    return found.observed, found.expected, kappa


def _agreement(share: Array, credit: Array) -> _Agreement:
    """Return what the shares of a table's cells say."""
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    observed = float((share * credit).sum())
    expected = float(rows @ credit @ columns)
    if 1.0 - expected < _NOTHING:
        return _Agreement(observed, expected, math.nan, math.nan)
    margins = (credit @ columns)[:, None] + (rows @ credit)[None, :]
    spread = (share * (credit * (1.0 - expected) - margins * (1.0 - observed)) ** 2).sum()
    excess = observed * expected - 2.0 * expected + observed
    variance = max(float(spread - excess**2), 0.0) / (1.0 - expected) ** 4
    return _Agreement(observed, expected, (observed - expected) / (1.0 - expected), variance)

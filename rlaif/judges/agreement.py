"""How far a judge can be trusted: figures of agreement and bias, each with its interval.

What is unscored is counted apart in every figure, and never scored.
"""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlaif.intervals import normal_quantile, wilson
from rlaif.logistic import fit_logistic
from rlaif.records import Probability, Record

CONFIDENCE = 0.95
RIDGE = 1e-2
Weighting = Literal["none", "linear", "quadratic"]
Array = NDArray[np.float64]


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
    """A number with its standard error and interval."""

    value: float
    error: float
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


def failure_rate(said: Sequence[Hashable | None], confidence: float = CONFIDENCE) -> Proportion:
    """Return the share of replies that hold no verdict (None)."""
    return proportion([verdict is None for verdict in said], confidence)


def cohen_kappa(
    first: Sequence[Hashable | None],
    second: Sequence[Hashable | None],
    levels: Sequence[Hashable] | None = None,
    weighting: Weighting = "none",
    confidence: float = CONFIDENCE,
) -> Kappa:
    """Return Cohen's kappa of two judges (Cohen 1960; weighted, Cohen 1968).

    The interval is normal with the large-sample variance of Fleiss, Cohen & Everitt 1969, "Large
    sample standard errors of kappa and weighted kappa", equation 13.

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


def agreement_by_criterion(
    verdicts: Mapping[str, Mapping[str, Sequence[Hashable | None]]], confidence: float = CONFIDENCE
) -> dict[str, dict[tuple[str, str], Kappa]]:
    """Return the agreement of every two judges (a human is one too) under every criterion.

    Args:
        verdicts: By criterion and judge, the verdicts on the same items in the same order.
        confidence: Of the intervals.
    """
    return {
        criterion: {
            (a, b): cohen_kappa(by_judge[a], by_judge[b], confidence=confidence)
            for a, b in combinations(by_judge, 2)
        }
        for criterion, by_judge in verdicts.items()
    }


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
        fit = fit_logistic(np.stack(columns, axis=1), target, RIDGE)
        error = math.sqrt(fit.covariance[0, 0])
        slope = _estimate(float(fit.coefficients[0]), error, confidence)
    missing = len(verdicts) - len(kept)
    return LengthFigures(
        longer=_share(int((followed > 0).sum()), int(decided.sum()), missing, confidence),
        slope=slope,
        deviation=deviation,
    )


def self_consistency(
    samples: Sequence[Sequence[Hashable | None]], confidence: float = CONFIDENCE
) -> Proportion:
    """Return the chance that two samples of a judge on one question say the same.

    Each question counts once, by the share of its pairs of samples that agree. The interval is
    Wilson's at the number of questions, which is wide enough: nothing in [0, 1] varies more than a
    coin.

    Args:
        samples: For each question the sampled verdicts; None is unscored.
        confidence: Of the interval.

    Returns:
        The mean; questions with fewer than two scored samples are counted as unscored.
    """
    rates = [rate for question in samples if (rate := _pairs_alike(question)) is not None]
    return _share(math.fsum(rates), len(rates), len(samples) - len(rates), confidence)


def _pairs_alike(question: Sequence[Hashable | None]) -> float | None:
    scored = [verdict for verdict in question if verdict is not None]
    if len(scored) < 2:
        return None
    return sum(math.comb(n, 2) for n in Counter(scored).values()) / math.comb(len(scored), 2)


def _share(part: float, count: int, unscored: int, confidence: float) -> Proportion:
    rate = min(part / count, 1.0) if count else 0.0
    low, high = wilson(rate, count, confidence)
    return Proportion(
        rate=rate if count else None, low=low, high=high, count=count, unscored=unscored
    )


def _estimate(value: float, error: float, confidence: float) -> Estimate:
    half = normal_quantile(confidence) * error
    return Estimate(value=value, error=error, low=value - half, high=value + half)


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
    share = table / items
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    observed = float((share * credit).sum())
    expected = float(rows @ credit @ columns)
    if 1.0 - expected < 1e-12:
        return observed, min(expected, 1.0), None
    value = (observed - expected) / (1.0 - expected)
    margins = (credit @ columns)[:, None] + (rows @ credit)[None, :]
    spread = (share * (credit * (1.0 - expected) - margins * (1.0 - observed)) ** 2).sum()
    excess = observed * expected - 2.0 * expected + observed
    variance = max(float(spread - excess**2), 0.0) / (items * (1.0 - expected) ** 4)
    return observed, expected, _estimate(value, math.sqrt(variance), confidence)

"""Cohen's kappa: agreement beyond chance, with an interval that is never without width."""

import math
from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlaif.clusters import Clusters, effective_size, numbered
from rlaif.intervals import clipped, wilson
from rlaif.judges.agreement import CONFIDENCE, Array, Estimate, Names, Proportion, proportion
from rlaif.records import Probability, Record

Weighting = Literal["none", "linear", "quadratic"]
_NOTHING = 1e-12


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
    """Agreement in a table of shares; kappa's variance is that of one item.

    ``influence`` is by cell what an item of it adds to kappa's deviation; its mean is 0.
    """

    observed: float
    expected: float
    kappa: float
    influence: Array
    variance: float


def cohen_kappa(
    first: Sequence[Hashable | None],
    second: Sequence[Hashable | None],
    levels: Sequence[Hashable] | None = None,
    weighting: Weighting = "none",
    confidence: float = CONFIDENCE,
    clusters: Names = None,
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
        clusters: What each item hangs together with; None where they are independent. Then what
            each item adds to kappa is summed over clusters, in the error and in the interval.

    Raises:
        ValueError: A verdict is none of ``levels``; or weights were asked for without them.
    """
    both = list(zip(first, second, strict=True))
    kept = [place for place, pair in enumerate(both) if None not in pair]
    pairs, names_of = [both[place] for place in kept], numbered(clusters, len(both)).tolist()
    own = numbered([names_of[place] for place in kept], len(kept))
    if levels is None and weighting != "none":
        raise ValueError("weights need the levels in their order")
    names = list(levels) if levels is not None else sorted({x for p in pairs for x in p}, key=repr)
    index = {name: place for place, name in enumerate(names)}
    for a, b in pairs:
        if a not in index or b not in index:
            raise ValueError(f"{a!r} or {b!r} is none of the levels {names}")
    cells = np.array([(index[a], index[b]) for a, b in pairs], dtype=np.int64).reshape(-1, 2).T
    credit = _credits(len(names), weighting)
    expected, kappa = _kappa(cells, credit, own, confidence)
    observed = proportion(credit[tuple(cells)].tolist(), confidence, own.tolist())
    return Kappa(
        observed=observed.model_copy(update={"unscored": len(both) - len(kept)}),
        expected=expected,
        kappa=kappa,
        items=len(pairs),
        unscored=len(both) - len(kept),
    )


def _credits(levels: int, weighting: Weighting) -> Array:
    """Return what each cell of a table counts as agreement, 1 on the diagonal."""
    if weighting == "none" or levels < 2:
        return np.eye(levels)
    steps = np.abs(np.subtract.outer(np.arange(levels), np.arange(levels))) / (levels - 1)
    return np.asarray(1.0 - (steps if weighting == "linear" else steps**2))


def _kappa(
    cells: NDArray[np.int64], credit: Array, clusters: Clusters, confidence: float
) -> tuple[float | None, Estimate | None]:
    """Return agreement by chance, and kappa with its interval, of items in cells [2, items]."""
    items = cells.shape[1]
    if not items:
        return None, None
    table = np.zeros_like(credit)
    np.add.at(table, tuple(cells), 1.0)
    found = _agreement(table / items, credit)
    if 1.0 - found.expected < _NOTHING:
        return min(found.expected, 1.0), None
    filled = _agreement((table + 0.5) / (table + 0.5).sum(), credit)
    spread = math.sqrt(filled.variance)
    independent = effective_size(found.influence[tuple(cells)], clusters, (-spread, spread))
    trials = independent * (1.0 - filled.kappa**2) / filled.variance
    low, high = wilson(clipped((1.0 + found.kappa) / 2.0), trials, confidence)
    error = math.sqrt(found.variance / independent) if found.variance > _NOTHING else None
    kappa = Estimate(value=found.kappa, error=error, low=2.0 * low - 1.0, high=2.0 * high - 1.0)
    return found.expected, kappa


def _agreement(share: Array, credit: Array) -> _Agreement:
    """Return what the shares of a table's cells say."""
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    observed = float((share * credit).sum())
    expected = float(rows @ credit @ columns)
    if 1.0 - expected < _NOTHING:
        return _Agreement(observed, expected, math.nan, np.zeros_like(share), math.nan)
    margins = (credit @ columns)[:, None] + (rows @ credit)[None, :]
    excess = observed * expected - 2.0 * expected + observed
    influence = credit * (1.0 - expected) - margins * (1.0 - observed) - excess
    influence /= (1.0 - expected) ** 2
    variance = float((share * influence**2).sum())
    kappa = (observed - expected) / (1.0 - expected)
    return _Agreement(observed, expected, kappa, influence, variance)

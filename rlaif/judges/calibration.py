"""A judge's soft labels made as sure as they are right, on pairs that humans (or an oracle) judged.

``temperature`` divides the log-odds by one number (Guo et al. 2017); ``isotonic`` is the monotone
step-free curve that fits best (Zadrozny & Elkan 2002). Both are symmetric: where p becomes q,
1 - p becomes 1 - q, so that a label does not depend on which answer is called the first. For this
each pair is turned so that p is at least one half; one half stays one half.

Both are fitted on the smoothed targets of Platt (1999), "Probabilistic outputs for support vector
machines", section 2.2: n labels without an error say (n + 1) / (n + 2), not certainty. What is
reported of a fit is measured on the outcomes as they are.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.optimize import isotonic_regression, minimize_scalar

from rlaif.figures import calibration_error
from rlaif.logistic import logit, sigmoid
from rlaif.records import Probability, Record
from rlaif.seeds import derive_seed, numpy_generator

CLAMP = 1e-3
DECIMALS = 12  # 0.58 and 1 - 0.42 are one place
COOLEST, WARMEST = 0.05, 50.0
Method = Literal["temperature", "isotonic"]
Array = NDArray[np.float64]


class LabelledPair(NamedTuple):
    """A pair with a judge's soft label and what is known about it.

    Attributes:
        p: The judge's P(first is better).
        outcome: The truth: 1 where the first is better, 0 where the second is, 0.5 for a tie.
        weight: What the pair counts, above 0.
        group: Pairs of one group (a prompt) are never both fitted and tested on.
    """

    p: float
    outcome: float
    weight: float = 1.0
    group: str = ""


class Uncalibrated(Record):
    """Why there is no calibration."""

    reason: str = Field(min_length=1)


class Calibration(Record):
    """A fitted map of soft labels.

    Attributes:
        method: How it was fitted.
        temperature: What log-odds are divided by; None for isotonic.
        knots: Points (p, q) of the curve from one half up, p rising and q not falling; between them
            it is straight, beyond them level. Empty for temperature.
        labels: Pairs that it was fitted on.
    """

    method: Method
    temperature: Annotated[float, Field(gt=0.0)] | None = None
    knots: tuple[tuple[Probability, Probability], ...] = ()
    labels: int

    @model_validator(mode="after")
    def _is_whole(self) -> "Calibration":
        if (self.temperature is None) == (not self.knots):
            raise ValueError("either a temperature or knots")
        return self

    def apply(self, p: float) -> float:
        """Return the calibrated label of a soft label; 1 - p becomes what is missing to 1.

        Raises:
            ValueError: ``p`` is no probability.
        """
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"{p} is not a probability")
        if p == 0.5:
            return 0.5
        upper = self._upper(round(max(p, 1.0 - p), DECIMALS))
        return upper if p > 0.5 else 1.0 - upper

    def _upper(self, p: float) -> float:
        if self.temperature is not None:
            return sigmoid(logit(min(p, 1.0 - CLAMP)) / self.temperature)
        places, values = zip(*self.knots, strict=True)
        return float(np.interp(p, places, values))


class CalibrationReport(Record):
    """What calibration does to pairs that it was not fitted on (k-fold).

    Log-loss in nats, expected calibration error over ten bins; means weighted by the pairs.
    """

    method: Method
    labels: int
    folds: int
    log_loss_before: float
    log_loss_after: float
    ece_before: Probability
    ece_after: Probability


def fit_calibration(
    pairs: Sequence[LabelledPair], method: Method, min_labels: int = 50
) -> Calibration | Uncalibrated:
    """Fit a calibration.

    Args:
        pairs: The pairs, all of which count.
        method: ``temperature`` needs few labels; ``isotonic`` some hundreds.
        min_labels: The fewest pairs that say something.

    The fit takes each outcome for a little less sure than it is, as if a pair more had come out
    each way: else a judge that made no error on the labels would become as sure as can be, its
    narrowest labels too. With n pairs this moves a fit by about 1 / n.

    Returns:
        The calibration; or the reason why there is none: too few pairs, none with a side (all
        judged even), or a temperature that runs to its bound, as it does where a judge is no better
        than chance.

    Raises:
        ValueError: A pair has no probability, outcome or weight.
    """
    _check(pairs)
    if len(pairs) < min_labels:
        return Uncalibrated(reason=f"{len(pairs)} labelled pairs, at least {min_labels} are needed")
    p, outcome, weight = _turned(pairs)
    sided = p > 0.5
    if not sided.any():
        return Uncalibrated(reason="the judge calls every labelled pair even")
    fit = _fit_temperature if method == "temperature" else _fit_isotonic
    return fit(p[sided], outcome[sided], weight[sided], len(pairs))


def cross_fit(
    pairs: Sequence[LabelledPair],
    method: Method,
    *,
    folds: int = 5,
    seed: int = 0,
    min_labels: int = 50,
    counted: str = "labelled pairs",
) -> CalibrationReport | Uncalibrated:
    """Measure a calibration on pairs that it was not fitted on.

    Args:
        pairs: The pairs.
        method: The kind of calibration.
        folds: Parts; each is measured with what was fitted on the others.
        seed: Deals groups, or pairs without one, to the parts.
        min_labels: The fewest pairs in all; a fit on all parts but one may have that share fewer.
        counted: What the reason calls the pairs after their number, where they are too few.
    """
    _check(pairs)
    if len(pairs) < max(min_labels, folds):
        needed = max(min_labels, folds)
        return Uncalibrated(reason=f"{len(pairs)} {counted}, at least {needed} are needed")
    part_of = _parts(pairs, folds, seed)
    after = np.zeros(len(pairs))
    for part in range(folds):
        rest = [pair for pair, its in zip(pairs, part_of, strict=True) if its != part]
        if not rest:
            return Uncalibrated(
                reason=f"all {len(pairs)} {counted} are of one prompt: it takes several to measure "
                "a calibration on labels that it was not fitted on"
            )
        fitted = fit_calibration(rest, method, min_labels=1)
        if isinstance(fitted, Uncalibrated):
            return fitted
        for place, its in enumerate(part_of):
            if its == part:
                after[place] = fitted.apply(pairs[place].p)
    before = np.array([pair.p for pair in pairs])
    return CalibrationReport(
        method=method,
        labels=len(pairs),
        folds=folds,
        log_loss_before=_log_loss(before, pairs),
        log_loss_after=_log_loss(after, pairs),
        ece_before=_ece(before, pairs),
        ece_after=_ece(after, pairs),
    )


def _check(pairs: Sequence[LabelledPair]) -> None:
    for pair in pairs:
        right = 0.0 <= pair.p <= 1.0 and 0.0 <= pair.outcome <= 1.0
        if not (right and 0.0 < pair.weight < math.inf):
            raise ValueError(f"{pair} is no labelled pair: p and outcome in [0, 1], weight above 0")


def _turned(pairs: Sequence[LabelledPair]) -> tuple[Array, Array, Array]:
    """Return p, outcome and weight with every pair turned so that p is at least one half."""
    turned = [(p, outcome) if p >= 0.5 else (1.0 - p, 1.0 - outcome) for p, outcome, *_ in pairs]
    p, outcome = np.array(turned, dtype=np.float64).T
    return p.round(DECIMALS), outcome, np.array([pair.weight for pair in pairs])


def _fit_temperature(
    p: Array, outcome: Array, weight: Array, labels: int
) -> Calibration | Uncalibrated:
    kept = np.minimum(p, 1.0 - CLAMP)
    odds = np.log(kept / (1.0 - kept))
    target = _smoothed(outcome, weight)

    def loss(log_temperature: float) -> float:
        value = odds * math.exp(-log_temperature)
        return float(weight @ (np.logaddexp(0.0, value) - target * value) / weight.sum())

    bounds = (math.log(COOLEST), math.log(WARMEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    temperature = math.exp(float(found.x))
    if not 1.01 * COOLEST < temperature < 0.99 * WARMEST:
        reason = f"the best temperature is beyond {COOLEST:g} to {WARMEST:g}"
        return Uncalibrated(reason=f"{reason}: {_how_right(outcome, weight)}")
    return Calibration(method="temperature", temperature=temperature, labels=labels)


def _fit_isotonic(
    p: Array, outcome: Array, weight: Array, labels: int
) -> Calibration | Uncalibrated:
    """Fit the monotone curve; equal p are one point, and it does not fall below one half.

    Smoothing targets on a line smooths the curve alike, so that comes last: one half stays exact.
    The best curve under a bound is the best curve, clipped at the bound. So this is the upper half
    of the isotonic regression on all pairs and all pairs swapped.
    """
    places, inverse = np.unique(p, return_inverse=True)
    mass = np.bincount(inverse, weights=weight)
    mean = np.bincount(inverse, weights=weight * outcome) / mass
    values = np.clip(isotonic_regression(mean, weights=mass).x, 0.5, 1.0)
    if values[-1] == 0.5:
        return Uncalibrated(reason=_how_right(outcome, weight))
    smoothed = _smoothed(values, weight)
    knots = [(0.5, 0.5)] + [(float(a), float(b)) for a, b in zip(places, smoothed, strict=True)]
    inner = range(1, len(knots) - 1)
    level = {i for i in inner if knots[i - 1][1] == knots[i][1] == knots[i + 1][1]}
    kept = tuple(knot for i, knot in enumerate(knots) if i not in level)
    return Calibration(method="isotonic", knots=kept, labels=labels)


def _smoothed(outcome: Array, weight: Array) -> Array:
    """Return Platt's targets (n + 1) / (n + 2) for 1 and 1 / (n + 2) for 0, on a line between.

    Of all pairs and all pairs swapped half come out each way, so both sides have the same n: the
    pairs, in Kish's effective number, which the scale of weights does not change.
    """
    effective = float(weight.sum() ** 2 / (weight @ weight))
    return 0.5 + (outcome - 0.5) * (effective / (effective + 2.0))


def _how_right(outcome: Array, weight: Array) -> str:
    share = float(weight @ outcome / weight.sum())
    return f"the judge's side is right in {share:.0%} of the labelled pairs on which it has one"


def _parts(pairs: Sequence[LabelledPair], folds: int, seed: int) -> list[int]:
    """Deal pairs to parts of like size; those of one group go together."""
    groups = [pair.group or f"\x00{index}" for index, pair in enumerate(pairs)]
    names = sorted(set(groups))
    order = numpy_generator(derive_seed(seed, "calibration folds")).permutation(len(names))
    part_of = {names[place]: rank % folds for rank, place in enumerate(order)}
    return [part_of[group] for group in groups]


def _weights(pairs: Sequence[LabelledPair]) -> Array:
    return np.array([pair.weight for pair in pairs])


def _log_loss(p: Array, pairs: Sequence[LabelledPair]) -> float:
    """Return the weighted mean log-loss in nats; p is kept off 0 and 1 by ``CLAMP``."""
    kept = np.clip(p, CLAMP, 1.0 - CLAMP)
    outcome = np.array([pair.outcome for pair in pairs])
    losses = -(outcome * np.log(kept) + (1.0 - outcome) * np.log1p(-kept))
    weight = _weights(pairs)
    return float(weight @ losses / weight.sum())


def _ece(p: Array, pairs: Sequence[LabelledPair]) -> float:
    """Return the calibration error, each pair counted in both orders: swapped, it is the same."""
    outcome = np.array([pair.outcome for pair in pairs])
    both = np.concatenate([p, 1.0 - p]).round(DECIMALS)
    truth = np.concatenate([outcome, 1.0 - outcome])
    weight = np.tile(_weights(pairs), 2)
    return calibration_error(both, truth, weights=weight) or 0.0

"""Are soft labels as sure as they are right, before and after calibration?

A calibration is fitted on one half of the prompts and measured on the other, and the other way
round. Intervals are percentiles of a bootstrap over prompts, each of which has one pair.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge_world.world import World
from rlaif.figures import calibration_error
from rlaif.judges.calibration import CLAMP, LabelledPair, Method, Uncalibrated, fit_calibration
from rlaif.seeds import derive_seed, numpy_generator
from rlaif.stages.attacking import WHOLE
from rlaif.stages.calibration import Said

RAW = "as judged"
METHODS: Final[tuple[Method, ...]] = get_args(Method)
PERCENTILES = (2.5, 97.5)
Floats = NDArray[np.float64]
Row = dict[str, Any]


def labelled_pairs(world: World, said: Said) -> dict[str, list[LabelledPair]]:
    """Return pairs with the judge's soft labels and the oracle's outcome, by kind of label.

    Kinds: the whole from comparisons with ratings as it trains, and from ratings alone; each judge
    criterion from its comparison. Quarantined and unscored pairs are left out of the first.
    """
    found: dict[str, list[LabelledPair]] = {}
    for prompt, first, second in world.pairs:
        ids = (first.id, second.id)
        verdict = said.verdicts[ids]
        trained = verdict.p_first if verdict.quarantined is None else None
        labels = {"comparison": (WHOLE, trained), "ratings": (WHOLE, said.p_of_ratings(ids))}
        labels |= {name: (name, both.mean) for name, both in said.orders[ids].items()}
        for kind, (criterion, p) in labels.items():
            if p is not None:
                outcome = world.p_first(*ids, criterion)
                found.setdefault(kind, []).append(LabelledPair(p, outcome, group=prompt.id))
    return found


def sureness(pairs: Sequence[LabelledPair], seed: int, rounds: int = 1000) -> dict[str, Row]:
    """Return log-loss, Brier score and calibration error of labels as judged and as calibrated.

    Args:
        pairs: One of each prompt.
        seed: Deals pairs to halves, and draws the bootstrap.
        rounds: Of the bootstrap.

    Returns:
        By method: each figure with its interval, and with its difference to the label as judged;
        or the reason why there is no calibration.
    """
    outcome = np.array([pair.outcome for pair in pairs])
    draws = numpy_generator(derive_seed(seed, "bootstrap")).integers(
        len(pairs), size=(rounds, len(pairs))
    )
    halves = deal(len(pairs), derive_seed(seed, "halves"))
    before = _Drawn.of(np.array([pair.p for pair in pairs]), outcome, draws)
    found: dict[str, Row] = {RAW: {"pairs": len(pairs), **before.figures()}}
    for method in METHODS:
        after, temperatures = crossed(pairs, halves, method)
        if isinstance(after, Uncalibrated):
            found[method] = {"reason": after.reason}
            continue
        drawn = _Drawn.of(after, outcome, draws)
        found[method] = {
            **drawn.figures(),
            "differences": drawn.less(before).figures(),
            "temperatures": temperatures,
        }
    return found


def deal(count: int, seed: int) -> NDArray[np.int64]:
    """Deal pairs to two halves: 0 or 1 for each."""
    return numpy_generator(seed).permutation(count) % 2


def crossed(
    pairs: Sequence[LabelledPair], halves: NDArray[np.int64], method: Method
) -> tuple[Floats | Uncalibrated, list[float]]:
    """Return each pair's label as calibrated by what was fitted on the other half.

    Returns:
        The labels, and the two temperatures where the method has one; or why there are none.
    """
    after = np.zeros(len(pairs))
    temperatures: list[float] = []
    for half in (0, 1):
        fitted = fit_calibration([pairs[i] for i in np.flatnonzero(halves != half)], method, 1)
        if isinstance(fitted, Uncalibrated):
            return fitted, []
        temperatures += [fitted.temperature] if fitted.temperature is not None else []
        for place in np.flatnonzero(halves == half):
            after[place] = fitted.apply(pairs[place].p)
    return after, temperatures


def ece(p: Floats, outcome: Floats) -> float:
    """Return the expected calibration error, each pair counted in both orders."""
    both, truth = np.concatenate([p, 1.0 - p]), np.concatenate([outcome, 1.0 - outcome])
    return calibration_error(both, truth) or 0.0


def brier(p: Floats, outcome: Floats) -> float:
    """Return the mean squared distance between label and outcome."""
    return float(np.mean((p - outcome) ** 2))


def log_loss(p: Floats, outcome: Floats) -> float:
    """Return the mean log-loss in nats; labels are kept off 0 and 1 as calibration does."""
    kept = np.clip(p, CLAMP, 1.0 - CLAMP)
    return float(-np.mean(outcome * np.log(kept) + (1.0 - outcome) * np.log1p(-kept)))


FIGURES: Final[Mapping[str, Callable[[Floats, Floats], float]]] = {
    "ece": ece,
    "brier": brier,
    "log_loss": log_loss,
}


@dataclass(frozen=True)
class _Drawn:
    """Every figure of some labels: its value, and its values in the rounds of a bootstrap."""

    values: Mapping[str, float]
    rounds: Mapping[str, Floats]

    @classmethod
    def of(cls, p: Floats, outcome: Floats, draws: NDArray[np.int64]) -> "_Drawn":
        return cls(
            {name: figure(p, outcome) for name, figure in FIGURES.items()},
            {
                name: np.array([figure(p[draw], outcome[draw]) for draw in draws])
                for name, figure in FIGURES.items()
            },
        )

    def less(self, other: "_Drawn") -> "_Drawn":
        return _Drawn(
            {name: value - other.values[name] for name, value in self.values.items()},
            {name: values - other.rounds[name] for name, values in self.rounds.items()},
        )

    def figures(self) -> Row:
        return {
            name: {"value": value, **interval(self.rounds[name])}
            for name, value in self.values.items()
        }


def interval(values: Floats) -> dict[str, float]:
    """Return the interval at 95% of what the rounds of a bootstrap gave."""
    low, high = np.percentile(values, PERCENTILES)
    return {"low": float(low), "high": float(high)}

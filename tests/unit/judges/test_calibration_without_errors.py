"""A judge that made no error on the labels is not made endlessly sure (Platt 1999, section 2.2)."""

import math

import numpy as np
import pytest

from rlaif.judges.calibration import (
    Calibration,
    CalibrationReport,
    LabelledPair,
    Method,
    Uncalibrated,
    cross_fit,
    fit_calibration,
)
from rlaif.seeds import numpy_generator

METHODS: list[Method] = ["temperature", "isotonic"]


def always_right(low: float, high: float, count: int, weight: float = 1.0) -> list[LabelledPair]:
    return [
        LabelledPair(float(p), 1.0, weight, str(i))
        for i, p in enumerate(np.linspace(low, high, count))
    ]


def fitted(pairs: list[LabelledPair], method: Method = "temperature") -> Calibration:
    found = fit_calibration(pairs, method)
    assert isinstance(found, Calibration), found
    return found


def test_sure_and_always_right_stays_about_as_sure() -> None:
    found = fitted(always_right(0.85, 0.99, 60))
    assert found.temperature is not None
    assert 0.4 < found.temperature < 1.0
    assert found.apply(0.55) < 0.65


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [50, 200])
def test_at_one_level_the_label_is_platts_target(method: Method, count: int) -> None:
    found = fitted([LabelledPair(0.8, 1.0)] * count, method)
    assert found.apply(0.8) == pytest.approx((count + 1) / (count + 2), abs=1e-6)
    assert found.apply(0.2) == pytest.approx(1 / (count + 2), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_scale_of_weights_changes_nothing(method: Method) -> None:
    light, heavy = (fitted(always_right(0.7, 0.9, 60, w), method) for w in (0.01, 100.0))
    assert light.apply(0.8) == pytest.approx(heavy.apply(0.8), abs=1e-6)


def test_weight_on_few_pairs_is_no_more_than_few_pairs() -> None:
    # Kish's size of 49 pairs of weight 0.02 and one of 0.98 is 1.96^2 / 0.98 = 3.92.
    pairs = [LabelledPair(0.8, 1.0, 0.02)] * 49 + [LabelledPair(0.8, 1.0, 0.98)]
    assert fitted(pairs).apply(0.8) == pytest.approx(4.92 / 5.92, abs=1e-6)


def test_a_temperature_beyond_its_bound_is_refused() -> None:
    found = fit_calibration(always_right(0.505, 0.51, 60), "temperature")
    assert isinstance(found, Uncalibrated)
    assert "beyond 0.05 to 50" in found.reason
    assert "right in 100%" in found.reason


def test_what_cross_fitting_reports_is_not_smoothed() -> None:
    found = cross_fit([LabelledPair(0.8, 1.0)] * 100, "temperature")
    assert not isinstance(found, Uncalibrated)
    assert found.log_loss_before == pytest.approx(-math.log(0.8))
    assert found.log_loss_after == pytest.approx(-math.log(81 / 82), abs=1e-6)


def test_few_labels_hardly_ever_show_a_temperature_far_too_cool() -> None:
    """A judge whose true temperature is one half, sixty labels, a hundred times."""
    rng = numpy_generator(0)
    found = []
    for _ in range(100):
        p = rng.uniform(0.85, 0.99, 60)
        right = rng.random(60) < 1 / (1 + np.exp(-2.0 * np.log(p / (1 - p))))
        pairs = [LabelledPair(float(a), float(b)) for a, b in zip(p, right, strict=True)]
        found.append(fitted(pairs).temperature)
    assert min(t for t in found if t is not None) > 0.35


def test_labels_of_one_prompt_cannot_measure_a_calibration() -> None:
    pairs = [LabelledPair(0.7, 1.0, group="one")] * 60
    found = cross_fit(pairs, "temperature")
    assert isinstance(found, Uncalibrated)
    assert found.reason.startswith("all 60 labelled pairs are of one prompt")


def test_the_calibration_error_is_that_of_the_swapped_pairs() -> None:
    pairs = [LabelledPair(p / 100, float(p * 7 % 100 < p), group=str(p)) for p in range(1, 100)]
    swapped = [pair._replace(p=1.0 - pair.p, outcome=1.0 - pair.outcome) for pair in pairs]
    reports = [cross_fit(of, "isotonic") for of in (pairs, swapped)]
    one, other = [found.ece_before for found in reports if isinstance(found, CalibrationReport)]
    assert one == pytest.approx(other, abs=1e-9)

"""Calibration of soft labels: symmetric, and as others fit it."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

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
PAIRS = st.lists(
    st.builds(
        LabelledPair,
        p=st.integers(0, 1000).map(lambda n: n / 1000),
        outcome=st.sampled_from([0.0, 0.5, 1.0]),
        weight=st.floats(0.1, 5.0),
    ),
    min_size=1,
    max_size=30,
)


def drawn(count: int, temperature: float, seed: int = 11) -> list[LabelledPair]:
    """Pairs whose true odds are the judge's, divided by the temperature."""
    generator = numpy_generator(seed)
    odds = generator.normal(scale=4.0, size=count)
    truth = generator.random(count) < 1 / (1 + np.exp(-odds / temperature))
    p = 1 / (1 + np.exp(-odds))
    return [LabelledPair(float(a), float(b)) for a, b in zip(p, truth, strict=True)]


def fitted(pairs: list[LabelledPair], method: Method, least: int = 1) -> Calibration:
    found = fit_calibration(pairs, method, least)
    assert isinstance(found, Calibration), found
    return found


def why(found: Calibration | CalibrationReport | Uncalibrated) -> str:
    assert isinstance(found, Uncalibrated)
    return found.reason


def test_the_temperature_of_two_hard_levels_by_hand() -> None:
    # The judge says 0.9 and is right three times in four. Targets of four pairs are 5/6 and 1/6, in
    # the mean 2/3: log 9 / T = log 2.
    pairs = [LabelledPair(0.9, 1.0)] * 3 + [LabelledPair(0.1, 1.0)]
    found = fitted(pairs, "temperature")
    assert found.temperature == pytest.approx(math.log(9) / math.log(2), abs=1e-6)
    assert found.apply(0.9) == pytest.approx(2 / 3)
    assert found.apply(0.1) == pytest.approx(1 / 3)
    assert found.apply(0.5) == 0.5


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_and_is_sklearns(temperature: float) -> None:
    pairs = drawn(4000, temperature)
    found = fitted(pairs, "temperature")
    assert found.temperature == pytest.approx(temperature, rel=0.15)
    odds = np.array([[math.log(min(p, 0.999) / (1 - min(p, 0.999)))] for p, *_ in pairs])
    odds = np.clip(odds, -math.log(999), math.log(999))
    outcome = np.array([pair.outcome for pair in pairs])
    smoothed = (4000 * outcome + 1) / 4002
    both = np.concatenate([odds, odds])
    for truth, rel in ((smoothed, 1e-4), (outcome, 0.02)):  # Platt's targets change next to nothing
        theirs = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-12, max_iter=1000)
        theirs.fit(both, np.repeat([1, 0], 4000), np.concatenate([truth, 1 - truth]))
        assert 1 / found.temperature == pytest.approx(theirs.coef_[0][0], rel=rel)


@given(PAIRS)
@settings(max_examples=60)
def test_isotonic_is_sklearns_on_all_pairs_and_all_swapped(pairs: list[LabelledPair]) -> None:
    found = fit_calibration(pairs, "isotonic", 1)
    if isinstance(found, Uncalibrated):
        return
    both = [(p, y, w) for p, y, w, _ in pairs if p != 0.5]
    both += [(1 - p, 1 - y, w) for p, y, w in both]
    p, y, w = (np.array(column) for column in zip(*both, strict=True))
    effective = w.sum() ** 2 / (w**2).sum() / 2  # of the pairs, without the swapped
    platt = (effective * y + 1) / (effective + 2)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(p, platt, sample_weight=w)
    for place in p:
        assert found.apply(float(place)) == pytest.approx(theirs.predict([place])[0], abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
@given(PAIRS, st.lists(st.floats(0, 1), min_size=1, max_size=10))
@settings(max_examples=60)
def test_a_calibration_is_symmetric_and_monotone(
    method: Method, pairs: list[LabelledPair], places: list[float]
) -> None:
    found = fit_calibration(pairs, method, 1)
    if isinstance(found, Uncalibrated):
        return
    for p in places:
        assert found.apply(1.0 - p) == pytest.approx(1.0 - found.apply(p), abs=1e-9)
    values = [found.apply(p) for p in sorted(places)]
    assert all(a <= b + 1e-12 for a, b in pairwise(values))
    assert all(0.0 <= value <= 1.0 for value in values)


@pytest.mark.parametrize("method", METHODS)
@given(PAIRS, st.lists(st.booleans(), min_size=30, max_size=30), st.floats(0, 1))
@settings(max_examples=60)
def test_swapping_any_labelled_pairs_changes_nothing(
    method: Method, pairs: list[LabelledPair], swaps: list[bool], p: float
) -> None:
    turned = [
        pair._replace(p=1.0 - pair.p, outcome=1.0 - pair.outcome) if swap else pair
        for pair, swap in zip(pairs, swaps, strict=False)
    ]
    plain, swapped = fit_calibration(pairs, method, 1), fit_calibration(turned, method, 1)
    if isinstance(plain, Uncalibrated):
        assert isinstance(swapped, Uncalibrated)
    else:
        assert isinstance(swapped, Calibration)
        assert swapped.apply(p) == pytest.approx(plain.apply(p), abs=1e-6)


def test_isotonic_by_hand() -> None:
    # Right: 1 of 2 at 0.6; 2 of 2 at 0.7 and 1 of 2 at 0.8, pooled 3 of 4; all at 0.9. Targets of
    # eight pairs are 0.9 and 0.1.
    rights = {0.6: [1, 0], 0.7: [1, 1], 0.8: [1, 0], 0.9: [1, 1]}
    pairs = [LabelledPair(p, float(y)) for p, ys in rights.items() for y in ys]
    found = fitted(pairs, "isotonic")
    assert [found.apply(p) for p in (0.6, 0.7, 0.8, 0.9)] == pytest.approx([0.5, 0.7, 0.7, 0.9])
    assert found.apply(0.65) == pytest.approx(0.6)  # halfway between its neighbours
    assert found.apply(0.1) == pytest.approx(0.1)
    assert found.apply(0.99) == pytest.approx(0.9)
    assert found.knots[0] == (0.5, 0.5)


def test_weights_count_in_the_mean() -> None:
    # 3/4 are right; Kish's number of weights 3 and 1 is 16 / 10, so targets are 2.6/3.6 and 1/3.6.
    pairs = [LabelledPair(0.9, 1.0, weight=3.0), LabelledPair(0.9, 0.0)]
    for method in METHODS:
        assert fitted(pairs, method).apply(0.9) == pytest.approx((0.75 * 2.6 + 0.25) / 3.6)


def test_hard_verdicts_become_as_sure_as_they_are_right() -> None:
    pairs = [LabelledPair(1.0, 1.0)] * 8 + [LabelledPair(0.0, 1.0)] * 2
    for method in METHODS:
        found = fitted(pairs, method)
        assert found.apply(1.0) == pytest.approx(9 / 12)
        assert found.apply(0.0) == pytest.approx(3 / 12)


def test_too_few_labels_are_refused() -> None:
    pairs = drawn(49, 1.0)
    for method in METHODS:
        assert why(fit_calibration(pairs, method)) == "49 labelled pairs, at least 50 are needed"
        assert "at least 50" in why(cross_fit(pairs, method))
    assert isinstance(fit_calibration(drawn(50, 1.0), "temperature"), Calibration)


def test_a_judge_without_an_opinion_is_refused() -> None:
    assert "even" in why(fit_calibration([LabelledPair(0.5, 1.0)] * 60, "temperature"))


@pytest.mark.parametrize("method", METHODS)
def test_a_judge_no_better_than_chance_is_refused(method: Method) -> None:
    pairs = [LabelledPair(0.9, 0.0)] * 40 + [LabelledPair(0.9, 1.0)] * 20
    assert "right in 33% of the labelled pairs" in why(fit_calibration(pairs, method))


@pytest.mark.parametrize(
    "pair",
    [
        LabelledPair(1.1, 1.0),
        LabelledPair(math.nan, 1.0),
        LabelledPair(0.5, -0.1),
        LabelledPair(0.5, 1.0, weight=0.0),
        LabelledPair(0.5, 1.0, weight=math.inf),
    ],
)
def test_what_is_no_labelled_pair_is_an_error(pair: LabelledPair) -> None:
    with pytest.raises(ValueError, match="is no labelled pair"):
        fit_calibration([pair] * 60, "temperature")


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_an_error(p: float) -> None:
    with pytest.raises(ValueError, match="is not a probability"):
        fitted(drawn(60, 1.0), "temperature").apply(p)


@pytest.mark.parametrize("method", METHODS)
def test_cross_fitting_shows_what_calibration_is_worth(method: Method) -> None:
    pairs = drawn(2000, 4.0)
    found = cross_fit(pairs, method)
    assert isinstance(found, CalibrationReport)
    assert (found.labels, found.folds, found.method) == (2000, 5, method)
    assert found.ece_before > 0.15
    assert found.ece_after < 0.05
    p, y = [pair.p for pair in pairs], [pair.outcome for pair in pairs]
    theirs = log_loss(y, np.clip(p, 1e-3, 1 - 1e-3))
    assert found.log_loss_before == pytest.approx(theirs)
    assert found.log_loss_after < 0.7 * theirs


@pytest.mark.parametrize("method", METHODS)
def test_cross_fitting_a_calibrated_judge_costs_next_to_nothing(method: Method) -> None:
    found = cross_fit(drawn(2000, 1.0), method)
    assert isinstance(found, CalibrationReport)
    assert found.log_loss_after < found.log_loss_before + 0.02


def test_cross_fitting_swapped_pairs_gives_the_same_figures() -> None:
    pairs = drawn(200, 2.0)
    swapped = [pair._replace(p=1 - pair.p, outcome=1 - pair.outcome) for pair in pairs]
    one, other = cross_fit(pairs, "temperature"), cross_fit(swapped, "temperature")
    assert isinstance(one, CalibrationReport)
    assert isinstance(other, CalibrationReport)
    assert other.log_loss_after == pytest.approx(one.log_loss_after)
    assert other.ece_after == pytest.approx(one.ece_after, abs=1e-3)


def test_a_group_is_never_on_both_sides() -> None:
    # Two prompts whose judge is always right on one and always wrong on the other: fitted on one,
    # the other shows it; were they mixed, both parts would look like chance.
    pairs = [LabelledPair(0.9, 1.0, group="x")] * 30 + [LabelledPair(0.9, 0.0, group="y")] * 30
    assert "right in 0%" in why(cross_fit(pairs, "isotonic", folds=2))


def test_folds_are_dealt_by_seed_alone() -> None:
    pairs = drawn(120, 2.0)
    assert cross_fit(pairs, "isotonic", seed=1) == cross_fit(pairs, "isotonic", seed=1)
    assert cross_fit(pairs, "isotonic", seed=1) != cross_fit(pairs, "isotonic", seed=2)


@pytest.mark.parametrize("method", METHODS)
def test_a_calibration_is_stored_and_read_back(method: Method) -> None:
    found = fitted(drawn(100, 2.0), method)
    again = Calibration.model_validate_json(found.model_dump_json())
    assert again == found
    assert again.apply(0.83) == found.apply(0.83)


def test_a_calibration_has_a_temperature_or_knots() -> None:
    for broken in ({}, {"temperature": 2.0, "knots": ((0.5, 0.5), (1.0, 1.0))}):
        with pytest.raises(ValidationError, match="either a temperature or knots"):
            Calibration(method="temperature", labels=1, **broken)  # type: ignore[arg-type]

"""The benchmark of the judge: how sure its labels are, before and after calibration."""

import math

import numpy as np
import pytest

from benchmarks.judge_world.sureness import RAW, brier, crossed, deal, ece, log_loss, sureness
from rlaif.judges.calibration import LabelledPair


def test_figures_of_sureness_by_hand() -> None:
    p, outcome = np.array([0.8, 0.6]), np.array([1.0, 0.0])
    assert brier(p, outcome) == pytest.approx((0.04 + 0.36) / 2)
    assert log_loss(p, outcome) == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    # Bins of 0.8 and 0.6, and of their mirror images: 0.2 and 0.6 off.
    assert ece(p, outcome) == pytest.approx((0.2 + 0.6) / 2)
    assert log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-math.log(1e-3))


def test_labels_that_are_too_sure_are_mended_on_the_other_half() -> None:
    """At 0.95, and 140 of 200 right in each half, one more counted each way: 141 of 202."""
    pairs = [LabelledPair(0.95, float(i % 10 < 7), group=f"{i}") for i in range(400)]
    halves = np.arange(400) // 10 % 2
    after, temperatures = crossed(pairs, halves, "temperature")
    assert isinstance(after, np.ndarray)
    assert after == pytest.approx(np.full(400, 141 / 202), abs=1e-6)
    expected = math.log(0.95 / 0.05) / math.log(141 / 61)
    assert temperatures == pytest.approx([expected, expected], abs=1e-5)
    found = sureness(pairs, seed=3, rounds=50)
    assert found[RAW]["ece"]["value"] == pytest.approx(0.25)
    assert found["isotonic"]["ece"]["value"] < 0.05
    change = found["temperature"]["differences"]["log_loss"]
    assert change["low"] <= change["value"] <= change["high"] < 0.0


def test_halves_are_even_and_every_pair_is_calibrated_by_the_other_half() -> None:
    halves = deal(10, seed=1)
    assert sorted(halves.tolist()) == [0] * 5 + [1] * 5
    right, wrong = LabelledPair(0.9, 1.0), LabelledPair(0.9, 0.0)
    parts = np.array([0] * 4 + [1] * 4)
    three_of_four = [right, right, right, wrong]
    after, _ = crossed([*three_of_four, *[right] * 4], parts, "isotonic")
    assert isinstance(after, np.ndarray)
    assert after == pytest.approx(np.array([5 / 6] * 4 + [4 / 6] * 4))
    # Half of them right is no better than chance: a curve would say nothing.
    after, _ = crossed([*three_of_four, right, wrong, right, wrong], parts, "isotonic")
    assert not isinstance(after, np.ndarray)

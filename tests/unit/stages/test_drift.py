"""Drift: found where agreement surely fell, never by noise, and told in figures."""

import math

import pytest
from human_samples import measured, said
from scipy import stats

from rlaif.seeds import numpy_generator
from rlaif.stages.drift import (
    Drift,
    FrozenAgreement,
    agreement_with,
    change_of_mean,
    find_drift,
    measure_frozen,
)


def names(count: int) -> dict[str, str]:
    """Label ids, each of a prompt of its own."""
    return {f"label {i}": f"prompt {i}" for i in range(count)}


def drift(now: FrozenAgreement, *earlier: FrozenAgreement, max_drift: float = 0.05) -> Drift:
    prompt_of = names(500)
    return find_drift(now, dict(enumerate(earlier, start=1)), prompt_of, max_drift)


@pytest.mark.parametrize(
    ("human", "judge", "expected"),
    [
        (1.0, 0.6, 1.0),
        (1.0, 0.4, 0.0),
        (0.0, 0.4, 1.0),
        (0.7, 0.51, 1.0),
        (1.0, 0.5, 0.0),
        (0.5, 0.5, 1.0),
        (0.5, 0.75, 0.5),
        (0.5, 0.0, 0.0),
        (0.3, None, None),
    ],
)
def test_agreement_with_a_pair(human: float, judge: float | None, expected: float | None) -> None:
    assert agreement_with(said("x", human), judge) == expected


def test_agreement_with_a_rating_is_what_is_missing_to_the_distance() -> None:
    assert agreement_with(said("x", 0.25, rated=True), 0.75) == 0.5
    assert agreement_with(said("x", 0.25, rated=True), None) is None


def test_only_frozen_labels_measure_and_unscored_ones_are_counted_apart() -> None:
    labels = [
        said("right", 1.0, frozen=True),
        said("wrong", 0.0, frozen=True),
        said("close", 0.5, frozen=True, rated=True, prompt="q"),
        said("silent", 1.0, frozen=True, prompt="r"),
        said("free", 1.0, prompt="s"),
        said("gone", 1.0, frozen=True, prompt="t"),
    ]
    heard = {"right": 0.9, "wrong": 0.9, "close": 0.75, "silent": None, "free": 0.1}
    found = measure_frozen(labels, heard)
    assert found.by_label == {"right": 1.0, "wrong": 0.0, "close": 0.75, "silent": None}
    assert found.agreement == pytest.approx(1.75 / 3)
    assert (found.labels, found.prompts, found.unscored) == (4, 2, 1)
    assert (found.low, found.high) == pytest.approx((0.1250, 0.9321), abs=1e-4)


def test_without_a_frozen_label_nothing_is_measured() -> None:
    found = measure_frozen([said("free", 1.0)], {"free": 1.0})
    assert (found.agreement, found.low, found.high, found.labels) == (None, 0.0, 1.0, 0)
    assert "no frozen label" in drift(found).reason
    assert not drift(found).found


def test_the_first_measurement_is_no_drift() -> None:
    found = drift(measured({"label 1": 1.0}))
    assert (found.found, found.reference, found.change) == (False, None, None)
    assert "first time" in found.reason


def test_too_few_prompts_tell_nothing() -> None:
    now, before = measured(dict.fromkeys(names(9), 0.0)), measured(dict.fromkeys(names(9), 1.0))
    found = drift(now, before)
    assert not found.found
    assert "frozen labels of 9 prompts, at least 10" in found.reason
    assert (found.reference, found.labels, found.prompts) == (1, 9, 9)


def test_a_sure_fall_is_drift_and_a_smaller_one_is_not() -> None:
    before = measured(dict.fromkeys(names(40), 1.0))

    def fallen(count: int) -> Drift:
        now = {name: float(i >= count) for i, name in enumerate(names(40))}
        return drift(measured(now), before)

    assert [fallen(n).found for n in (0, 2, 4, 8, 20, 40)] == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    found = fallen(8)
    assert found.change is not None
    assert found.change.value == pytest.approx(-0.2)
    error = math.sqrt(0.2 * 0.8 / 39)
    assert found.change.error == pytest.approx(error)
    assert found.change.high == pytest.approx(-0.2 + stats.t.ppf(0.975, 39) * error)
    assert "changed by -0.200 [-0.330, -0.070] since cycle 1" in found.reason


def test_what_is_allowed_is_allowed() -> None:
    before = measured(dict.fromkeys(names(40), 1.0))
    now = measured({name: float(i >= 8) for i, name in enumerate(names(40))})
    assert drift(now, before, max_drift=0.07).found
    assert not drift(now, before, max_drift=0.08).found
    assert not drift(before, now).found


def test_a_judge_that_fell_silent_has_drifted() -> None:
    before = measured(dict.fromkeys(names(20), 1.0))
    assert drift(measured(dict.fromkeys(names(20), None)), before).found
    always = measured(dict.fromkeys(names(20), None))
    assert not drift(always, always).found


def test_only_labels_of_both_cycles_are_compared_and_the_worst_fall_counts() -> None:
    best = measured({**dict.fromkeys(list(names(30))[:20], 1.0), "label 77": 0.0})
    first = measured(dict.fromkeys(names(30), 0.5))
    now = measured({**dict.fromkeys(list(names(30))[10:], 0.25), "label 88": 0.0})
    found = drift(now, first, best)
    assert (found.reference, found.labels, found.prompts) == (2, 10, 10)
    assert found.change is not None
    assert found.change.value == -0.75
    assert drift(now, measured({"label 99": 1.0})).reason.endswith("for the first time")


def test_labels_of_one_prompt_stand_or_fall_together() -> None:
    """Four labels for each of ten prompts say no more than ten labels do."""
    prompt_of = {f"{p}-{i}": f"prompt {p}" for p in range(10) for i in range(4)}
    changes = {name: -float(name.startswith(("0", "1", "2"))) for name in prompt_of}
    apart = {f"label {p}": -float(p < 3) for p in range(10)}
    together = change_of_mean(changes, prompt_of, 0.95)
    alone = change_of_mean(apart, names(10), 0.95)
    assert together.value == alone.value == pytest.approx(-0.3)
    assert together.high == pytest.approx(alone.high)


@pytest.mark.parametrize("change", [0.0, -0.5, -1.0])
def test_labels_that_all_changed_alike_are_not_certainty(change: float) -> None:
    """As if one label of forty had changed altogether: a deviation of root(39 / 40) per label."""
    found = change_of_mean(dict.fromkeys(names(40), change), names(40), 0.95)
    assert found.value == change
    half = stats.t.ppf(0.975, 39) / 40
    low = max(change - half, -1.0)  # no agreement falls by more than all of it
    assert (found.low, found.high) == pytest.approx((low, change + half))


def test_the_more_cycles_there_are_to_fall_from_the_surer_it_must_be() -> None:
    before = measured(dict.fromkeys(names(40), 1.0))
    now = measured({name: float(i >= 8) for i, name in enumerate(names(40))})
    one, many = drift(now, before).change, drift(now, *[before] * 10).change
    assert one is not None
    assert many is not None
    assert many.high - many.value == pytest.approx(
        (one.high - one.value) * stats.t.ppf(1 - 0.0025, 39) / stats.t.ppf(0.975, 39)
    )


def test_noise_alone_is_hardly_ever_drift() -> None:
    """A judge that errs by chance in every cycle anew, twelve cycles, two hundred times."""
    rng = numpy_generator(5)
    alarms = 0
    for _ in range(200):
        cycles = [
            measured(dict(zip(names(40), (rng.random(40) < 0.8).astype(float), strict=True)))
            for _ in range(12)
        ]
        alarms += drift(cycles[-1], *cycles[:-1], max_drift=0.0).found
    assert alarms <= 10

"""Drift against several earlier cycles: none of them hides what another one shows."""

from collections.abc import Mapping

import pytest
from human_samples import measured
from scipy import stats

from rlaif.seeds import numpy_generator
from rlaif.stages.drift import Drift, FrozenAgreement, find_drift

NAMES = [f"label {i}" for i in range(200)]
PROMPT_OF = {name: f"prompt of {name}" for name in NAMES}


def right(names: list[str]) -> FrozenAgreement:
    return measured(dict.fromkeys(names, 1.0))


def fallen(*lost: int) -> FrozenAgreement:
    return measured({name: float(i not in lost) for i, name in enumerate(NAMES)})


def drift(
    now: FrozenAgreement, earlier: Mapping[int, FrozenAgreement], max_drift: float = 0.05
) -> Drift:
    return find_drift(now, earlier, PROMPT_OF, max_drift)


HALF = fallen(*range(0, 200, 2))


def test_a_cycle_of_few_labels_hides_nothing() -> None:
    alone = drift(HALF, {2: right(NAMES)})
    assert alone.found
    assert drift(HALF, {1: right(NAMES[:9:2]), 2: right(NAMES)}) == alone


def test_a_wider_interval_below_a_lower_mean_hides_nothing() -> None:
    now = fallen(*range(4), *range(105, 141))
    twelve = {1: right(NAMES[:12])}
    assert not drift(now, twelve).found
    found = drift(now, {**twelve, 2: right(NAMES[:150])})
    assert (found.found, found.reference, found.labels) == (True, 2, 150)


@pytest.mark.parametrize("flipped", [False, True])
def test_the_reference_is_the_cycle_that_shows_it_most_surely(flipped: bool) -> None:
    both = [right(NAMES[:20]), right(NAMES)]
    found = drift(HALF, dict(enumerate(both[::-1] if flipped else both)))
    assert found.reference == (0 if flipped else 1)
    assert found.labels == 200


def test_of_equals_the_earliest_cycle_is_the_reference() -> None:
    assert drift(HALF, {7: right(NAMES), 3: right(NAMES), 5: right(NAMES)}).reference == 3


def test_the_level_is_shared_among_cycles_that_can_tell() -> None:
    few = {i: right(NAMES[:9]) for i in range(5)}
    found = drift(HALF, {**few, 8: right(NAMES), 9: right(NAMES)}).change
    assert found is not None
    assert found.high - found.value == pytest.approx(stats.t.ppf(1 - 0.025 / 2, 199) * found.error)


def test_ten_prompts_tell_and_nine_do_not() -> None:
    gone = fallen(*range(200))
    assert drift(gone, {1: right(NAMES[:10])}).found
    assert not drift(gone, {1: right(NAMES[:9])}).found


def test_where_no_cycle_can_tell_the_one_with_most_prompts_is_named() -> None:
    found = drift(HALF, {1: right(NAMES[:3]), 2: right(NAMES[:8]), 3: right(NAMES[:5])})
    assert (found.found, found.reference, found.labels, found.prompts) == (False, 2, 8, 8)
    assert "frozen labels of 8 prompts, at least 10" in found.reason


def test_noise_alone_is_hardly_ever_drift_whatever_the_cycles_share() -> None:
    """A judge that errs by chance anew in each cycle, on frozen labels that grow in number."""
    rng = numpy_generator(7)
    alarms = 0
    for _ in range(200):
        cycles = {
            i: measured({n: float(rng.random() < 0.8) for n in NAMES[:size]})
            for i, size in enumerate((6, 12, 20, 40, 60, 60))
        }
        now = cycles.pop(5)
        alarms += drift(now, cycles, max_drift=0.0).found
    assert alarms <= 10

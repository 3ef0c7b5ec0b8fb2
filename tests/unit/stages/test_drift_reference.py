"""What drift is measured against: the same hash, since the owner accepted; and no more of it."""

from collections.abc import Mapping

import numpy as np

from rlaif.seeds import numpy_generator
from rlaif.stages.drift import Drift, FrozenAgreement
from rlaif.stages.drift_reference import Acceptance, Measured, drift_from, reference_of

LABELS = {f"label {i}": f"prompt {i}" for i in range(40)}
OLD, NEW = "a" * 64, "b" * 64


def right(count: int) -> FrozenAgreement:
    """A measurement that agrees with so many of forty labels, the first ones."""
    return of([float(i < count) for i in range(len(LABELS))])


def of(values: list[float]) -> FrozenAgreement:
    by_label = dict(zip(LABELS, values, strict=True))
    counts = {"labels": len(LABELS), "prompts": len(LABELS), "unscored": 0}
    return FrozenAgreement(agreement=None, low=0.0, high=1.0, by_label=by_label, **counts)


def drift(
    now: FrozenAgreement,
    earlier: Mapping[int, Measured],
    accepted: Acceptance | None = None,
    rubric_hash: str = OLD,
) -> Drift:
    return drift_from(reference_of(earlier, rubric_hash, accepted), now, LABELS, 0.05)


def under(rubric_hash: str, **cycles: int) -> dict[int, Measured]:
    return {int(name[1:]): Measured(rubric_hash, right(n)) for name, n in cycles.items()}


def test_a_changed_rubric_or_judge_begins_a_new_reference_and_says_so() -> None:
    found = drift(right(10), under(OLD, c1=40, c3=40), rubric_hash=NEW)
    assert (found.found, found.begins, found.reference, found.basis) == (False, True, None, "")
    assert found.told == (
        "the rubric or the judge was changed since cycle 3 (aaaaaaaaaaaa, now bbbbbbbbbbbb): a new "
        "reference begins with this cycle"
    )


def test_after_a_change_the_cycles_under_the_new_hash_are_compared() -> None:
    earlier = {**under(OLD, c1=40, c2=40), **under(NEW, c3=20)}
    steady = drift(right(20), earlier, rubric_hash=NEW)
    assert (steady.found, steady.begins, steady.reference) == (False, False, 3)
    assert steady.basis == "compared with cycle 3; 2 under another rubric or judge left out"
    fallen = drift(right(5), earlier, rubric_hash=NEW)
    assert (fallen.found, fallen.reference) == (True, 3)


def test_going_back_to_an_old_rubric_goes_back_to_its_cycles() -> None:
    earlier = {**under(OLD, c1=40), **under(NEW, c2=20)}
    found = drift(right(20), earlier, rubric_hash=OLD)
    assert (found.found, found.reference) == (True, 1)


def test_a_silent_change_stays_an_alarm_however_many_cycles_follow() -> None:
    earlier = under(OLD, c1=40, c2=40)
    for cycle in range(3, 9):
        found = drift(right(20), earlier)
        assert (found.found, found.reference) == (True, 1)
        assert found.basis == f"compared with {cycle - 1} cycles, 1 to {cycle - 1}"
        earlier[cycle] = Measured(OLD, right(20))


def test_what_was_accepted_is_the_reference_from_then_on() -> None:
    earlier = under(OLD, c1=40, c2=40, c3=20)
    accepted = Acceptance(cycle=3, reason="a new model, a good one")
    found = drift(right(20), earlier, accepted)
    assert (found.found, found.reference) == (False, 3)
    assert found.told.endswith(
        "since cycle 3; compared with cycle 3; the judge was accepted as cycle 3 measured it: a "
        "new model, a good one"
    )
    assert drift(right(20), earlier).found


def test_acceptance_does_not_hide_a_later_drift_not_even_the_very_next_one() -> None:
    accepted = Acceptance(cycle=3, reason="fine")
    earlier = under(OLD, c1=40, c2=40, c3=20)
    assert drift(right(8), earlier, accepted).found
    later = {**earlier, **under(OLD, c4=20, c5=20)}
    found = drift(right(8), later, accepted)
    assert (found.found, found.reference) == (True, 3)
    assert found.basis.startswith("compared with 3 cycles, 3 to 5; the judge was accepted")


def test_a_change_after_an_acceptance_begins_a_new_reference_too() -> None:
    accepted = Acceptance(cycle=2, reason="fine")
    found = drift(right(8), under(OLD, c1=40, c2=20), accepted, NEW)
    assert (found.found, found.begins) == (False, True)
    assert "since cycle 2" in found.reason


def test_before_any_measurement_there_is_nothing_to_say() -> None:
    found = drift(right(40), {})
    assert (found.begins, found.basis) == (False, "")
    assert found.told == "the frozen labels are measured for the first time"
    silent = right(40).model_copy(update={"labels": 0, "by_label": {}})
    assert "no frozen label" in drift(silent, under(OLD, c1=40), rubric_hash=NEW).told


def test_the_level_is_shared_among_the_cycles_that_are_compared_and_no_others() -> None:
    """Left-out cycles neither widen the interval nor count: it is that of one comparison."""
    alone = drift(right(30), under(OLD, c9=40)).change
    others = under(NEW, c1=40, c2=40, c3=40)
    among = drift(right(30), {**others, **under(OLD, c9=40)}).change
    accepted = Acceptance(cycle=9, reason="fine")
    since = drift(right(30), under(OLD, c1=40, c2=40, c9=40), accepted).change
    three = drift(right(30), under(OLD, c1=40, c2=40, c9=40)).change
    assert alone is not None
    assert three is not None
    assert among == since == alone
    assert three.high > alone.high


def test_noise_under_many_rubrics_and_acceptances_is_hardly_ever_drift() -> None:
    """Twelve cycles, a rubric changed after four and an acceptance after eight, 200 times."""
    rng, alarms = numpy_generator(11), np.zeros(12)
    for _ in range(200):
        earlier: dict[int, Measured] = {}
        for cycle in range(1, 13):
            rubric_hash = OLD if cycle <= 4 else NEW
            accepted = Acceptance(cycle=8, reason="fine") if cycle > 8 else None
            now = of((rng.random(len(LABELS)) < 0.8).astype(float).tolist())
            reference = reference_of(earlier, rubric_hash, accepted)
            alarms[cycle - 1] += drift_from(reference, now, LABELS, 0.0).found
            earlier[cycle] = Measured(rubric_hash, now)
    assert alarms.max() / 200 <= 0.06
    assert alarms[0] == alarms[4] == 0

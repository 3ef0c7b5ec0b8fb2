"""Win rates and their intervals against figures computed by other means."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.records import PairVerdict
from rlaif.stages.evaluation import Duel, wilson, win_rate


def duel(p: float | None, gap: int = 0, quarantined: str | None = None) -> Duel:
    verdict = PairVerdict(
        first_id="a",
        second_id="b",
        p_first=p,
        quarantined=quarantined,
        unscored=None if p is not None else "no verdict",
    )
    return Duel(verdict, 20 + gap, 20)


def test_wilson_by_hand() -> None:
    # 8 of 10 at 95%: (0.4902, 0.9433), the textbook example.
    low, high = wilson(0.8, 10, 0.95)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert wilson(0.5, 0, 0.95) == (0.0, 1.0)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.6, 0.99))
def test_wilson_solves_its_own_equation(count: int, rate: float, confidence: float) -> None:
    from statistics import NormalDist

    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    low, high = wilson(rate, count, confidence)
    assert 0.0 <= low <= rate + 1e-9
    assert rate - 1e-9 <= high <= 1.0
    for bound in (low, high):
        if 1e-6 < bound < 1 - 1e-6:
            spread = z * math.sqrt(bound * (1 - bound) / count)
            assert abs(rate - bound) == pytest.approx(spread, abs=1e-6)


def test_ties_count_half_and_unscored_apart() -> None:
    found = win_rate([duel(0.9), duel(0.1), duel(0.5), duel(None), duel(0.8)], 0.95)
    assert found.rate == pytest.approx(2.5 / 4)
    assert (found.prompts, found.unscored) == (5, 1)


def test_a_verdict_that_flips_with_order_is_a_tie_here() -> None:
    assert win_rate([duel(0.9, quarantined="flips")], 0.95).rate == 0.5


def test_nothing_scored_claims_nothing() -> None:
    found = win_rate([duel(None)], 0.95)
    assert (found.low, found.high, found.length_controlled) == (0.0, 1.0, None)


def test_length_control_takes_away_what_length_explains() -> None:
    longer_wins = [duel(0.9, gap=20)] * 60 + [duel(0.1, gap=-20)] * 20 + [duel(0.1, gap=0)] * 20
    found = win_rate(longer_wins, 0.95)
    assert found.rate == pytest.approx(0.6)
    assert found.length_controlled is not None
    assert found.length_controlled < 0.45


def test_length_control_leaves_alone_what_length_does_not_explain() -> None:
    mixed = [duel(0.9, gap=g) for g in (-8, 0, 8)] * 21 + [duel(0.1, gap=g) for g in (-8, 0, 8)] * 9
    found = win_rate(mixed, 0.95)
    assert found.length_controlled == pytest.approx(0.7, abs=0.02)

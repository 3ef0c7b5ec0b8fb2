"""A pair is preferred, or a tie, alike whichever of its answers is called the first."""

import itertools

import pytest

from rlaif.config import EvaluationConfig, PreferencesConfig
from rlaif.judges.agreement import OrderedPair, order_figures
from rlaif.judges.weighing import flip
from rlaif.records import PairVerdict
from rlaif.sides import is_tie, side
from rlaif.stages.evaluation import Duel, win_rate
from rlaif.stages.previewing import outcome_of

TENTHS = [n / 10 for n in range(11)]
GRID = [(x + y) / 2 for x, y in itertools.product(TENTHS, TENTHS)]
CANCELLING = (3 * 0.2 + 3 * 0.8) / 6  # 0.5000000000000001


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.1, 0.2, 0.25])
def test_a_pair_and_the_same_swapped_are_a_tie_alike(margin: float) -> None:
    for p in GRID:
        assert is_tie(p, margin) == is_tie(1.0 - p, margin), p


def test_what_lies_on_the_margin_is_no_tie() -> None:
    assert [is_tie(p, 0.05) for p in (0.45, 0.451, 0.5, 0.549, 0.55)] == [
        *(False, True, True, True, False)
    ]


def test_sums_that_cancel_prefer_neither() -> None:
    assert CANCELLING != 0.5
    assert (side(CANCELLING), side(0.5 + 1e-8), side(0.5 - 1e-8)) == (0, 1, -1)
    assert is_tie(CANCELLING, 0.0)


def test_a_win_and_a_loss_on_the_gates_margin_count_alike() -> None:
    verdicts = [
        PairVerdict(first_id="a", second_id="b", p_first=p, p_forward=p, p_backward=p)
        for p in (0.55, 0.45)
    ]
    duels = [Duel(verdict, 1, 1) for verdict in verdicts]
    found = win_rate(duels, EvaluationConfig(tie_margin=0.05))
    assert (found.rate, found.tied) == (0.5, 0)


def test_a_preview_keeps_both_sides_of_the_margin() -> None:
    margins = PreferencesConfig(min_margin=0.05)
    found = [
        outcome_of(PairVerdict(first_id="a", second_id="b", p_first=p), margins)
        for p in (0.55, 0.45, CANCELLING)
    ]
    assert found == ["first", "second", "tie"]


def test_orders_that_cancel_are_no_preference_for_a_place() -> None:
    exact = order_figures([OrderedPair(0.5, 0.5)] * 20)
    summed = order_figures([OrderedPair(CANCELLING, 0.5)] * 20)
    assert summed == exact


@pytest.mark.parametrize(
    ("threshold", "forward", "backward"), [(0.2, 0.35, 0.55), (0.25, 0.35, 0.6), (0.3, 0.4, 0.7)]
)
def test_a_flip_as_wide_as_the_threshold_is_none_whichever_is_first(
    threshold: float, forward: float, backward: float
) -> None:
    gaps = {"kind": abs(forward - backward)}
    assert flip(threshold, forward, backward, gaps) is None
    assert flip(threshold, 1.0 - backward, 1.0 - forward, gaps) is None
    assert flip(threshold - 0.01, forward, backward, gaps) is not None

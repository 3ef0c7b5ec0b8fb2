"""Agreement and bias of judges, against figures by hand and other implementations."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

from rlaif.judges.agreement import (
    Estimate,
    OrderedPair,
    accuracy,
    agreement_by_criterion,
    cohen_kappa,
    failure_rate,
    length_figures,
    order_figures,
    proportion,
    self_consistency,
)
from rlaif.seeds import numpy_generator

# Fleiss, "Statistical Methods for Rates and Proportions", table 18.1: 100 subjects, two raters.
FLEISS = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
SAID = st.sampled_from([1, 2, 3])


def columns(table: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    cells = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    return [i for i, _ in cells], [j for _, j in cells]


def some(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def test_a_proportion_leaves_the_unscored_out() -> None:
    found = proportion([True] * 8 + [False] * 2 + [None] * 5)
    assert (found.rate, found.count, found.unscored) == (0.8, 10, 5)
    # Wilson's textbook interval of 8 in 10.
    assert (found.low, found.high) == (
        pytest.approx(0.4902, abs=1e-4),
        pytest.approx(0.9433, abs=1e-4),
    )


def test_nothing_counted_has_no_rate() -> None:
    found = proportion([None, None])
    assert (found.rate, found.low, found.high, found.count, found.unscored) == (
        None,
        0.0,
        1.0,
        0,
        2,
    )


def test_accuracy_counts_what_was_scored() -> None:
    found = accuracy(["A", "B", None, "A"], ["A", "A", "A", "A"])
    assert (found.rate, found.count, found.unscored) == (pytest.approx(2 / 3), 3, 1)
    with pytest.raises(ValueError, match="longer"):
        accuracy(["A"], ["A", "B"])


def test_the_failure_rate_counts_the_unscored() -> None:
    found = failure_rate(["A", None, 0.0, None])
    assert (found.rate, found.count, found.unscored) == (0.5, 4, 0)


def test_kappa_of_a_two_by_two_table_by_hand() -> None:
    # Observed (20 + 15) / 50 = 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    found = cohen_kappa(*columns([[20, 5], [10, 15]]))
    assert found.observed.rate == pytest.approx(0.7)
    assert found.expected == pytest.approx(0.5)
    assert some(found.kappa).value == pytest.approx(0.4)


def test_kappa_and_its_error_as_in_the_textbook() -> None:
    kappa = some(cohen_kappa(*columns(FLEISS)).kappa)
    assert kappa.value == pytest.approx(0.68, abs=0.005)
    assert kappa.error == pytest.approx(0.087, abs=0.001)
    assert kappa.low == pytest.approx(0.51, abs=0.01)
    assert kappa.high == pytest.approx(0.85, abs=0.01)


@given(st.lists(st.tuples(SAID, SAID), min_size=4, max_size=40))
@pytest.mark.parametrize("weighting", ["none", "linear", "quadratic"])
def test_kappa_is_that_of_sklearn(weighting: str, pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = cohen_kappa(first, second, levels=(1, 2, 3), weighting=weighting)  # type: ignore[arg-type]
    if found.kappa is None:
        assert len(set(first)) == len(set(second)) == 1
        return
    weights = None if weighting == "none" else weighting
    theirs = cohen_kappa_score(first, second, labels=[1, 2, 3], weights=weights)
    assert found.kappa.value == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("weighting", ["none", "linear", "quadratic"])
@pytest.mark.parametrize("table", [FLEISS, [[10, 4, 2], [3, 12, 5], [1, 6, 9]]])
def test_the_error_of_kappa_is_that_of_the_delta_method(
    weighting: str, table: list[list[int]]
) -> None:
    steps = np.abs(np.subtract.outer(np.arange(3), np.arange(3))) / 2
    credit = {"none": np.eye(3), "linear": 1 - steps, "quadratic": 1 - steps**2}[weighting]

    def kappa(cells: np.ndarray) -> float:
        share = cells / cells.sum()
        chance = np.outer(share.sum(axis=1), share.sum(axis=0))
        observed, expected = (share * credit).sum(), (chance * credit).sum()
        return float((observed - expected) / (1 - expected))

    share = np.array(table, dtype=float) / np.sum(table)
    slopes = gradient(kappa, share)
    variance = ((share * slopes**2).sum() - (share * slopes).sum() ** 2) / np.sum(table)
    found = cohen_kappa(*columns(table), levels=(0, 1, 2), weighting=weighting)  # type: ignore[arg-type]
    assert some(found.kappa).value == pytest.approx(kappa(share))
    assert some(found.kappa).error == pytest.approx(math.sqrt(variance), rel=1e-6)


def gradient(function: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    slopes = np.zeros_like(at)
    for cell in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[cell] += 1e-6
        down[cell] -= 1e-6
        slopes[cell] = (function(up) - function(down)) / 2e-6
    return slopes


def test_what_one_judge_did_not_score_is_counted_apart() -> None:
    found = cohen_kappa(["A", None, "B", "A"], ["A", "B", None, "B"])
    assert (found.items, found.unscored, found.observed.rate) == (2, 2, 0.5)
    assert found.observed.unscored == 2


def test_kappa_is_unknown_where_chance_agrees_on_all() -> None:
    found = cohen_kappa(["A"] * 5, ["A"] * 5)
    assert (found.kappa, found.expected, found.observed.rate) == (None, 1.0, 1.0)
    assert cohen_kappa([None], ["A"]).kappa is None


def test_weights_need_levels_and_verdicts_must_be_among_them() -> None:
    with pytest.raises(ValueError, match="levels in their order"):
        cohen_kappa([1], [2], weighting="linear")
    with pytest.raises(ValueError, match="none of the levels"):
        cohen_kappa([1], [4], levels=(1, 2, 3))


def test_every_two_judges_are_compared_under_every_criterion() -> None:
    found = agreement_by_criterion(
        {
            "clear": {"human": ["A", "B", "A"], "one": ["A", "B", "B"], "two": ["A", None, "A"]},
            "kind": {"human": ["A", "B"], "one": ["B", "A"]},
        }
    )
    assert set(found["clear"]) == {("human", "one"), ("human", "two"), ("one", "two")}
    assert found["clear"]["human", "one"].observed.rate == pytest.approx(2 / 3)
    assert found["clear"]["human", "two"].items == 2
    assert some(found["kind"]["human", "one"].kappa).value == pytest.approx(-1.0)


def test_order_figures_by_hand() -> None:
    pairs = [
        OrderedPair(0.9, 0.8),  # the first answer, both times
        OrderedPair(0.1, 0.2),  # the second answer
        OrderedPair(0.9, 0.2),  # whatever is shown first
        OrderedPair(0.9, 0.4),  # whatever is shown first
        OrderedPair(0.3, 0.9),  # whatever is shown second
        OrderedPair(0.5, 0.9),  # even once
        OrderedPair(None, 0.9),
        OrderedPair(0.9, None),
    ]
    found = order_figures(pairs)
    assert found.consistent.rate == pytest.approx(2 / 6)
    assert found.same_position.rate == pytest.approx(3 / 6)
    assert found.first_position.rate == pytest.approx(2 / 3)
    assert found.first_position.count == 3
    assert found.undecided == 1
    assert found.consistent.unscored == found.same_position.unscored == 2


P = st.sampled_from([None, 0.0, 0.25, 0.5, 0.75, 1.0])


@given(st.lists(st.builds(OrderedPair, P, P), max_size=20))
def test_naming_the_answers_the_other_way_round_changes_no_order_figure(
    pairs: list[OrderedPair],
) -> None:
    # The first answer is then the second: shown first where it was shown second, and 1 - p better.
    renamed = [
        OrderedPair(*(None if p is None else 1.0 - p for p in reversed(pair))) for pair in pairs
    ]
    assert order_figures(renamed) == order_figures(pairs)


def test_a_judge_of_length_alone_is_found() -> None:
    generator = numpy_generator(1)
    gaps = generator.normal(scale=40.0, size=400)
    chance = 1 / (1 + np.exp(-1.5 * gaps / np.sqrt((gaps**2).mean())))
    verdicts = (generator.random(400) < chance).astype(float).tolist()
    found = length_figures(verdicts, gaps.tolist())
    slope = some(found.slope)
    assert slope.low < 1.5 < slope.high
    assert slope.low > 0.8
    assert found.deviation == pytest.approx(np.sqrt((gaps**2).mean()))
    theirs = LogisticRegression(C=100.0, fit_intercept=False, tol=1e-10)
    theirs.fit((gaps / found.deviation)[:, None], verdicts)
    assert slope.value == pytest.approx(theirs.coef_[0][0], abs=1e-4)


def test_length_that_goes_with_quality_is_not_bias() -> None:
    generator = numpy_generator(2)
    quality = generator.integers(0, 2, size=600).astype(float)
    gaps = (2 * quality - 1) * 10 + generator.normal(scale=10, size=600)
    flips = generator.random(600) < 0.2
    verdicts = np.where(flips, 1 - quality, quality).tolist()
    plain = some(length_figures(verdicts, gaps.tolist()).slope)
    given_quality = some(length_figures(verdicts, gaps.tolist(), quality.tolist()).slope)
    assert plain.low > 0.3
    assert given_quality.low < 0.0 < given_quality.high


def test_the_longer_answers_share_by_hand() -> None:
    found = length_figures([0.9, 0.2, 0.3, 0.5, 0.8, None], [5.0, -3.0, 4.0, 9.0, 0.0, 7.0])
    # Decided and unequal: the first two follow length, the third does not.
    assert found.longer.rate == pytest.approx(2 / 3)
    assert (found.longer.count, found.longer.unscored) == (3, 1)


def test_pairs_of_one_length_have_no_slope() -> None:
    found = length_figures([0.9, 0.1], [0.0, 0.0])
    assert (found.slope, found.deviation, found.longer.rate) == (None, 0.0, None)
    assert length_figures([], []).slope is None
    with pytest.raises(ValueError, match="1 verdicts and 2 differences"):
        length_figures([0.5], [1.0, 2.0])
    with pytest.raises(ValueError, match="2 verdicts and 1 differences"):
        length_figures([0.5, 0.5], [1.0])
    with pytest.raises(ValueError, match="1 verdicts"):
        length_figures([0.5], [1.0], quality=[])


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(-50, 50)), min_size=2, max_size=12))
def test_swapping_the_answers_changes_no_slope(pairs: list[tuple[float, int]]) -> None:
    plain = length_figures([p for p, _ in pairs], [float(d) for _, d in pairs]).slope
    swapped = length_figures([1.0 - p for p, _ in pairs], [-float(d) for _, d in pairs]).slope
    if plain is None:
        assert swapped is None
    else:
        assert some(swapped).value == pytest.approx(plain.value, abs=1e-6)


def test_self_consistency_by_hand() -> None:
    # Pairs of samples that agree: 1 of 1; 3 of 6 (A A A B); nothing to compare; 0 of 1.
    found = self_consistency([["A", "A"], ["A", "A", "A", "B"], ["A", None], ["A", "B", None]])
    assert found.rate == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert (found.count, found.unscored) == (3, 1)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_self_consistency_is_the_chance_that_two_samples_agree(p: float) -> None:
    samples = numpy_generator(5).random((4000, 3)) < p
    found = self_consistency([row.tolist() for row in samples])
    assert found.rate == pytest.approx(p**2 + (1 - p) ** 2, abs=0.02)


def test_figures_keep_their_form_in_json() -> None:
    found = order_figures([OrderedPair(0.9, 0.8)])
    assert type(found).model_validate_json(found.model_dump_json()) == found

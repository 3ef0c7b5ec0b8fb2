"""Agreement and bias of judges, against figures by hand and other implementations."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

from rlaif.judges.agreement import (
    Estimate,
    OrderedPair,
    accuracy,
    length_figures,
    order_figures,
    proportion,
)
from rlaif.judges.kappa import cohen_kappa
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
    assert kappa.low < 0.51 < 0.8 < kappa.high


@pytest.mark.parametrize("weighting", ["none", "linear", "quadratic"])
def test_the_interval_of_kappa_is_two_errors_each_way_in_large_samples(weighting: str) -> None:
    first, second = columns([[100 * n for n in row] for row in FLEISS])
    found = cohen_kappa(first, second, levels=(0, 1, 2), weighting=weighting)  # type: ignore[arg-type]
    kappa = some(found.kappa)
    assert kappa.error is not None
    assert kappa.low == pytest.approx(kappa.value - 1.96 * kappa.error, abs=1e-3)
    assert kappa.high == pytest.approx(kappa.value + 1.96 * kappa.error, abs=1e-3)


@pytest.mark.parametrize("items", [2, 20, 200])
def test_kappa_is_no_surer_than_the_share_that_agrees(items: int) -> None:
    """Chance agrees on half: kappa is twice the share less one, so are the ends of its interval."""
    said = ["A", "B"] * (items // 2)
    alike, against = cohen_kappa(said, said), cohen_kappa(said, said[::-1])
    kappa = some(alike.kappa)
    assert (kappa.value, kappa.error) == (1.0, None)
    assert kappa.low == pytest.approx(2.0 * alike.observed.low - 1.0)
    assert kappa.high == pytest.approx(1.0)
    opposed = some(against.kappa)
    assert (opposed.value, opposed.error) == (-1.0, None)
    assert (opposed.low, opposed.high) == (pytest.approx(-1.0), pytest.approx(-kappa.low))


@pytest.mark.parametrize("items", [2, 20, 200])
def test_a_judge_that_always_says_the_same_is_not_surely_no_better_than_chance(items: int) -> None:
    kappa = some(cohen_kappa(["A"] * items, ["A", "B"] * (items // 2)).kappa)
    assert kappa.value == pytest.approx(0.0)
    assert kappa.low < -1.0 / items
    assert kappa.high > 1.0 / items


@settings(deadline=None)
@given(st.lists(st.tuples(SAID, SAID), min_size=1, max_size=40))
@pytest.mark.parametrize("weighting", ["none", "linear", "quadratic"])
def test_the_interval_of_kappa_holds_it_and_has_a_width(
    weighting: str, pairs: list[tuple[int, int]]
) -> None:
    first, second = zip(*pairs, strict=True)
    kappa = cohen_kappa(first, second, levels=(1, 2, 3), weighting=weighting).kappa  # type: ignore[arg-type]
    if kappa is not None:
        assert -1.0 <= kappa.low <= kappa.value + 1e-9
        assert kappa.value - 1e-9 <= kappa.high <= 1.0
        assert kappa.high - kappa.low > 0.3 / math.sqrt(len(pairs))


@pytest.mark.parametrize(("items", "least"), [(10, 0.85), (20, 0.9), (50, 0.92), (200, 0.93)])
@pytest.mark.parametrize("truth", [0.4, 0.7, 0.9])
def test_the_interval_of_kappa_covers_it_as_often_as_it_says(
    truth: float, items: int, least: float
) -> None:
    """Two levels, six in ten A: 95% at best, and hardly less in samples as small as people's."""
    margin = np.array([0.6, 0.4])
    cells = truth * np.diag(margin) + (1.0 - truth) * np.outer(margin, margin)
    tables = numpy_generator(9).multinomial(items, cells.ravel(), size=400).reshape(-1, 2, 2)
    found = [cohen_kappa(*columns(table.tolist())).kappa for table in tables]
    known = [kappa for kappa in found if kappa is not None]
    covered = [kappa.low - 1e-9 <= truth <= kappa.high + 1e-9 for kappa in known]
    assert sum(covered) / len(covered) > least


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


@pytest.mark.parametrize("p", [1.0, 0.7, 0.0])
@pytest.mark.parametrize("count", [1, 2, 20, 200])
def test_pairs_that_all_say_the_same_of_length_are_not_certainty(count: int, p: float) -> None:
    slope = some(length_figures([p] * count, [5.0] * count).slope)
    assert slope.low <= slope.value <= slope.high
    assert slope.high - slope.low > 1.0 / count
    surely = count >= 20
    assert (slope.low > 0.0 or slope.high < 0.0) == surely


def test_two_pairs_more_hardly_change_the_interval_of_many() -> None:
    generator = numpy_generator(3)
    gaps = generator.normal(size=4000)
    verdicts = (generator.random(4000) < 1 / (1 + np.exp(-gaps))).astype(float)
    slope = some(length_figures(verdicts.tolist(), gaps.tolist()).slope)
    assert slope.error is not None
    assert slope.low == pytest.approx(slope.value - 1.96 * slope.error, abs=5e-3)
    assert slope.high == pytest.approx(slope.value + 1.96 * slope.error, abs=5e-3)


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


def test_figures_keep_their_form_in_json() -> None:
    found = order_figures([OrderedPair(0.9, 0.8)])
    assert type(found).model_validate_json(found.model_dump_json()) == found

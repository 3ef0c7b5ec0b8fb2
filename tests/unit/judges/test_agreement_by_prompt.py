"""Figures of agreement whose items hang together: no surer for saying the same thing again."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.figures import correlation_interval
from rlaif.intervals import wilson
from rlaif.judges.agreement import (
    Estimate,
    OrderedPair,
    Proportion,
    accuracy,
    length_figures,
    order_figures,
    proportion,
)
from rlaif.judges.kappa import cohen_kappa
from rlaif.seeds import numpy_generator

Pairs = list[tuple[int, int]]


def some(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


def width(found: Estimate | Proportion) -> float:
    return found.high - found.low


def names(count: int) -> list[str]:
    return [f"prompt {n}" for n in range(count)]


def kappa_of(pairs: Pairs, clusters: Sequence[str] | None = None) -> Estimate | None:
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    return cohen_kappa(first, second, range(3), "quadratic", clusters=clusters).kappa


def test_a_share_of_five_prompts_that_always_agree_is_that_of_five() -> None:
    found = proportion([True] * 20, clusters=[n for n in "abcde" for _ in range(4)])
    assert (found.rate, found.count) == (1.0, 20)
    assert (found.low, found.high) == pytest.approx(wilson(1.0, 5, 0.95))


def test_what_is_unscored_is_left_out_with_its_cluster() -> None:
    found = proportion([True, None, False, True], clusters=["a", "a", "b", "b"])
    same = proportion([True, False, True], clusters=["a", "b", "b"])
    assert (found.low, found.high, found.unscored) == (same.low, same.high, 1)
    graded = accuracy(["x", None, "y", "x"], ["x"] * 4, clusters=["a", "a", "b", "b"])
    assert graded == found


def test_nothing_counted_has_no_rate_with_clusters_either() -> None:
    assert proportion([None], clusters=["a"]) == proportion([None])
    assert proportion([], clusters=[]).high == 1.0


def test_order_figures_go_by_prompts() -> None:
    kept, first = OrderedPair(0.9, 0.8), OrderedPair(0.9, 0.2)
    pairs = [*[kept] * 5, *[first] * 5, OrderedPair(None, 0.5), OrderedPair(0.5, 0.5)]
    clusters = [*"aabbccddee", "f", "f"]
    alone, together = order_figures(pairs), order_figures(pairs, clusters=clusters)
    assert order_figures(pairs, clusters=names(12)) == alone
    assert together.undecided == alone.undecided == 1
    for name in ("consistent", "same_position", "first_position"):
        one, other = getattr(alone, name), getattr(together, name)
        assert (one.rate, one.count, one.unscored) == (other.rate, other.count, other.unscored)
        assert width(other) > width(one)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=30))
@settings(max_examples=50)
def test_kappa_of_an_item_per_prompt_is_the_plain_one_and_saying_it_twice_is_no_surer(
    pairs: Pairs,
) -> None:
    plain, own = kappa_of(pairs), names(len(pairs))
    assert kappa_of(pairs, own) == plain
    twice = kappa_of(pairs * 2, own * 2)
    if plain is not None:
        assert some(twice).value == pytest.approx(plain.value)
        # Half an observation more in each cell weighs half as much beside twice the items.
        assert width(some(twice)) > 0.8 * width(plain)
        assert width(some(twice)) > width(some(kappa_of(pairs * 2)))


def test_the_interval_of_kappa_is_that_of_resampling_prompts() -> None:
    """The bootstrap draws whole prompts, and knows nothing of influences."""
    generator = numpy_generator(11)
    truth = generator.integers(3, size=(150, 1)).repeat(4, axis=1)
    wrong = generator.random((150, 1)) < 0.3
    said = np.where(wrong, generator.integers(3, size=(150, 1)), truth)
    said = np.where(generator.random((150, 4)) < 0.1, generator.integers(3, size=(150, 4)), said)

    def kappa(rows: np.ndarray, clusters: Sequence[str] | None = None) -> Estimate:
        pairs = zip(said[rows].ravel().tolist(), truth[rows].ravel().tolist(), strict=True)
        return some(kappa_of(list(pairs), clusters))

    everything = np.arange(150)
    found = kappa(everything, [n for n in names(150) for _ in range(4)])
    draws = [kappa(generator.integers(150, size=150)).value for _ in range(300)]
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)
    assert width(kappa(everything)) < 0.7 * width(found)


def lengths(prompts: int, each: int, seed: int) -> tuple[list[float], list[float], list[str]]:
    """Verdicts that follow length in some prompts, and its contrary in others."""
    generator = numpy_generator(seed)
    likes = generator.normal(0.3, 1.0, (prompts, 1))
    gaps = generator.normal(0.0, 5.0, (prompts, each))
    p = 1.0 / (1.0 + np.exp(-likes * gaps / 5.0))
    clusters = [n for n in names(prompts) for _ in range(each)]
    return (
        (generator.random(p.shape) < p).astype(float).ravel().tolist(),
        gaps.ravel().tolist(),
        clusters,
    )


def test_the_slope_of_length_goes_by_prompts() -> None:
    verdicts, gaps, clusters = lengths(80, 6, seed=2)
    plain = length_figures(verdicts, gaps)
    found = length_figures(verdicts, gaps, clusters=clusters)
    assert length_figures(verdicts, gaps, clusters=names(480)) == plain
    assert some(found.slope).value == some(plain.slope).value
    assert width(some(found.slope)) > 1.2 * width(some(plain.slope))
    assert width(found.longer) > width(plain.longer)
    generator = numpy_generator(3)
    rows = np.arange(480).reshape(80, 6)
    draws = []
    for _ in range(200):
        taken = rows[generator.integers(80, size=80)].ravel().tolist()
        again = length_figures([verdicts[i] for i in taken], [gaps[i] for i in taken])
        draws.append(some(again.slope).value * found.deviation / again.deviation)
    low, high = np.quantile(draws, [0.025, 0.975])
    assert width(some(found.slope)) == pytest.approx(float(high - low), rel=0.2)


@pytest.mark.parametrize("p", [0.9, 1.0])
def test_pairs_of_one_prompt_that_all_follow_length_are_as_sure_as_one(p: float) -> None:
    found = some(length_figures([p] * 9, [5.0] * 9, clusters=["a"] * 9).slope)
    assert found.low < 0.0 < found.value <= found.high


def two_ratings(prompts: int, each: int, seed: int) -> tuple[np.ndarray, list[str]]:
    generator = numpy_generator(seed)
    of_prompt = generator.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], prompts)
    own = generator.multivariate_normal([0, 0], [[0.2, 0.1], [0.1, 0.2]], (prompts, each))
    pairs = (of_prompt[:, None, :] + own).reshape(-1, 2)
    return pairs, [n for n in names(prompts) for _ in range(each)]


def test_a_correlation_by_prompts_covers_the_truth_and_the_naive_one_does_not() -> None:
    """Both parts of each rating are correlated by one half, so that the whole is."""
    inside = {"clustered": 0, "naive": 0}
    for seed in range(200):
        pairs, clusters = two_ratings(25, 5, seed)
        for how, own in (("clustered", clusters), ("naive", names(125))):
            _, low, high = correlation_interval(pairs, own, 0.95)
            inside[how] += low <= 0.5 <= high
    assert 0.93 <= inside["clustered"] / 200 <= 0.99
    assert inside["naive"] / 200 < 0.8


def test_correlated_ratings_said_again_are_no_surer() -> None:
    pairs, own = two_ratings(12, 1, seed=4)
    once = correlation_interval(pairs, own, 0.95)
    again = correlation_interval(np.tile(pairs, (3, 1)), own * 3, 0.95)
    assert again.value == pytest.approx(once.value)
    assert again.high - again.low >= once.high - once.low - 1e-9


def test_one_prompt_tells_nothing_of_a_correlation() -> None:
    pairs, clusters = two_ratings(1, 10, seed=1)
    found = correlation_interval(pairs, clusters, 0.95)
    assert found.value is not None
    assert (found.low, found.high) == (-1.0, 1.0)
    line = np.array([[n / 4, n / 4] for n in range(12)])
    whole = correlation_interval(line, [str(n // 2) for n in range(12)], 0.95)
    alone = correlation_interval(line[:6], names(6), 0.95)
    assert whole.value == pytest.approx(1.0)
    assert (whole.low, whole.high) == (pytest.approx(alone.low), 1.0)

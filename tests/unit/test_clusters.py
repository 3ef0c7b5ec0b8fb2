"""What clustered observations are worth: by hand, by resampling prompts, by covering the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.clusters import cluster_sums, effective_size, error_of_mean, numbered, usual_size
from rlaif.intervals import wilson
from rlaif.seeds import numpy_generator

EVEN = 0.95
SHARE = (0.0, 1.0)


def size_of(outcomes: list[float], names: list[str]) -> float:
    return effective_size(np.array(outcomes), numbered(names, len(names)), SHARE)


def test_names_of_clusters_become_numbers() -> None:
    assert numbered(["b", "a", "b"], 3).tolist() == [0, 1, 0]
    assert numbered(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="2 observations and the clusters of 1"):
        numbered(["a"], 2)


def test_sums_over_clusters() -> None:
    rows = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert cluster_sums(rows, numbered(["a", "b", "a"], 3)).tolist() == [[5.0, 50.0], [2.0, 20.0]]
    assert cluster_sums(np.zeros(0), numbered([], 0)).tolist() == []


def test_the_usual_size_weighs_clusters_by_their_observations() -> None:
    assert usual_size(numbered(["a"] * 3 + ["b"], 4)) == (9 + 1) / 4


def test_the_effective_size_by_hand() -> None:
    """Two prompts of two: yes yes, yes no; and two more of two, all yes and all no.

    The mean of all eight is 5 / 8. Sums of deviations: 0.75, -0.25, 0.75, -1.25, whose squares make
    2.75; squares of single ones 5 * (3 / 8)^2 + 3 * (5 / 8)^2 = 1.875. 4 / (2.75 / 1.875).
    """
    assert size_of([1, 1, 1, 0], ["a", "a", "b", "b"]) == pytest.approx(4 * 1.875 / 2.75)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_where_all_say_the_same_clusters_are_what_counts(outcome: float) -> None:
    assert size_of([outcome] * 12, list("aaabbbcccddd")) == pytest.approx(4.0)
    uneven = size_of([outcome] * 12, list("aaaaaaaabbcd"))
    assert uneven == pytest.approx(144 / (64 + 4 + 1 + 1))
    assert uneven < 4.0
    assert size_of([outcome] * 12, ["a"] * 12) == pytest.approx(1.0)


@pytest.mark.parametrize("outcomes", [[1.0] * 7, [1.0, 0.0] * 5, [1.0] + [0.0] * 9])
def test_a_judgement_per_prompt_is_worth_itself(outcomes: list[float]) -> None:
    own = [str(n) for n in range(len(outcomes))]
    assert size_of(outcomes, own) == len(outcomes)


clustered = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.3, 1.0])), min_size=1
)


@given(clustered)
def test_observations_are_worth_no_more_than_they_are(data: list[tuple[str, float]]) -> None:
    size = size_of([value for _, value in data], [name for name, _ in data])
    assert 0.0 < size <= len(data)


@given(st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1), st.integers(2, 5))
def test_saying_it_again_makes_nothing_surer(values: list[float], times: int) -> None:
    names = [str(n) for n in range(len(values))]
    assert size_of(values * times, names * times) == pytest.approx(len(values))


@given(clustered, st.integers(2, 5))
def test_what_hangs_together_is_worth_the_same_said_again(
    data: list[tuple[str, float]], times: int
) -> None:
    values, names = [value for _, value in data], [name for name, _ in data]
    once = size_of(values, names)
    if once < len(values):
        assert size_of(values * times, names * times) == pytest.approx(once)


@given(clustered)
def test_yes_and_no_are_only_names(data: list[tuple[str, float]]) -> None:
    names = [name for name, _ in data]
    turned = [1.0 - value for _, value in data]
    assert size_of(turned, names) == pytest.approx(size_of([v for _, v in data], names))


def drawn(prompts: int, each: int, share: float, together: float, seed: int) -> np.ndarray:
    """Draw repetitions of sums of each prompt's outcomes, beta-binomial [2000, prompts].

    Any two outcomes of a prompt are correlated by ``together``.
    """
    generator, spread = numpy_generator(seed), 1.0 / together - 1.0
    own = generator.beta(share * spread, (1.0 - share) * spread, (2000, prompts))
    return generator.binomial(each, own)


@pytest.mark.parametrize(
    ("prompts", "each", "share", "together"),
    [(20, 5, 0.2, 0.3), (20, 5, 0.5, 0.7), (40, 4, 0.1, 0.4), (10, 10, 0.5, 0.3)],
)
def test_the_interval_covers_as_often_as_it_says_and_the_naive_one_does_not(
    prompts: int, each: int, share: float, together: float
) -> None:
    count, clusters = prompts * each, np.repeat(np.arange(prompts), each)
    covered = {"clustered": 0, "naive": 0}
    samples = drawn(prompts, each, share, together, seed=prompts + each)[:500]
    for sums in samples:
        outcomes = np.concatenate([[1.0] * k + [0.0] * (each - k) for k in sums.tolist()])
        worth = {"clustered": effective_size(outcomes, clusters, SHARE), "naive": count}
        for how, size in worth.items():
            low, high = wilson(float(outcomes.mean()), size, EVEN)
            covered[how] += low <= share <= high
    assert 0.93 <= covered["clustered"] / len(samples) <= 0.99
    assert covered["naive"] / len(samples) < 0.85


def test_the_error_of_a_mean_is_that_of_resampling_prompts() -> None:
    """The bootstrap draws whole prompts (Field & Welsh 2007), which is another way to the same."""
    generator = numpy_generator(5)
    outcomes = (generator.random((60, 4)) < generator.beta(1.0, 1.0, (60, 1))).astype(float)
    resampled = outcomes[generator.integers(60, size=(4000, 60))].mean(axis=(1, 2))
    found = error_of_mean(outcomes.ravel() - outcomes.mean(), np.repeat(np.arange(60), 4))
    assert found == pytest.approx(float(resampled.std()), rel=0.05)
    alone = error_of_mean(outcomes.ravel() - outcomes.mean(), np.arange(240))
    assert alone < 0.75 * found


def test_the_effective_size_is_that_of_resampling_prompts() -> None:
    """Among many prompts the two that are added weigh little."""
    generator = numpy_generator(6)
    outcomes = (generator.random((400, 5)) < generator.beta(0.6, 0.9, (400, 1))).astype(float)
    resampled = outcomes[generator.integers(400, size=(2000, 400))].mean(axis=(1, 2))
    mean = float(outcomes.mean())
    found = effective_size(outcomes.ravel(), np.repeat(np.arange(400), 5), SHARE)
    assert found == pytest.approx(mean * (1.0 - mean) / float(resampled.var()), rel=0.1)


def test_an_error_is_no_less_than_it_is_taken_to_be() -> None:
    found = error_of_mean(np.zeros(4), numbered(list("aabb"), 4), least=0.5)
    assert found == pytest.approx(math.sqrt(2 / 1 * 0.5) / 4)

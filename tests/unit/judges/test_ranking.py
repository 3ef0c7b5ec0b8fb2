"""Worths from rankings, against an optimiser and by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize

import rlaif.judges.ranking as module
from rlaif.errors import StageError
from rlaif.judges.ranking import PRIOR, plackett_luce
from rlaif.seeds import numpy_generator

NAMES = "abcde"
RANKINGS = st.lists(
    st.permutations(NAMES).flatmap(lambda p: st.integers(1, 5).map(lambda n: p[:n])),
    min_size=1,
    max_size=8,
)


def by_optimiser(rankings: list[list[str]], weights: list[float], prior: float) -> dict[str, float]:
    """The penalised likelihood of Plackett-Luce, written out and maximised by BFGS."""
    names = sorted({name for ranking in rankings for name in ranking})

    def loss(logs: np.ndarray) -> float:
        by_name = dict(zip(names, logs, strict=True))
        total = 0.0
        for ranking, weight in zip(rankings, weights, strict=True):
            for place in range(len(ranking)):
                left = [by_name[name] for name in ranking[place:]]
                total -= weight * (left[0] - float(np.logaddexp.reduce(left)))
        for value in logs:
            total += prior * float(np.logaddexp(0.0, -value) + np.logaddexp(0.0, value))
        return total

    found = minimize(loss, np.zeros(len(names)), method="BFGS", options={"gtol": 1e-9})
    return dict(zip(names, found.x.tolist(), strict=True))


@settings(max_examples=30, deadline=None)
@given(RANKINGS, st.sampled_from([0.1, 0.5, 2.0]))
def test_worths_are_those_of_an_optimiser(rankings: list[list[str]], prior: float) -> None:
    found = plackett_luce(rankings, prior=prior)
    theirs = by_optimiser(rankings, [1.0] * len(rankings), prior)
    assert dict(found.log_worths) == pytest.approx(theirs, abs=1e-4)


def test_weights_are_counts() -> None:
    rankings = [["a", "b", "c"], ["c", "a"], ["b", "c"]]
    found = plackett_luce(rankings, weights=[2.0, 1.0, 0.5])
    assert dict(found.log_worths) == pytest.approx(
        by_optimiser(rankings, [2.0, 1.0, 0.5], PRIOR), abs=1e-4
    )
    twice = plackett_luce([rankings[0], *rankings])
    weighed = plackett_luce(rankings, weights=[2.0, 1.0, 1.0])
    assert dict(weighed.log_worths) == pytest.approx(dict(twice.log_worths))


def test_two_answers_by_hand() -> None:
    # Three rankings a > b; by symmetry worth_b = 1 / worth_a = 1 / x, and the likelihood is level
    # where 3 + 1/2 = 3 x^2 / (x^2 + 1) + x / (x + 1).
    x = brentq(lambda x: 3 * x * x / (x * x + 1) + x / (x + 1) - 3.5, 1.0, 100.0)
    found = plackett_luce([["a", "b"]] * 3)
    assert found.log_worths["a"] == pytest.approx(math.log(x))
    assert found.log_worths["b"] == pytest.approx(-math.log(x))
    assert found.p_beats("a", "b") == pytest.approx(x * x / (x * x + 1))


def test_a_weak_prior_leaves_the_share_of_wins() -> None:
    found = plackett_luce([["a", "b"]] * 3 + [["b", "a"]], prior=1e-4)
    assert found.p_beats("a", "b") == pytest.approx(0.75, abs=1e-3)


def test_worths_of_drawn_rankings_are_found() -> None:
    generator = numpy_generator(4)
    truth = {"a": 1.0, "b": 0.5, "c": -0.5, "d": -1.0}
    rankings = []
    for _ in range(3000):
        noise = generator.gumbel(size=4)
        keys = {name: value + g for (name, value), g in zip(truth.items(), noise, strict=True)}
        rankings.append(sorted(keys, key=lambda name: -keys[name]))
    found = plackett_luce(rankings)
    assert found.steps < 100
    centre = np.mean(list(found.log_worths.values()))
    for name, value in truth.items():
        assert found.log_worths[name] - centre == pytest.approx(value, abs=0.12)


@given(RANKINGS)
def test_pairs_are_antisymmetric_and_finite(rankings: list[list[str]]) -> None:
    found = plackett_luce(rankings)
    for first, second in itertools.permutations(found.log_worths, 2):
        p = found.p_beats(first, second)
        assert p + found.p_beats(second, first) == 1.0
        assert 0.0 < p < 1.0


@given(RANKINGS)
def test_rankings_turned_round_turn_two_answers_round(rankings: list[list[str]]) -> None:
    pairs = [ranking[:2] for ranking in rankings if len(ranking) > 1]
    if pairs:
        up, down = plackett_luce(pairs), plackett_luce([pair[::-1] for pair in pairs])
        for name in up.log_worths:
            assert down.log_worths[name] == pytest.approx(-up.log_worths[name], abs=1e-6)


def test_the_one_ranking_is_kept() -> None:
    found = plackett_luce([["c", "a", "b"]])
    assert sorted(found.log_worths, key=lambda n: -found.log_worths[n]) == ["c", "a", "b"]
    assert 0.5 < found.p_beats("c", "a") < found.p_beats("c", "b") < 1.0


def test_a_ranking_of_one_or_none_says_nothing() -> None:
    assert dict(plackett_luce([["a"], []]).log_worths) == {"a": 0.0}
    assert dict(plackett_luce([]).log_worths) == {}


@pytest.mark.parametrize(
    ("rankings", "weights", "prior", "words"),
    [
        ([["a", "b", "a"]], None, 0.5, "a > b > a names an answer twice"),
        ([["a", "b"]], [0.0], 0.5, "weights = [0.0]"),
        ([["a", "b"]], [1.0, 1.0], 0.5, "2 weights for 1 rankings"),
        ([["a", "b"]], None, 0.0, "prior = 0.0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    rankings: list[list[str]], weights: list[float] | None, prior: float, words: str
) -> None:
    with pytest.raises(StageError) as caught:
        plackett_luce(rankings, weights=weights, prior=prior)
    assert words in str(caught.value)


@pytest.mark.parametrize("count", [10, 1000])
def test_many_that_agree_settle_soon(count: int) -> None:
    found = plackett_luce([list(NAMES)] * count)
    assert found.steps < 1000
    theirs = by_optimiser([list(NAMES)], [float(count)], PRIOR)
    assert dict(found.log_worths) == pytest.approx(theirs, abs=2e-3)


def test_a_fit_that_does_not_settle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 3)
    with pytest.raises(StageError, match="of 3 answers did not settle in 3 rounds"):
        plackett_luce([["a", "b", "c"]] * 10)

"""Logistic regression, intervals and calibration error against other implementations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from rlaif.figures import calibration_error
from rlaif.intervals import normal_quantile
from rlaif.logistic import fit_logistic, logit, sigmoid
from rlaif.seeds import numpy_generator


def drawn(rows: int = 300, columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = numpy_generator(7)
    design = generator.normal(size=(rows, columns))
    chance = 1 / (1 + np.exp(-design @ np.array([1.5, -0.5, 0.2])[:columns]))
    return design, (generator.random(rows) < chance).astype(np.float64)


def test_the_quantile_of_the_tables() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert normal_quantile(0.9) == pytest.approx(1.644854, abs=1e-6)


@given(st.floats(-30, 30))
def test_sigmoid_and_logit_undo_each_other_and_turn_round(value: float) -> None:
    assert sigmoid(value) + sigmoid(-value) == 1.0
    assert logit(sigmoid(value)) == pytest.approx(value, abs=1e-2 if abs(value) > 20 else 1e-6)


def test_sigmoid_by_hand_and_far_out() -> None:
    assert sigmoid(0.0) == 0.5
    assert sigmoid(math.log(3.0)) == pytest.approx(0.75)
    assert (sigmoid(1e6), sigmoid(-1e6)) == (1.0, 0.0)


@pytest.mark.parametrize("ridge", [0.01, 1.0, 30.0])
def test_coefficients_are_those_of_sklearn(ridge: float) -> None:
    design, target = drawn()
    theirs = LogisticRegression(C=1.0 / ridge, fit_intercept=False, tol=1e-12, max_iter=10_000)
    theirs.fit(design, target)
    ours = fit_logistic(design, target, ridge)
    assert ours.coefficients == pytest.approx(theirs.coef_[0], abs=1e-5)


def test_soft_outcomes_are_fitted_too() -> None:
    design, target = drawn()
    soft = 0.1 + 0.8 * target

    def loss(w: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-design @ w))
        fit = -(soft * np.log(p) + (1 - soft) * np.log(1 - p)).sum()
        return float(fit + 0.01 / 2 * w @ w)

    theirs = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9})
    assert fit_logistic(design, soft, 0.01).coefficients == pytest.approx(theirs.x, abs=1e-4)


def test_errors_are_those_of_many_drawings() -> None:
    generator = numpy_generator(3)
    fits, told = [], []
    for _ in range(300):
        design = generator.normal(size=(200, 1))
        target = (generator.random(200) < 1 / (1 + np.exp(-design[:, 0]))).astype(np.float64)
        fit = fit_logistic(design, target, 1e-6)
        fits.append(fit.coefficients[0])
        told.append(math.sqrt(fit.covariance[0, 0]))
    assert np.std(fits) == pytest.approx(np.mean(told), rel=0.1)


def test_data_that_a_line_separates_stay_finite() -> None:
    design = np.array([[-1000.0], [-1.0], [1.0], [1000.0]])
    fit = fit_logistic(design, np.array([0.0, 0.0, 1.0, 1.0]), 1e-2)
    assert 1.0 < fit.coefficients[0] < 10.0
    assert np.isfinite(fit.covariance).all()


def test_weighted_calibration_error_by_hand() -> None:
    # Bins 7 and 2: weights 3 and 1; |3 * (0.75 - 1)| + |1 * (0.25 - 0.5)| over 4.
    error = calibration_error([0.75, 0.25], [1.0, 0.5], weights=[3.0, 1.0])
    assert error == pytest.approx((0.75 + 0.25) / 4)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_a_weight_of_two_is_a_pair_counted_twice(pairs: list[tuple[float, float]]) -> None:
    p, y = zip(*pairs, strict=True)
    twice = calibration_error(p + p[:1], y + y[:1])
    weighed = calibration_error(p, y, weights=[2.0] + [1.0] * (len(p) - 1))
    assert weighed == pytest.approx(twice)

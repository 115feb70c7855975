"""The logistic path reaches scikit-learn's optimum at every C."""

from __future__ import annotations

import numpy as np
import pytest
from certificate import certify_head

from fixgrid.heads import logistic
from fixgrid.heads.design import rotate_features
from fixgrid.heads.logistic import DINOV2_C, LogisticPath
from fixgrid.heads.loss import loss_along
from fixgrid.heads.losses import Softmax
from fixgrid.heads.softmax import residual

EASY_TO_HARD = (1e-5, 1e-3, 1e-1, 1e1, 1e4)


def draw(n=300, d=40, k=5, seed=0, noise=0.1):
    """Features like a trunk's: correlated, not negative, with a dead channel; some labels wrong."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    centres = rng.standard_normal((k, d))
    mix = rng.standard_normal((d, d)) / np.arange(1, d + 1)
    X = np.maximum(centres[y] + 2 * rng.standard_normal((n, d)) @ mix + 1, 0).astype(np.float32)
    X[:, 3] = 0.7
    wrong = rng.random(n) < noise
    y[wrong] = rng.integers(0, k, wrong.sum())
    return X, y.astype(np.int64)


def fit_reference(X, y, C):
    """scikit-learn's optimum in float64 on standardised features, and its objective."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    S = preprocessing.StandardScaler().fit_transform(X.astype(np.float64))
    model = linear_model.LogisticRegression(C=C, tol=1e-10, max_iter=100_000).fit(S, y)
    Z = model.decision_function(S)
    Z = np.stack([np.zeros(len(y)), Z], 1) if Z.ndim == 1 else Z
    loss = residual(Z, y)[1].sum()
    return model, (model.coef_**2).sum() / 2 + C * loss, S


@pytest.mark.parametrize("C", [1e-6, 1e-5, 1e-4])
def test_coefficients_are_exact_where_a_strong_penalty_hides_them_from_the_objective(C):
    X, y = draw()
    path = LogisticPath(rotate_features(X, y, 5))
    model, _, S = fit_reference(X, y, C)
    expected = S @ model.coef_.T
    path.solve(C / 2)
    scores = path.head(C).scores(X)
    scores, expected = (
        part - part.mean(0) - (part - part.mean(0)).mean(1, keepdims=True) for part in (scores, expected)
    )
    assert np.linalg.norm(scores - expected) <= 2e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize(("n", "d", "k"), [(300, 40, 5), (60, 100, 4), (200, 30, 2)])
def test_the_objective_is_scikit_learns_at_every_strength(n, d, k):
    X, y = draw(n, d, k)
    path = LogisticPath(rotate_features(X, y, k))
    for C in EASY_TO_HARD:
        _, expected, _ = fit_reference(X, y, C)
        objective, gap = certify_head(path.head(C), path.design.axes, X, y)
        assert abs(objective - expected) <= 1e-4 * expected
        assert path.solve(C).gap <= 1e-4
        if C <= 10:  # above, rounding the coefficients to float32 costs the certificate more than the solver does
            assert gap <= 1.1e-4


def test_probabilities_and_intercepts_are_scikit_learns(monkeypatch):
    X, y = draw()
    monkeypatch.setattr(logistic, "TOL", 1e-9)
    model, _, S = fit_reference(X, y, 0.1)
    path = LogisticPath(rotate_features(X, y, 5))
    expected = model.decision_function(S)
    scores = path.head(0.1).scores(X)
    np.testing.assert_allclose(
        scores - scores.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), atol=1e-3
    )


def test_the_certificate_bounds_the_true_distance(monkeypatch):
    X, y = draw()
    _, optimum, _ = fit_reference(X, y, 1.0)
    for tol in (1e-1, 1e-2, 1e-3):
        monkeypatch.setattr(logistic, "TOL", tol)
        path = LogisticPath(rotate_features(X, y, 5))
        objective, gap = certify_head(path.head(1.0), path.design.axes, X, y)
        assert objective - optimum <= gap * objective
        assert gap <= 1.1 * tol


def test_order_of_strengths_does_not_matter():
    X, y = draw()
    up, down = (LogisticPath(rotate_features(X, y, 5)) for _ in range(2))
    for C in EASY_TO_HARD:
        up.solve(C)
    for C in reversed(EASY_TO_HARD):
        down.solve(C)
    for C in EASY_TO_HARD:
        assert up.solve(C).objective == pytest.approx(down.solve(C).objective, rel=2e-4)


def test_a_strength_is_solved_once():
    X, y = draw()
    path = LogisticPath(rotate_features(X, y, 5))
    assert path.solve(0.1) is path.solve(0.1)


def test_the_residual_keeps_its_digits_when_the_loss_is_tiny():
    Z = np.array([[40.0, 0.0, -1.0], [0.0, 3.0, 50.0]], np.float32)
    R, loss = residual(Z, np.array([0, 2]))
    expected, exact = residual(Z.astype(np.longdouble), np.array([0, 2]))
    np.testing.assert_allclose(loss, exact.astype(np.float64), rtol=1e-5)
    np.testing.assert_allclose(R, expected.astype(np.float64), rtol=1e-5)
    assert 0 < loss[0] < 1e-16


def test_the_residual_is_the_gradient_of_the_loss():
    rng = np.random.default_rng(0)
    Z, D = rng.standard_normal((2, 50, 4))
    loss = Softmax(rng.integers(0, 4, 50), 4)
    step = 1e-6
    slope = (loss_along(loss, Z, D, step)[0] - loss_along(loss, Z, D, -step)[0]) / (2 * step)
    assert loss_along(loss, Z, D, 0.0)[1] == pytest.approx(slope, rel=1e-6)


def test_a_logit_that_overflows_exp_is_a_finite_loss():
    R, loss = residual(np.array([[0.0, 500.0]], np.float32), np.array([0]))
    assert loss[0] == 500
    np.testing.assert_array_equal(R, [[-1, 1]])


def test_the_default_grid_is_dinov2s():
    assert len(DINOV2_C) == 45
    np.testing.assert_allclose([DINOV2_C[0], DINOV2_C[24], DINOV2_C[-1]], [1e-6, 1.0, 1e5])


def test_a_numpy_strength_keeps_float32_arithmetic(monkeypatch):
    X, y = draw()
    path = LogisticPath(rotate_features(X, y, 5))
    found = set()
    products = type(path.design).logits
    monkeypatch.setattr(type(path.design), "logits", lambda self, W: found.add(W.dtype) or products(self, W))
    path.solve(np.float64(1e-2))
    path.solve(np.float64(3e-2))
    assert found == {np.dtype(np.float32)}

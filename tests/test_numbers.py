"""Numbers as labels: ridge is scikit-learn's at any size of them, neighbours give their mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from fixgrid.heads import logistic
from fixgrid.heads.closed import RIDGE_ALPHAS
from fixgrid.heads.design import rotate_features
from fixgrid.heads.families import FAMILIES
from fixgrid.heads.logistic import SquaresPath


def draw(n=300, d=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) @ (rng.standard_normal((d, d)) / np.arange(1, d + 1)) + 1
    y = StandardScaler().fit_transform(X) @ rng.standard_normal(d) + rng.standard_normal(n) + 2
    return X.astype(np.float32), y


def fit(family, X, y, strength):
    return FAMILIES[family][0](X, y, 1).head(strength)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(("n", "d"), [(300, 20), (40, 60)])
@pytest.mark.parametrize("alpha", [RIDGE_ALPHAS[-1], 1e0, 1e3, RIDGE_ALPHAS[0]])
def test_ridge_is_scikit_learns_at_any_size_of_the_numbers(n, d, alpha, size):
    X, y = draw(n, d)
    S = StandardScaler().fit_transform(X.astype(np.float64))
    expected = Ridge(alpha=alpha).fit(S, size * y).predict(S)
    head = fit("ridge", X, size * y, alpha)
    assert head.coef.dtype == np.float32
    np.testing.assert_allclose(head.scores(X)[:, 0], expected, rtol=0, atol=5e-4 * size * y.std())


@given(st.floats(1e-6, 1e6), st.floats(-100, 100))
@settings(max_examples=10, deadline=None)
def test_for_any_unit_and_origin_the_prediction_is_the_same(unit, origin):
    X, y = draw()
    plain, moved = (fit("ridge", X, unit * y + shift, 10.0).scores(X) for shift in (0, unit * origin))
    np.testing.assert_allclose(moved / unit - origin, plain / unit, atol=1e-3)


@pytest.mark.parametrize("number", [0.1, 0.5, 0.0])
def test_equal_numbers_are_predicted(number):
    X, _ = draw()
    head = fit("ridge", X, np.full(300, number), 1.0)
    np.testing.assert_allclose(head.scores(X), np.float32(number), rtol=1e-6)


def test_the_solver_finds_what_the_closed_form_gives(monkeypatch):
    monkeypatch.setattr(logistic, "_TOL", 1e-8)
    X, y = draw()
    found = SquaresPath(rotate_features(X, y, 1)).head(10.0).scores(X)
    np.testing.assert_allclose(found, fit("ridge", X, y, 10.0).scores(X), atol=1e-3)


def test_neighbours_give_their_weighted_mean():
    X, y = draw()
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    found = fit("knn", X, y, 7.0).scores(X)
    assert found.shape == (300, 1)
    for i in (0, 5, 299):
        cosine = unit @ unit[i]
        near = np.argsort(-cosine)[:7]
        expected = np.average(y[near], weights=np.exp((cosine[near] - 1) / 0.07))
        assert found[i, 0] == pytest.approx(expected, rel=1e-4)

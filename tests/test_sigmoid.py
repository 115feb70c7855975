"""Several labels per image: each is scikit-learn's logistic regression, certified by itself, in products of all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fixgrid.heads import logistic
from fixgrid.heads.design import Design, rotate_features
from fixgrid.heads.logistic import LogisticPath
from fixgrid.heads.loss import loss_along
from fixgrid.heads.losses import Sigmoid, choose_loss


def draw(n=300, d=20, k=4, seed=0, rarest=None):
    """Correlated features and labels that they tell in part, from ``rarest`` images to half of them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) @ (rng.standard_normal((d, d)) / np.arange(1, d + 1)) + 1
    Z = StandardScaler().fit_transform(X) @ rng.standard_normal((d, k)) / d**0.5 + rng.standard_normal((n, k))
    counts = np.geomspace(rarest or n // 10, n // 2, k).astype(int)
    y = np.stack([column >= np.sort(column)[-count] for column, count in zip(Z.T, counts, strict=True)], axis=1)
    return X.astype(np.float32), y


def fit_reference(X, y, C, **options):
    """scikit-learn's optimum of one label in float64, its objective over ``C n``, and the features' scale."""
    S = StandardScaler().fit_transform(X.astype(np.float64))
    model = LogisticRegression(C=C, tol=1e-12, max_iter=10_000, solver="newton-cholesky", **options).fit(S, y)
    return model, measure(S, y, model.coef_[0], model.intercept_[0], C), S


def measure(S, y, w, b, C):
    return w @ w / (2 * C * len(y)) + np.logaddexp(0, np.where(y, -1, 1) * (S @ w + b)).mean()


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize(("n", "d"), [(300, 20), (40, 60)])
@pytest.mark.parametrize("C", [1e-6, 1e-3, 1e1])
def test_each_label_is_scikit_learns(n, d, C, balanced, monkeypatch):
    monkeypatch.setattr(logistic, "TOL", 1e-8)
    X, y = draw(n, d)
    head = LogisticPath(rotate_features(X, y, 4, balanced)).head(C)
    chances = 1 / (1 + np.exp(-head.scores(X).astype(np.float64)))
    for k in range(4):
        model, _, S = fit_reference(X, y[:, k], C, class_weight="balanced" if balanced else None)
        coef = head.coef[k] * X.std(0, dtype=np.float64)
        assert np.linalg.norm(coef - model.coef_[0]) <= 1e-3 * np.linalg.norm(model.coef_)
        np.testing.assert_allclose(chances[:, k], model.predict_proba(S)[:, 1], atol=1e-3)


def test_of_20_labels_one_of_3_images_in_1000_is_as_near_its_own_optimum_as_others():
    X, y = draw(1000, 8, 20, rarest=3)
    C = 1.0
    assert y[:, 0].sum() == 3
    path = LogisticPath(rotate_features(X, y, 20))
    head = path.head(C)
    for k in (0, 1, 19):
        _, optimum, S = fit_reference(X, y[:, k], C)
        coef = head.coef[k] * X.std(0, dtype=np.float64)
        intercept = head.intercept[k] + head.coef[k] @ X.mean(0, dtype=np.float64)
        assert measure(S, y[:, k], coef, intercept, C) <= optimum * (1 + 1e-4)
    assert path.solve(C).gap <= 1e-4


def test_a_label_that_all_images_have_or_none_has_is_its_frequency_and_leaves_others_alone():
    X, y = draw()
    alone = LogisticPath(rotate_features(X, y, 4)).head(1.0)
    more = np.column_stack([np.ones(300, bool), y, np.zeros(300, bool)])
    head = LogisticPath(rotate_features(X, more, 6)).head(1.0)
    assert not head.coef[[0, 5]].any()
    assert head.intercept[0] == -head.intercept[5] == pytest.approx(np.log(601))
    np.testing.assert_allclose(head.scores(X)[:, 1:5], alone.scores(X), atol=1e-3)


def test_labels_share_their_products_with_the_features(monkeypatch):
    X, y = draw(k=8)
    products = []
    plain = Design.logits
    monkeypatch.setattr(Design, "logits", lambda self, W: products.append(len(W)) or plain(self, W))
    together = LogisticPath(rotate_features(X, y, 8)).head(1e-1)
    shared = list(products)
    alone = [LogisticPath(rotate_features(X, y[:, [k]], 1)).head(1e-1).coef[0] for k in range(8)]
    assert sum(shared) == sum(products[len(shared) :])
    assert len(shared) <= len(products[len(shared) :]) / 4
    np.testing.assert_allclose(together.coef, alone, rtol=1e-3, atol=1e-4)


@given(st.floats(-80, 80), st.booleans())
@settings(max_examples=40, deadline=None)
def test_for_any_logit_the_residual_keeps_its_digits(z, label):
    Z = np.array([[z]], np.float32)
    R, loss = Sigmoid(np.array([[label]])).residual(Z, slice(None))
    margin = float(-Z[0, 0] if label else Z[0, 0])
    exact = np.exp(-np.logaddexp(0.0, -margin))
    assert R[0, 0] == pytest.approx(-exact if label else exact, rel=1e-5, abs=1e-38)
    assert loss[0] == pytest.approx(np.logaddexp(0.0, margin), rel=1e-5, abs=1e-38)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("labels", ["one", "several", "numbers"])
def test_residual_and_curvature_are_the_derivatives_of_every_loss(labels, balanced):
    rng = np.random.default_rng(0)
    y = {"one": rng.integers(0, 4, 50), "several": rng.random((50, 4)) < 0.3, "numbers": rng.random(50)}[labels]
    loss = choose_loss(y, 4, balanced)
    Z, D = rng.standard_normal((2, 50, loss.width))
    step = 1e-5
    (up, _), (value, slope), (down, _) = (loss_along(loss, Z, D, t) for t in (step, 0.0, -step))
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-6)
    assert value == pytest.approx(loss.residual(Z, slice(None))[1].mean())
    one = np.zeros_like(Z)
    one[:, 0] = 1
    (_, more), (_, less) = loss_along(loss, Z, one, step), loss_along(loss, Z, one, -step)
    assert loss.curvature(Z, slice(None))[:, 0].mean() == pytest.approx((more - less) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("labels", ["one", "several", "numbers"])
def test_the_prior_is_the_least_loss_of_constant_logits(labels, balanced):
    rng = np.random.default_rng(0)
    y = {"one": rng.integers(0, 4, 50), "several": rng.random((50, 4)) < 0.3, "numbers": rng.random(50)}[labels]
    loss = choose_loss(y, 4, balanced)
    Z = np.zeros((50, loss.width))
    for _ in range(50):
        Z -= loss.residual(Z, slice(None))[0].mean(0) / loss.curvature(Z, slice(None)).mean(0) / 2
    assert loss.residual(Z, slice(None))[1].mean() == pytest.approx(loss.prior, rel=1e-6)

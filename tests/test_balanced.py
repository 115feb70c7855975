"""Balanced, each class counts as much as any other, in every family that can do so as scikit-learn does it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from fixgrid.cache.errors import UsageError
from fixgrid.heads import logistic
from fixgrid.heads.families import FAMILIES
from fixgrid.heads.losses import choose_loss
from fixgrid.heads.metrics import log_softmax

COUNTS = (200, 2, 60, 20)


def draw(counts=COUNTS, d=20, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    mix = rng.standard_normal((d, d)) / np.arange(1, d + 1)
    X = rng.standard_normal((len(counts), d))[y] + 2 * rng.standard_normal((len(y), d)) @ mix + 1
    return X.astype(np.float32), y


def scale(X):
    return StandardScaler().fit_transform(X.astype(np.float64))


def fit(family, X, y, k, strength):
    return FAMILIES[family][0](X, y, k, balanced=True).head(strength)


def centre(Z):
    return Z - Z.mean(1, keepdims=True)


@pytest.mark.parametrize(("counts", "d"), [(COUNTS, 20), ((30, 2, 8), 60), ((90, 10), 15)])
@pytest.mark.parametrize("C", [1e-3, 1e1])
def test_logistic_is_scikit_learns(counts, d, C, monkeypatch):
    monkeypatch.setattr(logistic, "TOL", 1e-8)
    X, y = draw(counts, d)
    model = LogisticRegression(C=C, class_weight="balanced", tol=1e-10, max_iter=10_000).fit(scale(X), y)
    expected = model.decision_function(scale(X))
    found = fit("logistic", X, y, len(counts), C).scores(X)
    if len(counts) == 2:
        found = found[:, 1] - found[:, 0]
        np.testing.assert_allclose(found, expected, atol=1e-3)
    else:
        np.testing.assert_allclose(centre(found), centre(expected), atol=1e-3)


@pytest.mark.parametrize(("counts", "d"), [(COUNTS, 20), ((30, 2, 8), 60)])
@pytest.mark.parametrize("alpha", [1e-1, 1e3])
def test_ridge_is_scikit_learns(counts, d, alpha):
    X, y = draw(counts, d)
    model = Ridge(alpha=alpha)
    model.fit(scale(X), 2 * np.eye(len(counts))[y] - 1, sample_weight=compute_sample_weight("balanced", y))
    found = fit("ridge", X, y, len(counts), alpha).scores(X)
    np.testing.assert_allclose(found, model.predict(scale(X)), atol=2e-4)


@pytest.mark.parametrize(("counts", "d"), [(COUNTS, 20), ((30, 2, 8), 60)])
@pytest.mark.parametrize("alpha", [1e-1, 1e3])
def test_ridge_of_several_labels_is_scikit_learns_of_each(counts, d, alpha, monkeypatch):
    monkeypatch.setattr(logistic, "TOL", 1e-8)
    X, y = draw(counts, d)
    several = np.eye(len(counts), dtype=bool)[y] | (np.arange(len(y)) % 5 == 0)[:, None]
    found = fit("ridge", X, several, len(counts), alpha).scores(X)
    for k, answers in enumerate(several.T):
        model = Ridge(alpha=alpha)
        model.fit(scale(X), 2.0 * answers - 1, sample_weight=compute_sample_weight("balanced", answers))
        np.testing.assert_allclose(found[:, k], model.predict(scale(X)), atol=1e-3)


def test_a_class_without_rows_takes_no_part_of_the_weight():
    y = np.array([0, 0, 0, 2])
    np.testing.assert_allclose(choose_loss(y, 4, balanced=True).row_weight, [2 / 3] * 3 + [2])


def test_equal_classes_are_balanced_already():
    X, y = draw((40, 40, 40))
    for family in ("logistic", "ridge", "lda", "mean", "sgd"):
        make, strengths = FAMILIES[family]
        middle = strengths[len(strengths) // 2]
        np.testing.assert_allclose(
            fit(family, X, y, 3, middle).scores(X), make(X, y, 3).head(middle).scores(X), atol=1e-2
        )


def test_discriminants_take_all_classes_for_as_likely():
    X, y = draw()
    shift = fit("lda", X, y, 4, 0.1).scores(X) - FAMILIES["lda"][0](X, y, 4).head(0.1).scores(X)
    np.testing.assert_allclose(shift, np.tile(-np.log(4 * np.array(COUNTS) / len(y)), (len(y), 1)), atol=1e-3)


def test_steps_of_gradient_descent_are_those_of_the_weighted_loss():
    X, y = draw((80, 4, 16), 6)
    Z = np.column_stack([scale(X), np.ones(100)])
    weight = compute_sample_weight("balanced", y)[:, None]
    W, V = np.zeros((3, 7)), np.zeros((3, 7))
    for step in range(30):
        V = 0.9 * V + (weight * (np.exp(log_softmax(Z @ W.T)) - np.eye(3)[y])).T @ Z / 100
        W -= 0.02 * (1 + math.cos(math.pi * step / 30)) / 2 * V
    np.testing.assert_allclose(fit("sgd", X, y, 3, 0.02).scores(X), Z @ W.T, atol=1e-4)


def test_gradient_descent_of_several_labels_trains_each_as_alone():
    X, y = draw((80, 4, 16), 6)
    several = np.eye(3, dtype=bool)[y]
    found = fit("sgd", X, several, 3, 0.02)
    for k in range(3):
        np.testing.assert_allclose(found.coef[k], fit("sgd", X, several[:, [k]], 1, 0.02).coef[0], atol=1e-6)


def test_neighbours_are_refused():
    X, y = draw()
    with pytest.raises(
        UsageError, match="found --heads knn with --class-weight balanced; expected some of logistic"
    ):
        fit("knn", X, y, 4, 5.0)


def test_classes_of_1_to_100_take_about_as_many_steps_balanced():
    X, y = draw((500, 50, 5), 30)
    steps = []
    for balanced in (False, True):
        path = FAMILIES["logistic"][0](X, y, 3, balanced=balanced)
        steps.append(sum(path.solve(C).steps for C in logistic.DINOV2_C[:29:4]))
    assert steps[1] <= 1.5 * steps[0]

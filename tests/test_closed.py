"""Closed-form heads and neighbours equal scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from fixgrid.heads.closed import LDAPath, MeanPath, RidgePath
from fixgrid.heads.design import rotate_features
from fixgrid.heads.knn import NeighbourPath
from fixgrid.heads.moments import measure_moments


def draw(n=300, d=20, k=4, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) ** 2 % k)
    y = np.unique(y, return_inverse=True)[1]
    y[: n // 3] = np.arange(n // 3) % k
    X = rng.standard_normal((k, d))[y] + rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / 3 + 5
    return X.astype(np.float32), y.astype(np.int64)


def scale(X):
    return (X - X.mean(0, dtype=np.float64)) / X.std(0, dtype=np.float64)


@pytest.mark.parametrize(("n", "d"), [(300, 20), (40, 90)])
@pytest.mark.parametrize("alpha", [1e-1, 1e1, 1e4])
def test_ridge_is_scikit_learns(n, d, alpha):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = draw(n, d)
    expected = linear_model.Ridge(alpha=alpha).fit(scale(X), 2 * np.eye(4)[y] - 1).predict(scale(X))
    found = RidgePath(rotate_features(X, y, 4)).head(alpha).scores(X)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("shrinkage", [0.01, 0.5, 1.0])
def test_lda_is_scikit_learns(shrinkage):
    analysis = pytest.importorskip("sklearn.discriminant_analysis")
    X, y = draw()
    S = scale(X)
    model = analysis.LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Shrunk(shrinkage)).fit(S, y)
    found = LDAPath(X, y, 4).head(shrinkage).scores(X)
    expected = model.decision_function(S)
    np.testing.assert_allclose(
        found - found.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), rtol=1e-3, atol=1e-2
    )


class Shrunk:
    """scikit-learn's own shrinkage, of each class's covariance, without its scaling of every class apart."""

    def __init__(self, shrinkage):
        self.shrinkage = shrinkage

    def fit(self, X):
        C = np.cov(X.T, bias=True)
        self.covariance_ = (1 - self.shrinkage) * C + self.shrinkage * np.trace(C) / len(C) * np.eye(len(C))


def test_the_nearest_mean_is_found():
    X, y = draw()
    S = scale(X)
    means = np.stack([S[y == k].mean(0) for k in range(4)])
    expected = ((S[:, None] - means) ** 2).sum(2).argmin(1)
    np.testing.assert_array_equal(MeanPath(X, y, 4).head(1.0).scores(X).argmax(1), expected)


def test_moments_of_more_rows_than_a_block_are_numpys():
    X, y = draw(n=10_000, d=5)
    found = measure_moments(X, y, 4)
    exact = X.astype(np.float64)
    means = np.stack([exact[y == k].mean(0) for k in range(4)])
    np.testing.assert_array_equal(found.count, np.bincount(y))
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.class_means, means, rtol=1e-5)
    np.testing.assert_allclose(found.covariance, np.cov(exact.T, bias=True), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.within, np.cov((exact - means[y]).T, bias=True), rtol=1e-4, atol=1e-5)


def test_no_rows_have_no_moments():
    with pytest.raises(ValueError, match="no rows"):
        measure_moments(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), 2)


def test_a_class_without_rows_is_never_predicted():
    X, y = draw()
    for path in (MeanPath(X, y, 5), LDAPath(X, y, 5)):
        assert path.head(0.5).scores(X).argmax(1).max() == 3


def test_neighbours_vote_by_cosine():
    X, y = draw()
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosine = unit @ unit.T
    head = NeighbourPath(X, y, 4).head(7.0)
    for i in (0, 5, 299):
        near = np.argsort(-cosine[i])[:7]
        votes = np.bincount(y[near], np.exp((cosine[i, near] - 1) / 0.07), minlength=4)
        np.testing.assert_allclose(np.exp(head.scores(X[i : i + 1])[0]), votes / votes.sum(), atol=1e-4)


def test_one_neighbour_of_a_training_image_is_itself():
    X, y = draw()
    np.testing.assert_array_equal(NeighbourPath(X, y, 4).head(1.0).scores(X).argmax(1), y)


def test_neighbours_vote_for_and_against_each_of_several_labels():
    X, y = draw()
    several = np.eye(4, dtype=bool)[y] | (np.arange(300) % 3 == 0)[:, None]
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    found = NeighbourPath(X, several, 4).head(7.0).scores(X)
    for i in (0, 5, 299):
        cosine = unit @ unit[i]
        near = np.argsort(-cosine)[:7]
        share = np.average(several[near], 0, np.exp((cosine[near] - 1) / 0.07))
        np.testing.assert_allclose(1 / (1 + np.exp(-found[i])), share, atol=1e-4)

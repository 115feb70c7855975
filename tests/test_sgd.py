"""Gradient descent is that of its formula, the same bits every time, and early stopping regularises as C does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fixgrid.heads import sgd
from fixgrid.heads.design import rotate_features
from fixgrid.heads.logistic import LogisticPath
from fixgrid.heads.metrics import log_softmax
from fixgrid.heads.sgd import SGD_RATES, SGDPath


def draw(n=600, d=12, k=5, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    centres = np.random.default_rng(9).standard_normal((k, d))
    X = (spread * centres[y] + rng.standard_normal((n, d))) * np.geomspace(0.01, 100, d) + 7
    return X.astype(np.float32), y


def loss(head, X, y):
    return -log_softmax(head.scores(X))[np.arange(len(y)), y].mean()


def test_steps_are_those_of_the_formula():
    """With at most 256 rows an epoch is one step over all of them, in whatever order: plain gradient descent."""
    X, y = draw(n=100)
    Z = (X - X.mean(0, dtype=np.float64)) / X.std(0, dtype=np.float64)
    Z = np.column_stack([Z, np.ones(100)])
    W, V = np.zeros((5, 13)), np.zeros((5, 13))
    for step in range(30):
        P = np.exp(log_softmax(Z @ W.T))
        V = 0.9 * V + (P - np.eye(5)[y]).T @ Z / 100
        W -= 0.02 * (1 + math.cos(math.pi * step / 30)) / 2 * V
    found = SGDPath(X, y, 5).head(0.02).scores(X)
    np.testing.assert_allclose(found, Z @ W.T, atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(monkeypatch):
    X, y = draw()
    first, again = (SGDPath(X, y, 5).head(0.05) for _ in range(2))
    monkeypatch.setattr(sgd, "_SEED", 1)
    other = SGDPath(X, y, 5).head(0.05)
    assert first.coef.dtype == first.intercept.dtype == np.float32
    assert first.coef.tobytes() == again.coef.tobytes()
    assert first.intercept.tobytes() == again.intercept.tobytes()
    assert first.coef.tobytes() != other.coef.tobytes()


def test_a_rate_is_trained_once_and_alike_whatever_was_trained_before():
    X, y = draw()
    path = SGDPath(X, y, 5)
    heads = [path.head(rate) for rate in (0.1, 0.01)]
    assert path.head(0.1) is heads[0]
    np.testing.assert_array_equal(heads[1].coef, SGDPath(X, y, 5).head(0.01).coef)


def test_every_row_is_seen_once_in_every_epoch(monkeypatch):
    X, _ = draw(n=601)
    monkeypatch.setattr(sgd, "_EPOCHS", 4)
    batches = [batch for _, _, batch in sgd._shuffle(X)]
    assert [len(batch) for batch in batches] == [201, 200, 200] * 4
    epochs = [np.concatenate(batches[i : i + 3]) for i in range(0, 12, 3)]
    assert all((np.sort(order) == np.arange(601)).all() for order in epochs)
    assert not (epochs[0] == epochs[1]).all()


def test_many_epochs_come_near_the_exact_optimum(monkeypatch):
    X, y = draw(spread=0.5)
    exact = LogisticPath(rotate_features(X, y, 5)).head(1e3)
    monkeypatch.setattr(sgd, "_EPOCHS", 1000)
    head = SGDPath(X, y, 5).head(0.1)
    assert loss(exact, X, y) <= loss(head, X, y) < loss(exact, X, y) + 1e-3


def test_a_larger_rate_fits_the_training_rows_more_closely():
    X, y = draw()
    path = SGDPath(X, y, 5)
    losses = [loss(path.head(rate), X, y) for rate in SGD_RATES]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("rate", [1e-5, 0.1])
def test_a_feature_that_never_varies_and_a_class_without_rows_do_no_harm(rate):
    X, y = draw()
    X[:, 3] = 5
    head = SGDPath(X, y, 6).head(rate)
    assert np.isfinite(head.coef).all()
    assert not head.coef[:, 3].any()
    assert head.scores(X).argmax(1).max() < 5

"""Every head is a scikit-learn estimator, equal to the head on its path."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils.estimator_checks import parametrize_with_checks

from fixgrid.heads.estimators import (
    ESTIMATORS,
    LDAHead,
    LogisticHead,
    NearestMeanHead,
    NeighbourVotes,
    RidgeHead,
    SGDHead,
)
from fixgrid.heads.families import FAMILIES

NAMES = np.array(["ant", "bee", "cat"])


def draw(n=150, d=8):
    rng = np.random.default_rng(3)
    y = np.arange(n) % 3
    X = np.random.default_rng(4).standard_normal((3, d))[y] + rng.standard_normal((n, d)) + 2
    return X.astype(np.float32), y


@parametrize_with_checks([made() for made in ESTIMATORS.values()])
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


def test_every_family_of_the_grid_is_an_estimator():
    assert set(ESTIMATORS) == set(FAMILIES)


@pytest.mark.parametrize(
    ("estimator", "strength"),
    [
        (LogisticHead(0.1), 0.1),
        (RidgeHead(3.0), 3.0),
        (LDAHead(0.5), 0.5),
        (NearestMeanHead(), 1.0),
        (NeighbourVotes(7), 7),
        (SGDHead(0.02), 0.02),
    ],
)
def test_an_estimator_scores_as_the_head_on_its_path(estimator, strength):
    X, y = draw()
    path = FAMILIES[estimator._family][0](X, y, 3)
    estimator.fit(X, NAMES[y])
    np.testing.assert_array_equal(estimator.decision_function(X), path.head(strength).scores(X))
    assert (estimator.predict(X) == NAMES[y]).mean() > 0.8


@pytest.mark.parametrize("made", [LogisticHead, LDAHead, NeighbourVotes, SGDHead])
def test_probabilities_sum_to_one_and_follow_the_predictions(made):
    X, y = draw()
    estimator = made().fit(X, y)
    P = estimator.predict_proba(X)
    np.testing.assert_allclose(P.sum(1), 1)
    np.testing.assert_array_equal(P.argmax(1), estimator.predict(X))


@pytest.mark.parametrize(
    ("estimator", "values"),
    [
        (LogisticHead(), {"C": [1e-6, 1e-1]}),
        (RidgeHead(), {"alpha": [1e7, 1.0]}),
        (LDAHead(), {"shrinkage": [0.999, 0.1]}),
        (NeighbourVotes(), {"k": [1, 20]}),
        (SGDHead(), {"rate": [1e-9, 1e-2]}),
    ],
)
def test_a_strength_is_searched_inside_a_pipeline(estimator, values):
    X, y = draw()
    step = type(estimator).__name__.lower()
    pipeline = make_pipeline(Normalizer(), estimator)
    search = GridSearchCV(pipeline, {f"{step}__{name}": grid for name, grid in values.items()}, cv=3).fit(X, y)
    assert search.best_score_ > 0.7
    assert clone(search.best_estimator_).get_params()[next(iter(search.param_grid))] in next(iter(values.values()))


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticHead(0),
        RidgeHead(-1),
        LDAHead(1.5),
        NeighbourVotes(0),
        SGDHead(0),
        LogisticHead(np.nan),
    ],
)
def test_a_strength_out_of_range_is_refused(estimator):
    with pytest.raises(ValueError, match="expected"):
        estimator.fit(*draw())

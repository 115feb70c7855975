"""Which families suit a task, and whose heads can be kept, is known before anything is fitted."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.heads.closed import RIDGE_ALPHAS
from fixgrid.heads.families import FAMILIES, expect_families, families_for, keep_linear
from fixgrid.heads.linear import LinearHead
from fixgrid.heads.logistic import DINOV2_C


def test_exactly_the_families_with_linear_heads_are_kept():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 4)).astype(np.float32), np.arange(30) % 3
    heads = {name: make(X, y, 3).head(strengths[0]) for name, (make, strengths) in FAMILIES.items()}
    assert keep_linear(tuple(FAMILIES)) == tuple(n for n, head in heads.items() if isinstance(head, LinearHead))


def test_their_order_stays():
    assert keep_linear(("ridge", "knn", "logistic")) == ("ridge", "logistic")


@pytest.mark.parametrize("strengths", [DINOV2_C, RIDGE_ALPHAS])
def test_strengths_are_powers_of_ten_to_the_last_bit_on_any_processor(strengths):
    exponents = np.linspace(np.log10(strengths[0]), np.log10(strengths[-1]), len(strengths)).tolist()
    assert strengths == tuple(float(Decimal(10) ** Decimal(exponent)) for exponent in exponents)


def test_neighbours_alone_are_refused_with_what_to_ask_for():
    with pytest.raises(UsageError, match=r"found knn heads.*logistic,ridge.*--heads"):
        keep_linear(("knn",))


LABELS = {
    "multiclass": np.arange(30) % 3,
    "ordinal": np.arange(30) % 3,
    "multilabel": np.arange(90).reshape(30, 3) % 4 == 0,
    "regression": np.arange(30) / 7,
}


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("task", LABELS)
def test_every_family_of_a_task_scores_each_class_or_number(task, balanced):
    X = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    k = 1 if task == "regression" else 3
    for name in families_for(task, balanced):
        make, strengths = FAMILIES[name]
        head = make(X, LABELS[task], k, balanced=balanced).head(strengths[len(strengths) // 2])
        scores = head.scores(X)
        assert scores.shape == (30, k)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()


def test_a_family_of_another_task_is_refused_with_those_that_suit():
    expect_families(("logistic", "knn"), "multilabel")
    words = "found --heads lda,mean for several labels per image; expected some of logistic,ridge,knn,sgd:"
    with pytest.raises(UsageError, match=words):
        expect_families(("logistic", "lda", "mean"), "multilabel")
    with pytest.raises(UsageError, match="found --heads logistic for numbers; expected some of ridge,knn:"):
        expect_families(("logistic",), "regression")


def test_numbers_are_never_balanced():
    assert families_for("regression", balanced=True) == ()
    with pytest.raises(UsageError, match=r"found --class-weight balanced for numbers.*leave"):
        expect_families(("ridge",), "regression", balanced=True)


def test_a_family_of_ones_own_suits_one_class_an_image(monkeypatch):
    monkeypatch.setitem(FAMILIES, "own", (FAMILIES["mean"][0], (1.0,)))
    assert "own" in families_for("multiclass")
    assert "own" not in families_for("multilabel") + families_for("multiclass", balanced=True)

"""Of the families asked for, those whose head can be kept are known before anything is fitted."""

from __future__ import annotations

import numpy as np
import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.heads.families import FAMILIES, keep_linear
from fixgrid.heads.linear import LinearHead


def test_exactly_the_families_with_linear_heads_are_kept():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 4)).astype(np.float32), np.arange(30) % 3
    heads = {name: make(X, y, 3).head(strengths[0]) for name, (make, strengths) in FAMILIES.items()}
    assert keep_linear(tuple(FAMILIES)) == tuple(n for n, head in heads.items() if isinstance(head, LinearHead))


def test_their_order_stays():
    assert keep_linear(("ridge", "knn", "logistic")) == ("ridge", "logistic")


def test_neighbours_alone_are_refused_with_what_to_ask_for():
    with pytest.raises(UsageError, match=r"found knn heads.*logistic,ridge.*--heads"):
        keep_linear(("knn",))

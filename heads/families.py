"""The kinds of head a grid can try, each as a path and the strengths to walk along it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError

from .closed import LDA_SHRINKAGES, RIDGE_ALPHAS, LDAPath, MeanPath, RidgePath
from .design import rotate_features
from .knn import KNN_SIZES, NeighbourPath
from .logistic import DINOV2_C, LogisticPath
from .select import HeadPath
from .sgd import SGD_RATES, SGDPath

FitPath = Callable[[NDArray[np.float32], NDArray[np.int64], int], HeadPath]


def fit_logistic(X: NDArray[np.float32], y: NDArray[np.int64], n_classes: int) -> HeadPath:
    """Multinomial logistic regression on standardised features."""
    return LogisticPath(rotate_features(X, y, n_classes))


def fit_ridge(X: NDArray[np.float32], y: NDArray[np.int64], n_classes: int) -> HeadPath:
    """Least squares on targets +1 and -1."""
    return RidgePath(rotate_features(X, y, n_classes))


FAMILIES: dict[str, tuple[FitPath, tuple[float, ...]]] = {
    "logistic": (fit_logistic, DINOV2_C),
    "ridge": (fit_ridge, RIDGE_ALPHAS),
    "lda": (LDAPath, LDA_SHRINKAGES),
    "mean": (MeanPath, (1.0,)),
    "knn": (NeighbourPath, KNN_SIZES),
    "sgd": (SGDPath, SGD_RATES),
}

_NOT_KEPT = ("knn",)


def keep_linear(families: Sequence[str]) -> tuple[str, ...]:
    """Those of ``families`` whose head is coefficients, and so can be kept, exported and folded.

    Neighbours are the training features themselves: 63 MB for 12,240 images where coefficients take .6, and
    nothing that a network for other programs, or a correction folded into the head, could be made of.

    Raises
    ------
    UsageError
        If there is none.
    """
    kept = tuple(name for name in families if name not in _NOT_KEPT)
    if not kept:
        raise UsageError(
            f"found {','.join(families)} heads alone, which cannot be kept, expected some of "
            f"{','.join(name for name in FAMILIES if name not in _NOT_KEPT)}: "
            "name one in --heads, or print accuracies with grid."
        )
    return kept

"""The kinds of head a grid can try, each as a path and the strengths to walk along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks
from fixgrid.cache.errors import UsageError

from .closed import LDA_SHRINKAGES, RIDGE_ALPHAS, LDAPath, MeanPath, RidgePath
from .design import Design, rotate_features
from .knn import KNN_SIZES, NeighbourPath
from .logistic import DINOV2_C, LogisticPath, SquaresPath
from .losses import Sigmoid, square_labels
from .select import HeadPath
from .sgd import SGD_RATES, SGDPath
from .streamed import StreamedDesign, stream_features

Features: TypeAlias = NDArray[np.float32] | Blocks
"""Training features (n, D), in memory or on disk."""


class FitPath(Protocol):
    """Fits the heads of one training set; what ``y`` holds tells the task (`fixgrid.heads.losses.choose_loss`)."""

    def __call__(self, X: Features, y: NDArray[Any], n_classes: int, balanced: bool = False) -> HeadPath:
        """The path of features ``X`` (n, D) and labels ``y``; balanced, each class counts as much as any other."""


def fit_logistic(X: Features, y: NDArray[Any], n_classes: int, balanced: bool = False) -> HeadPath:
    """Logistic regression on standardised features: multinomial, or of several labels one each."""
    return LogisticPath(_design(X, y, n_classes, balanced))


def fit_ridge(X: Features, y: NDArray[Any], n_classes: int, balanced: bool = False) -> HeadPath:
    """Least squares on standardised features: targets +1 and -1, or numbers."""
    design = _design(X, y, n_classes, balanced)
    loss = design.loss
    if balanced and isinstance(loss, Sigmoid):
        return SquaresPath(replace(design, loss=square_labels(loss)))
    return RidgePath(design)


def fit_mean(X: Features, y: NDArray[np.int64], n_classes: int, balanced: bool = False) -> HeadPath:
    """Nearest class mean, to which it is all the same how many images a class has."""
    return MeanPath(X, y, n_classes)


def fit_knn(X: Features, y: NDArray[Any], n_classes: int, balanced: bool = False) -> HeadPath:
    """Votes or the mean of the nearest neighbours.

    Raises
    ------
    UsageError
        If classes are to be balanced: what is nearest is nearest.
    """
    if balanced:
        expect_families(("knn",), "multilabel" if y.dtype.kind == "b" else "multiclass", balanced)
    return NeighbourPath(X, y, n_classes)


def _design(X: Features, y: NDArray[Any], n_classes: int, balanced: bool) -> Design | StreamedDesign:
    if isinstance(X, Blocks):
        return stream_features(X, y, n_classes, balanced)
    return rotate_features(X, y, n_classes, balanced)


FAMILIES: dict[str, tuple[FitPath, tuple[float, ...]]] = {
    "logistic": (fit_logistic, DINOV2_C),
    "ridge": (fit_ridge, RIDGE_ALPHAS),
    "lda": (LDAPath, LDA_SHRINKAGES),
    "mean": (fit_mean, (1.0,)),
    "knn": (fit_knn, KNN_SIZES),
    "sgd": (SGDPath, SGD_RATES),
}

_NOT_KEPT = ("knn",)
_BALANCED = ("logistic", "ridge", "lda", "mean", "sgd")
_SUIT = {"multilabel": ("logistic", "ridge", "knn", "sgd"), "regression": ("ridge", "knn")}  # other tasks: all
_SAID = {"multilabel": "several labels per image", "regression": "numbers"}


def families_for(task: str, balanced: bool = False) -> tuple[str, ...]:
    """The families that a task can be asked of, in the order of `FAMILIES`.

    Parameters
    ----------
    task : str
        Of `fixgrid.cache.rows.TASKS`.
    balanced : bool
        With each class counting as much as any other: none for numbers, which have no classes.
    """
    if balanced and task == "regression":
        return ()
    suit = _SUIT.get(task, tuple(FAMILIES))
    return tuple(name for name in FAMILIES if name in suit and (name in _BALANCED or not balanced))


def expect_families(families: Sequence[str], task: str, balanced: bool = False) -> None:
    """Check that all of ``families`` can be asked of a task; see `families_for`.

    Raises
    ------
    UsageError
        If one cannot, or if numbers are to be balanced.
    """
    suit = families_for(task, balanced)
    if not suit:
        raise UsageError(
            "found --class-weight balanced for numbers, expected it for classes alone: leave --class-weight out."
        )
    wrong = [name for name in families if name not in suit]
    if wrong:
        plain = [name for name in wrong if name not in families_for(task)]
        why = f"for {_SAID[task]}" if plain else "with --class-weight balanced"
        raise UsageError(
            f"found --heads {','.join(plain or wrong)} {why}; expected some of {','.join(suit)}: "
            "name those in --heads."
        )


def fit_path(family: str, X: Features, y: NDArray[Any], n_classes: int, balanced: bool = False) -> HeadPath:
    """The heads of one family, see `FitPath`; one that cannot balance classes needs no argument for it."""
    fit: Any = FAMILIES[family][0]
    return fit(X, y, n_classes, balanced=True) if balanced else fit(X, y, n_classes)  # type: ignore[no-any-return]


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
            "name one in --heads, or print figures with grid."
        )
    return kept

"""Several views of one image: as rows of a training set, or as one answer at test time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks
from fixgrid.cache.errors import CacheError
from fixgrid.cache.features import FeatureSet

from .gap import Correction

# Where test images are seen: at one resolution in px, or at several, as in "224+320", and then averaged. A string,
# so that tables, JSON and remembered cells hold what the user typed.
TestRes: TypeAlias = int | str


def list_resolutions(test_res: TestRes) -> tuple[int, ...]:
    """Each resolution at which a test image is seen, px."""
    return tuple(map(int, str(test_res).split("+")))


def view_rows(sets: Sequence[FeatureSet]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Every view of every set as a training row of its own: X (rows, D) and y (rows,) or (rows, K)."""
    X = [
        part.X.flatten_views() if isinstance(part.X, Blocks) else part.X.reshape(-1, part.X.shape[2])
        for part in sets
    ]
    y = [np.repeat(part.y, part.X.shape[1], axis=0) for part in sets]
    return (X[0], y[0]) if len(sets) == 1 else (np.concatenate(X), np.concatenate(y))


def mean_view(features: FeatureSet) -> NDArray[np.float32]:
    """The mean feature vector over an image's views: float32, shape (n, D)."""
    X = features.X
    return X[:, 0] if X.shape[1] == 1 else X.mean(1)


def join_views(sets: Sequence[FeatureSet]) -> FeatureSet:
    """The views of several kinds or resolutions of the same images, side by side: X (n, sum of V, D).

    Raises
    ------
    CacheError
        If the sets hold different rows.
    """
    first, *others = sets
    for other in others:
        if not np.array_equal(other.row, first.row):
            few, many = sorted((len(first.row), len(other.row)))
            raise CacheError(
                f"found features of {few} images in one view and of {many}, or of others, in another; expected the "
                "same images in all views that are averaged: run extract again for both, or give --pairs of one."
            )
    if not others:
        return first
    return replace(first, X=np.concatenate([part.X for part in sets], axis=1))


def see_views(
    X: NDArray[np.float32] | Blocks, corrections: Sequence[Correction], mean_of: str
) -> NDArray[np.float32]:
    """What `heads.select.score_views` takes of an image's views ``X`` (n, V, D).

    Parameters
    ----------
    X : float32 array, shape (n, V, D)
        The views at one test resolution after those at another, as many of each.
    corrections : sequence of Correction
        One for each test resolution, or none.
    mean_of : {"features", "probabilities"}

    Returns
    -------
    float32 array, shape (n, D), or (n, V, D) to average the probabilities of V views
    """
    if isinstance(X, Blocks):  # of one view, or of several whose probabilities are averaged
        if corrections or (X.shape[1] > 1 and mean_of == "features"):
            raise X.refuse("maps or averages features of test images")
        return cast(NDArray[np.float32], X.flatten_views() if X.shape[1] == 1 else X)
    if corrections:
        parts = zip(corrections, np.split(X, len(corrections), axis=1), strict=True)
        X = np.concatenate([correct(part) for correct, part in parts], axis=1)
    if X.shape[1] == 1:
        return X[:, 0]
    return X.mean(1) if mean_of == "features" else X

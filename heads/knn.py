"""Nearest neighbours by cosine, with votes that fade with distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KNN_SIZES = (200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 1.0)
_TEMPERATURE = 0.07  # a neighbour of cosine c votes with exp(c / .07) (Wu et al. 2018, eq. 8)
_BLOCK = 1024  # rows whose similarities to all training rows are in memory at once


@dataclass(frozen=True, eq=False)
class NeighbourHead:
    """Scores of the k nearest training rows.

    Attributes
    ----------
    X : float32 array, shape (n, D)
        Training rows of unit length.
    y : int64 array, shape (n,)
    n_classes : int
    k : int
    """

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    n_classes: int
    k: int

    def scores(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log of each class's share of the votes for ``X`` (n, D), in its dtype: shape (n, K)."""
        rows = unit_rows(X)
        parts = [self._vote(rows[i : i + _BLOCK]) for i in range(0, len(rows), _BLOCK)]
        return np.concatenate(parts)

    def _vote(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        cosine = rows @ self.X.T
        k = min(self.k, len(self.X))
        near = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        weight = np.exp((np.take_along_axis(cosine, near, 1) - 1) / _TEMPERATURE)
        votes = np.zeros((len(rows), self.n_classes), weight.dtype)
        np.add.at(votes, (np.arange(len(rows))[:, None], self.y[near]), weight)
        return np.asarray(np.log(votes / votes.sum(1, keepdims=True) + 1e-30), rows.dtype)


class NeighbourPath:
    """The heads of one training set for any number of neighbours."""

    def __init__(self, X: NDArray[np.float32], y: NDArray[np.int64], n_classes: int):
        self._X, self._y, self._n_classes = unit_rows(X), y, n_classes

    def head(self, strength: float) -> NeighbourHead:
        """The head that asks ``strength`` neighbours."""
        return NeighbourHead(self._X, self._y, self._n_classes, int(strength))


def unit_rows(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of ``X`` (n, D) divided by their length; a zero row stays zero."""
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X / np.where(length > 0, length, 1), X.dtype)

"""Nearest neighbours by cosine, whose say fades with distance."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks

from .arrays import cut_features

KNN_SIZES = (200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 1.0)
_TEMPERATURE = 0.07  # a neighbour of cosine c votes with exp(c / .07) (Wu et al. 2018, eq. 8)
_NOTHING = 1e-30  # a share that no neighbour votes for, whose logarithm is to be finite
_BLOCK = 1024  # rows whose similarities to all training rows are in memory at once


class Stored:
    """Training rows on disk, of which those nearest to other rows are found block by block, and remembered.

    Parameters
    ----------
    X : Blocks, shape (n, D)
    """

    def __init__(self, X: Blocks):
        self._X = X
        self._found: dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        return len(self._X)

    def find(self, rows: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and places of the ``k`` rows nearest to each of ``rows`` (b, D) of unit length: (b, k) each."""
        name = hashlib.sha256(rows.tobytes()).hexdigest()
        if name not in self._found or self._found[name][0].shape[1] < min(k, len(self)):
            self._found[name] = self._search(rows, min(max(k, int(KNN_SIZES[0])), len(self)))
        cosine, near = self._found[name]
        return cosine[:, :k], near[:, :k]

    def _search(self, rows: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        cosine = np.empty((len(rows), 0), rows.dtype)
        near = np.empty((len(rows), 0), np.int64)
        for part in cut_features(self._X):
            here = rows @ unit_rows(self._X[part]).T
            cosine = np.concatenate([cosine, here], axis=1)
            near = np.concatenate([near, np.broadcast_to(np.arange(part.start, part.stop), here.shape)], axis=1)
            if cosine.shape[1] > k:
                best = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
                cosine, near = np.take_along_axis(cosine, best, 1), np.take_along_axis(near, best, 1)
        order = np.argsort(-cosine, axis=1, kind="stable")
        return np.take_along_axis(cosine, order, 1), np.take_along_axis(near, order, 1)


@dataclass(frozen=True, eq=False)
class NeighbourHead:
    """What the k nearest training rows say: votes for classes, for and against each label, or their mean number.

    Attributes
    ----------
    X : float32 array, shape (n, D), or Stored
        Training rows of unit length, or where they are found.
    y : array, shape (n,) or (n, K)
        Labels of one class, of several or numbers, as `fixgrid.heads.losses.choose_loss` tells them apart.
    n_classes : int
    k : int
    """

    X: NDArray[np.float32] | Stored
    y: NDArray[Any]
    n_classes: int
    k: int

    def scores(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log of each class's share of the votes for ``X`` (n, D), in its dtype: shape (n, K).

        Of several labels the log-odds of each one's share; of numbers their weighted mean, (n, 1).
        """
        rows = unit_rows(X)
        parts = [self._ask(rows[i : i + _BLOCK]) for i in range(0, len(rows), _BLOCK)]
        return np.concatenate(parts)

    def _ask(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        k = min(self.k, len(self.X))
        if isinstance(self.X, Stored):
            found, near = self.X.find(rows, k)
        else:
            cosine = rows @ self.X.T
            near = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
            found = np.take_along_axis(cosine, near, 1)
        weight = np.exp((found - 1) / _TEMPERATURE)
        if self.y.dtype.kind == "f":
            return np.average(self.y[near], 1, weight)[:, None].astype(rows.dtype)
        votes = np.zeros((len(rows), self.n_classes), weight.dtype)
        if self.y.dtype.kind == "b":
            against = np.zeros_like(votes)
            for place in range(k):  # not (b, k, K) at once
                has = self.y[near[:, place]]
                votes += has * weight[:, place, None]
                against += ~has * weight[:, place, None]
            return np.log((votes + _NOTHING) / (against + _NOTHING))
        np.add.at(votes, (np.arange(len(rows))[:, None], self.y[near]), weight)
        return np.asarray(np.log(votes / votes.sum(1, keepdims=True) + _NOTHING), rows.dtype)


class NeighbourPath:
    """The heads of one training set for any number of neighbours."""

    def __init__(self, X: NDArray[np.float32] | Blocks, y: NDArray[Any], n_classes: int):
        self._X = Stored(X) if isinstance(X, Blocks) else unit_rows(X)
        self._y, self._n_classes = y, n_classes

    def head(self, strength: float) -> NeighbourHead:
        """The head that asks ``strength`` neighbours."""
        return NeighbourHead(self._X, self._y, self._n_classes, int(strength))


def unit_rows(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of ``X`` (..., D) divided by their length; a zero vector stays zero."""
    length = np.linalg.norm(X, axis=-1, keepdims=True)
    return np.asarray(X / np.where(length > 0, length, 1), X.dtype)

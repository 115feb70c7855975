"""First and second moments of features: all that closed-form heads need."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks

from .arrays import add_by_label, cut_features
from .linear import standard_scale


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over rows about a fixed ``shift``, so that float32 products of large means lose no digits.

    Attributes
    ----------
    shift : float32 array, shape (D,)
    count : int64 or float64 array, shape (K,)
        Rows of each class, or the sum of their weights.
    total : float64 array, shape (K, D)
        Sum of ``x - shift`` over the rows of each class.
    second : float64 array, shape (D, D)
        Sum of ``(x - shift)(x - shift)'`` over all rows.
    """

    shift: NDArray[np.float32]
    count: NDArray[np.int64] | NDArray[np.float64]
    total: NDArray[np.float64]
    second: NDArray[np.float64]

    @property
    def n(self) -> float:
        """Rows counted."""
        return float(self.count.sum())

    @property
    def mean(self) -> NDArray[np.float64]:
        """float64, shape (D,)."""
        return self.shift + self._offset

    @property
    def class_means(self) -> NDArray[np.float64]:
        """float64, shape (K, D); a class without rows has the shift."""
        return self.shift + self._class_offsets

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance about the overall mean, divided by n: float64, shape (D, D)."""
        return self.second / self.n - np.outer(self._offset, self._offset)

    @property
    def within(self) -> NDArray[np.float64]:
        """Covariance about the class means, divided by n: float64, shape (D, D)."""
        return (self.second - self._class_offsets.T @ self.total) / self.n

    @property
    def class_sums(self) -> NDArray[np.float64]:
        """Sum of each class's rows about the overall mean: float64, shape (K, D)."""
        return self.total - np.outer(self.count, self._offset)

    @property
    def _offset(self) -> NDArray[np.float64]:
        """Overall mean from the shift, shape (D,)."""
        total: NDArray[np.float64] = self.total.sum(0)
        return total / self.n

    @property
    def _class_offsets(self) -> NDArray[np.float64]:
        """Class means from the shift, shape (K, D); zero for a class without rows."""
        rows: NDArray[np.int64] = self.count.clip(1)
        return self.total / rows[:, None]


def measure_moments(
    X: NDArray[np.float32] | Blocks,
    y: NDArray[np.int64],
    n_classes: int,
    weight: NDArray[np.float32] | None = None,
) -> Moments:
    """Moments of all rows, about the mean of the first few thousand; of rows on disk measured once for all heads.

    Parameters
    ----------
    X : float32 array or Blocks, shape (n, D)
    y : int64 array, shape (n,)
    n_classes : int
    weight : float32 array, shape (n,), optional
        How often each row counts.

    Raises
    ------
    ValueError
        If there is no row.
    """
    if not len(y):
        raise ValueError("no rows to measure")
    if isinstance(X, Blocks) and weight is None:
        name = f"moments of {n_classes}: {hashlib.sha256(y.tobytes()).hexdigest()}"
        if name not in X.known:
            X.known[name] = _sum_rows(X, y, n_classes, weight)
        found: Moments = X.known[name]
        return found
    return _sum_rows(X, y, n_classes, weight)


def _sum_rows(
    X: NDArray[np.float32] | Blocks, y: NDArray[np.int64], n_classes: int, weight: NDArray[np.float32] | None
) -> Moments:
    d = X.shape[1]
    parts = cut_features(X)
    shift = X[parts[0]].mean(0)
    total, second = np.zeros((n_classes, d)), np.zeros((d, d))
    for part in parts:
        rows = X[part] - shift
        heavy = rows if weight is None else rows * weight[part][:, None]
        add_by_label(total, heavy, y[part])
        second += rows.T @ heavy
    return Moments(shift, np.bincount(y, weight, n_classes), total, second)


def measure_scale(X: NDArray[np.float32] | Blocks) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each column of ``X`` (n, D), as `standard_scale` gives them."""
    mean = X.mean(0, dtype=np.float64)
    squares = (((X[part] - mean.astype(np.float32)) ** 2).sum(0, dtype=np.float64) for part in cut_features(X))
    return standard_scale(mean, sum(squares, np.zeros(X.shape[1])) / len(X))

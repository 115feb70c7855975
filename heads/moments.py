"""First and second moments of features: all that closed-form heads need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import add_by_label, cut_rows


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over rows about a fixed ``shift``, so that float32 products of large means lose no digits.

    Attributes
    ----------
    shift : float32 array, shape (D,)
    count : int64 array, shape (K,)
        Rows of each class.
    total : float64 array, shape (K, D)
        Sum of ``x - shift`` over the rows of each class.
    second : float64 array, shape (D, D)
        Sum of ``(x - shift)(x - shift)'`` over all rows.
    """

    shift: NDArray[np.float32]
    count: NDArray[np.int64]
    total: NDArray[np.float64]
    second: NDArray[np.float64]

    @property
    def n(self) -> int:
        """Rows counted."""
        return int(self.count.sum())

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
    def _offset(self) -> NDArray[np.float64]:
        """Overall mean from the shift, shape (D,)."""
        total: NDArray[np.float64] = self.total.sum(0)
        return total / self.n

    @property
    def _class_offsets(self) -> NDArray[np.float64]:
        """Class means from the shift, shape (K, D); zero for a class without rows."""
        rows: NDArray[np.int64] = self.count.clip(1)
        return self.total / rows[:, None]


def measure_moments(X: NDArray[np.float32], y: NDArray[np.int64], n_classes: int) -> Moments:
    """Moments of all rows, about the mean of the first few thousand.

    Parameters
    ----------
    X : float32 array, shape (n, D)
    y : int64 array, shape (n,)
    n_classes : int

    Raises
    ------
    ValueError
        If there is no row.
    """
    if not len(y):
        raise ValueError("no rows to measure")
    d = X.shape[1]
    parts = cut_rows(len(y))
    shift = X[parts[0]].mean(0)
    total, second = np.zeros((n_classes, d)), np.zeros((d, d))
    for part in parts:
        rows = X[part] - shift
        add_by_label(total, rows, y[part])
        second += rows.T @ rows
    return Moments(shift, np.bincount(y, minlength=n_classes), total, second)

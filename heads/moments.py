"""First and second moments of features, summed over blocks and merged: all that closed-form heads need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .arrays import Array, add_by_label, count_labels, like, namespace, to_float32


@dataclass(eq=False)
class Moments:
    """Sums over rows about a fixed ``shift``, so that float32 products of large means lose no digits.

    Attributes
    ----------
    shift : float32 array, shape (D,)
    count : float64 array, shape (K,)
        Rows of each class.
    total : float64 array, shape (K, D)
        Sum of ``x - shift`` over the rows of each class.
    second : float64 array, shape (D, D)
        Sum of ``(x - shift)(x - shift)'`` over all rows.
    """

    shift: Array
    count: Array
    total: Array
    second: Array

    @classmethod
    def empty(cls, shift: Array, n_classes: int) -> Moments:
        """No rows yet, about ``shift`` (float32, shape (D,))."""
        d = len(shift)
        zeros = [like(np.zeros(shape), shift) for shape in ((n_classes,), (n_classes, d), (d, d))]
        return cls(shift, *zeros)

    def add(self, X: Array, y: Array) -> None:
        """Count the rows of one block: ``X`` float32 or float16 (b, D), ``y`` int64 (b,)."""
        X = to_float32(X) - self.shift
        self.count += count_labels(y, len(self.count))
        add_by_label(self.total, X, y)
        self.second += X.T @ X

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of rows, about this one's shift."""
        xp = namespace(self.shift)
        move = (other.shift - self.shift) * xp.ones_like(self.second[0])
        cross = xp.outer(other.total.sum(0), move)
        second = other.second + cross + cross.T + other.count.sum() * xp.outer(move, move)
        total = other.total + other.count[:, None] * move
        return Moments(self.shift, self.count + other.count, self.total + total, self.second + second)

    @property
    def n(self) -> float:
        """Rows counted."""
        return float(self.count.sum())

    @property
    def mean(self) -> Array:
        """float64, shape (D,)."""
        return self.shift + self.total.sum(0) / self.n

    @property
    def class_means(self) -> Array:
        """float64, shape (K, D); a class without rows has the shift."""
        return self.shift + self.total / self.count.clip(1)[:, None]

    @property
    def covariance(self) -> Array:
        """Covariance about the overall mean, divided by n: float64, shape (D, D)."""
        offset = self.total.sum(0) / self.n
        return self.second / self.n - namespace(offset).outer(offset, offset)

    @property
    def within(self) -> Array:
        """Covariance about the class means, divided by n: float64, shape (D, D)."""
        offset = self.total / self.count.clip(1)[:, None]
        return (self.second - offset.T @ self.total) / self.n


def measure_moments(blocks: Iterable[tuple[Array, Array]], n_classes: int) -> Moments:
    """Moments of all rows of ``blocks``, each (X (b, D), y (b,)), about the first block's mean.

    Raises
    ------
    ValueError
        If there is no block.
    """
    moments = None
    for X, y in blocks:
        if moments is None:
            moments = Moments.empty(to_float32(X).mean(0), n_classes)
        moments.add(X, y)
    if moments is None:
        raise ValueError("no rows to measure")
    return moments

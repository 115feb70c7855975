"""A linear head, and the coordinates its coefficients are fitted in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Array, cast, namespace, to_float32


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Class scores linear in the raw features.

    Attributes
    ----------
    coef : float32 array, shape (K, D)
    intercept : float32 array, shape (K,)
    strength : float
        Where on its path the head was fitted: C of a logistic head, alpha of a ridge head.
    """

    coef: Array
    intercept: Array
    strength: float

    def scores(self, X: Array) -> Array:
        """Logits (or decision values) of ``X`` float32 (n, D): float32, shape (n, K)."""
        return X @ self.coef.T + self.intercept

    def predict(self, X: Array) -> Array:
        """Index of the highest score: int64, shape (n,)."""
        return self.scores(X).argmax(1)


@dataclass(frozen=True, eq=False)
class Axes:
    """The coordinates ``((x - mean) / scale) @ basis`` of a raw feature vector ``x``.

    Attributes
    ----------
    mean, scale : float32 arrays, shape (D,)
    basis : float32 array, shape (D, R)
        Orthonormal columns.
    """

    mean: Array
    scale: Array
    basis: Array

    def enter(self, X: Array) -> Array:
        """Rows ``X`` (n, D) in these coordinates: float32, shape (n, R)."""
        return ((X - self.mean) / self.scale) @ self.basis

    def fold(self, W: Array, strength: float) -> LinearHead:
        """The head on raw features equal to ``W`` (K, R + 1; last column the intercept) on coordinates."""
        coef = W[:, :-1] @ cast(self.basis, W).T / self.scale
        return LinearHead(coef, W[:, -1] - coef @ cast(self.mean, W), strength)

    def pull(self, G: Array, total: Array) -> Array:
        """Gradient by coordinates (K, R) from the gradient by raw coefficients (K, D) and by intercepts (K,)."""
        return ((G - total[:, None] * self.mean) / self.scale) @ cast(self.basis, G)


def standard_scale(mean: Array, variance: Array, standardize: bool) -> tuple[Array, Array]:
    """Mean and standard deviation of the training features as float32, from float64 ones, shape (D,).

    A feature that varies by no more than float32 rounding of its mean keeps scale 1, so that a dead channel
    is not blown up to unit noise. With ``standardize`` false every scale is 1.
    """
    xp = namespace(mean)
    std = xp.sqrt(variance.clip(0))
    keep = std <= 10 * float(np.finfo(np.float32).eps) * abs(mean)
    if not standardize:
        keep = keep | True
    return to_float32(mean), to_float32(xp.where(keep, xp.ones_like(std), std))

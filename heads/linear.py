"""A linear head, and the coordinates its coefficients are fitted in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]
    strength: float

    def scores(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (or decision values) of ``X`` float32 (n, D): float32, shape (n, K)."""
        scores: NDArray[np.float32] = X @ self.coef.T
        scores += self.intercept
        return scores


@dataclass(frozen=True, eq=False)
class Axes:
    """The coordinates ``((x - mean) / scale) @ basis`` of a raw feature vector ``x``.

    Attributes
    ----------
    mean, scale : float32 arrays, shape (D,)
    basis : float32 array, shape (D, R)
        Orthonormal columns.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    basis: NDArray[np.float32]

    def enter(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows ``X`` (n, D) in these coordinates: float32, shape (n, R)."""
        rows: NDArray[np.float32] = X - self.mean
        rows /= self.scale
        return rows @ self.basis

    def fold(self, W: NDArray[np.float32], strength: float) -> LinearHead:
        """The head on raw features equal to ``W`` (K, R + 1; last column the intercept) on coordinates."""
        coef = W[:, :-1] @ self.basis.T / self.scale
        return LinearHead(coef, np.asarray(W[:, -1] - coef @ self.mean, np.float32), strength)


def standard_scale(
    mean: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of the training features as float32, from float64 ones, shape (D,).

    A feature that varies by no more than float32 rounding of its mean keeps scale 1, so that a dead channel
    is not blown up to unit noise.
    """
    std = np.sqrt(variance.clip(0))
    still = std <= 10 * float(np.finfo(np.float32).eps) * abs(mean)
    return mean.astype(np.float32), np.where(still, 1, std).astype(np.float32)

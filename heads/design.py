"""Training features as the logistic solver reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Precision, block_rows, cut_rows, eigh
from .linear import Axes, standard_scale
from .moments import measure_moments
from .softmax import residual


@dataclass(frozen=True, eq=False)
class Design:
    """Features in the eigenbasis of their covariance, where the curvature of the loss is nearly diagonal.

    Attributes
    ----------
    X : float32 array, shape (n, R)
        The rows, in ``axes``.
    y : int64 array, shape (n,)
    n_classes : int
    axes : Axes
        From raw features to the solver's R coordinates.
    spectrum : float32 array, shape (R + 1,)
        Variance along each coordinate; 1 for the intercept.
    """

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    n_classes: int
    axes: Axes
    spectrum: NDArray[np.float32]

    def logits(self, W: NDArray[Precision]) -> NDArray[Precision]:
        """Logits of every row for ``W`` (K, R + 1), in its dtype: shape (n, K)."""
        coef, intercept = W[:, :-1], W[:, -1]
        Z = np.zeros((len(self.y), len(W)), W.dtype)
        for part in block_rows(len(self.y), len(W)):
            Z[part] = self.X[part].astype(W.dtype, copy=False) @ coef.T + intercept
        return Z

    def gradient(self, Z: NDArray[Precision]) -> NDArray[Precision]:
        """Gradient of the mean loss at logits ``Z`` (n, K), in their dtype: shape (K, R + 1)."""
        G = np.zeros((Z.shape[1], len(self.spectrum)), Z.dtype)
        for part in block_rows(len(self.y), Z.shape[1]):
            R = residual(Z[part], self.y[part])[0]
            G[:, :-1] += R.T @ self.X[part].astype(Z.dtype, copy=False)
            G[:, -1] += R.sum(0)
        G /= len(self.y)
        return G


def rotate_features(X: NDArray[np.float32], y: NDArray[np.int64], n_classes: int) -> Design:
    """The design of some features: standardised and rotated once into the eigenbasis of X'X.

    The L2 penalty does not change under a rotation. With fewer rows than features the rows are first
    expressed in an orthonormal basis of their own span, where an optimum always lies.

    Parameters
    ----------
    X : float32 array, shape (n, D)
    y : int64 array, shape (n,)
    n_classes : int
    """
    n, d = X.shape
    axes, values = _span_axes(X) if n < d else _moment_axes(X, y, n_classes)
    rotated = np.zeros((n, len(values)), np.float32)
    for part in cut_rows(n):
        rotated[part] = axes.enter(X[part])
    return Design(rotated, y, n_classes, axes, np.append(values.clip(0), np.float32(1)))


def _moment_axes(X: NDArray[np.float32], y: NDArray[np.int64], n_classes: int) -> tuple[Axes, NDArray[np.float32]]:
    """The axes of features with as many rows as columns or more, and the variance along each."""
    moments = measure_moments(X, y, n_classes)
    covariance = moments.covariance
    mean, scale = standard_scale(moments.mean, covariance.diagonal())
    values, basis = eigh(covariance.astype(np.float32) / scale / scale[:, None])
    return Axes(mean, scale, basis), values


def _span_axes(X: NDArray[np.float32]) -> tuple[Axes, NDArray[np.float32]]:
    """The axes of features with fewer rows than columns, and the variance along each."""
    exact = X.mean(0, dtype=np.float64)
    deviation = X - exact.astype(np.float32)
    mean, scale = standard_scale(exact, (deviation**2).mean(0, dtype=np.float64))
    rows = (X - mean) / scale
    span = np.linalg.qr(rows.T)[0]
    inside = rows @ span
    values, basis = eigh(inside.T @ inside / len(X))
    return Axes(mean, scale, span @ basis), values

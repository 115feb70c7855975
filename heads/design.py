"""Training features as the solver reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks

from .arrays import Precision, block_rows, cut_rows, eigh
from .linear import Axes, standard_scale
from .loss import Loss
from .losses import choose_loss
from .moments import Moments, measure_moments, measure_scale


@dataclass(frozen=True, eq=False)
class Design:
    """Features in the eigenbasis of their covariance, where the curvature of the loss is nearly diagonal.

    Attributes
    ----------
    X : float32 array, shape (n, R)
        The rows, in ``axes``.
    loss : Loss
        Of the rows' logits.
    axes : Axes
        From raw features to the solver's R coordinates.
    spectrum : float32 array, shape (R + 1,)
        Variance along each coordinate; 1 for the intercept.
    """

    X: NDArray[np.float32]
    loss: Loss
    axes: Axes
    spectrum: NDArray[np.float32]

    def logits(self, W: NDArray[Precision]) -> NDArray[Precision]:
        """Logits of every row for ``W`` (K, R + 1), in its dtype: shape (n, K)."""
        coef, intercept = W[:, :-1], W[:, -1]
        Z = np.zeros((len(self.X), len(W)), W.dtype)
        for part in block_rows(len(self.X), len(W)):
            Z[part] = self.X[part].astype(W.dtype, copy=False) @ coef.T + intercept
        return Z

    def gradient(self, at: Sequence[tuple[Loss, NDArray[Precision]]]) -> NDArray[Precision]:
        """Gradients of some mean losses, each at logits (n, K), one below the other: shape (sum of K, R + 1)."""
        width, dtype = sum(loss.width for loss, _ in at), at[0][1].dtype
        G = np.zeros((width, len(self.spectrum)), dtype)
        for part in block_rows(len(self.X), width):
            R = np.concatenate([loss.residual(Z[part], part)[0] for loss, Z in at], axis=1)
            G[:, :-1] += R.T @ self.X[part].astype(dtype, copy=False)
            G[:, -1] += R.sum(0)
        G /= len(self.X)
        return G

    def descend(self) -> NDArray[np.float32]:
        """The gradient of the mean loss at logits of zero, without its intercepts: float32, shape (K, R)."""
        start = np.zeros((self.loss.n, self.loss.width), np.float32)
        return self.gradient([(self.loss, start)])[:, :-1]


def rotate_features(X: NDArray[np.float32], y: NDArray[Any], n_classes: int, balanced: bool = False) -> Design:
    """The design of some features: standardised and rotated once into the eigenbasis of X'X.

    The L2 penalty does not change under a rotation. With fewer rows than features the rows are first
    expressed in an orthonormal basis of their own span, where an optimum always lies. Rows that count differently
    are standardised as others are, by all rows alike; mean and eigenbasis are those of the weighted rows.

    Parameters
    ----------
    X : float32 array, shape (n, D)
    y : array, shape (n,) or (n, K)
    n_classes : int
    balanced : bool
        See `choose_loss` for all three.
    """
    n, d = X.shape
    loss = choose_loss(y, n_classes, balanced)
    if n < d:
        axes, values = _span_axes(X, loss.row_weight)
    else:
        moments = measure_moments(X, np.zeros(n, np.int64), 1, loss.row_weight)
        axes, values = find_axes(X, moments, weighted=loss.row_weight is not None)
    rotated = np.zeros((n, len(values)), np.float32)
    for part in cut_rows(n):
        rotated[part] = axes.enter(X[part])
    return Design(rotated, loss, axes, np.append(values.clip(0), np.float32(1)))


def find_axes(
    X: NDArray[np.float32] | Blocks, moments: Moments, *, weighted: bool
) -> tuple[Axes, NDArray[np.float32]]:
    """The axes of features with as many rows as columns or more, and the variance along each, of their moments."""
    covariance = moments.covariance
    if weighted:
        mean, scale = moments.mean.astype(np.float32), measure_scale(X)[1]
    else:
        mean, scale = standard_scale(moments.mean, covariance.diagonal())
    values, basis = eigh(covariance.astype(np.float32) / scale / scale[:, None])
    return Axes(mean, scale, basis), values


def _span_axes(X: NDArray[np.float32], weight: NDArray[np.float32] | None) -> tuple[Axes, NDArray[np.float32]]:
    """The axes of features with fewer rows than columns, and the variance along each."""
    mean, scale = measure_scale(X)
    if weight is not None:
        mean = np.average(X, 0, weight).astype(np.float32)
    rows = (X - mean) / scale
    span = np.linalg.qr(rows.T)[0]
    inside = rows @ span
    heavy = inside if weight is None else weight[:, None] * inside
    values, basis = eigh(inside.T @ heavy / len(X))
    return Axes(mean, scale, span @ basis), values

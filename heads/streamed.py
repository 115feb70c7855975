"""The design of features that stay on disk: the products of `Design`, made block by block of raw rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks

from .arrays import Precision, block_rows, cut_features
from .design import find_axes
from .linear import Axes
from .loss import Loss
from .losses import Softmax, choose_loss
from .moments import Moments, measure_moments


@dataclass(frozen=True, eq=False)
class Point(Generic[Precision]):
    """A mean loss at some coefficients, and its derivatives.

    Attributes
    ----------
    W : float array, shape (K, R + 1)
    loss : float
        Without the penalty.
    slope : float array, shape (K, R + 1)
        Its gradient.
    curvature : float array, shape (K,)
        Mean second derivative by each logit.
    """

    W: NDArray[Precision]
    loss: float
    slope: NDArray[Precision]
    curvature: NDArray[Precision]

    def round(self) -> Point[np.float32]:
        """The same in float32."""
        parts = (part.astype(np.float32) for part in (self.slope, self.curvature))
        return Point(self.W.astype(np.float32), self.loss, *parts)


@dataclass(frozen=True, eq=False)
class StreamedDesign:
    """As `fixgrid.heads.design.Design`, of rows that are never all in memory, nor their logits.

    No rotated copy is kept: coefficients are turned to standardised features and gradients back, which takes a
    product of K x D x D where turning the rows would take n x D x D at every reading.

    Attributes
    ----------
    X : Blocks, shape (n, D)
        The raw rows.
    loss : Loss
    axes : Axes
    spectrum : float32 array, shape (R + 1,)
        See `Design` for all three.
    moments : Moments
        Of the rows by class; of one class where labels are others.
    """

    X: Blocks
    loss: Loss
    axes: Axes
    spectrum: NDArray[np.float32]
    moments: Moments

    def sweep(self, at: Sequence[tuple[Loss, NDArray[Precision]]]) -> list[Point[Precision]]:
        """Some mean losses, each at coefficients (K, R + 1), from one reading of the rows."""
        dtype = at[0][1].dtype
        ends = np.cumsum([loss.width for loss, _ in at])
        basis = self.axes.basis.astype(dtype, copy=False)
        coef = np.concatenate([W[:, :-1] for _, W in at]) @ basis.T
        intercept = np.concatenate([W[:, -1] for _, W in at])
        total, sums = np.zeros(coef.shape), np.zeros(len(coef))
        value, bend = np.zeros(len(at)), np.zeros(len(coef))
        for part in cut_features(self.X):
            rows = self.X[part]
            rows -= self.axes.mean
            rows /= self.axes.scale
            rows = rows.astype(dtype, copy=False)
            Z = rows @ coef.T
            Z += intercept
            for i, (loss, _) in enumerate(at):
                own = slice(int(ends[i]) - loss.width, int(ends[i]))
                for sub in block_rows(len(Z), loss.width):
                    where = slice(part.start + sub.start, part.start + sub.stop)
                    bend[own] += loss.curvature(Z[sub, own], where).sum(0, dtype=np.float64)
                    Z[sub, own], losses = loss.residual(Z[sub, own], where)
                    value[i] += losses.sum(dtype=np.float64)
            total += Z.T @ rows
            sums += Z.sum(0, dtype=np.float64)
        n = len(self.X)
        slope = np.zeros((len(coef), len(self.spectrum)), dtype)
        slope[:, :-1] = (total / n).astype(dtype) @ basis
        slope[:, -1] = sums / n
        curvature = (bend / n).astype(dtype)
        return [
            Point(W, float(value[i]) / n, slope[end - loss.width : end], curvature[end - loss.width : end])
            for i, ((loss, W), end) in enumerate(zip(at, ends, strict=True))
        ]

    def descend(self) -> NDArray[np.float32]:
        """The gradient of the mean loss at logits of zero, without its intercepts: float32, shape (K, R).

        Of classes it is known from the moments: rows about their mean sum to nothing, whatever a softmax takes off.
        """
        if isinstance(self.loss, Softmax):
            sums = self.moments.class_sums / -self.loss.n / self.axes.scale
            return np.asarray(sums.astype(np.float32) @ self.axes.basis, np.float32)
        start = np.zeros((self.loss.width, len(self.spectrum)), np.float32)
        (point,) = self.sweep([(self.loss, start)])
        return point.slope[:, :-1]


def stream_features(X: Blocks, y: NDArray[Any], n_classes: int, balanced: bool = False) -> StreamedDesign:
    """The design of features on disk, from one reading of them, two where rows weigh differently.

    Parameters
    ----------
    X : Blocks, shape (n, D)
        As many rows as columns, or more.
    y, n_classes, balanced
        See `fixgrid.heads.losses.choose_loss`.
    """
    loss = choose_loss(y, n_classes, balanced)
    of_class = isinstance(loss, Softmax)
    labels, groups = (y, n_classes) if of_class else (np.zeros(len(X), np.int64), 1)
    moments = measure_moments(X, labels, groups, loss.row_weight)
    axes, values = find_axes(X, moments, weighted=loss.row_weight is not None)
    return StreamedDesign(X, loss, axes, np.append(values.clip(0), np.float32(1)), moments)

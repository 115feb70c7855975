"""A logistic head's objective and distance from the optimum in float64, whatever arithmetic found it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fixgrid.heads.arrays import block_rows
from fixgrid.heads.linear import Axes, LinearHead
from fixgrid.heads.softmax import residual


def certify_head(head: LinearHead, axes: Axes, X: NDArray[np.float32], y: NDArray[np.int64]) -> tuple[float, float]:
    """scikit-learn's objective of a head, and a bound on how far it is above the optimum.

    ``|W|^2 / 2 + C sum_i loss_i`` is 1-strongly convex in the standardised coefficients W, so it lies at most
    ``|grad|^2 / 2`` above its minimum; the free intercepts add half their Newton decrement.

    Parameters
    ----------
    head : LinearHead
        Fitted with ``C = head.strength``.
    axes : Axes
        Mean and scale of the features it was fitted on.
    X : float32 array, shape (n, D)
        The training rows, raw.
    y : int64 array, shape (n,)

    Returns
    -------
    objective : float
    gap : float
        Bound on ``(objective - optimum) / objective``.
    """
    mean, scale, raw = (part.astype(np.float64) for part in (axes.mean, axes.scale, head.coef))
    W, b = raw * scale, head.intercept + raw @ mean
    C = head.strength / 2 if len(W) == 2 else head.strength
    loss, G, g, curvature = 0.0, np.zeros_like(W), np.zeros(len(W)), np.zeros(len(W))
    for part in block_rows(len(y), X.shape[1]):
        rows = (X[part] - mean) / scale
        R, losses = residual(rows @ W.T + b, y[part])
        loss += float(losses.sum())
        G += R.T @ rows
        g += R.sum(0)
        curvature += (abs(R) * (1 - abs(R))).sum(0)
    objective = float((W * W).sum()) / 2 + C * loss
    slope = W + C * G
    slack = float((slope * slope).sum()) / 2 + C * float((g * g / curvature.clip(1e-300)).sum()) / 2
    return (2 * objective, 2 * slack / (2 * objective)) if len(W) == 2 else (objective, slack / objective)

"""A logistic head's objective and distance from the optimum in float64, whatever arithmetic found it."""

from __future__ import annotations

import numpy as np

from .arrays import block_rows, to_numpy
from .design import Blocks
from .linear import Axes, LinearHead
from .softmax import residual


def certify_head(head: LinearHead, axes: Axes, blocks: Blocks) -> tuple[float, float]:
    """scikit-learn's objective of a head, and a bound on how far it is above the optimum.

    ``|W|^2 / 2 + C sum_i loss_i`` is 1-strongly convex in the standardised coefficients W, so it lies at most
    ``|grad|^2 / 2`` above its minimum; the free intercepts add half their Newton decrement.

    Parameters
    ----------
    head : LinearHead
        Fitted with ``C = head.strength``.
    axes : Axes
        Mean and scale of the features it was fitted on.
    blocks : callable
        The training rows, raw, as `stream_features` takes them.

    Returns
    -------
    objective : float
    gap : float
        Bound on ``(objective - optimum) / objective``.
    """
    mean, scale = (to_numpy(part).astype(np.float64) for part in (axes.mean, axes.scale))
    raw = to_numpy(head.coef).astype(np.float64)
    W, b = raw * scale, to_numpy(head.intercept) + raw @ mean
    C = head.strength / 2 if len(W) == 2 else head.strength
    loss, G, g, curvature = 0.0, np.zeros_like(W), np.zeros(len(W)), np.zeros(len(W))
    for features, labels in blocks():
        X, y = to_numpy(features), to_numpy(labels)
        for part in block_rows(len(y), X.shape[1], X):
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

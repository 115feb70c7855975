"""Multinomial log-loss of given logits, its residual, and both along a line, in float32."""

from __future__ import annotations

import numpy as np

from .arrays import Array, block_rows, dot, like, namespace


def residual(Z: Array, y: Array) -> tuple[Array, Array]:
    """Softmax minus one-hot label, and each row's loss, exact to float32 even when the loss is 1e-30.

    The label's own entry is minus the sum of the other probabilities, never ``p - 1``, and the loss of a row
    whose label leads is ``log1p`` of that sum: at C = 1e5 losses near 1e-7 decide the optimum, and ``p - 1``
    has no digit left of them.

    Parameters
    ----------
    Z : float32 array, shape (b, K)
        Logits.
    y : int64 array, shape (b,)

    Returns
    -------
    R : float32 array, shape (b, K)
    loss : float32 array, shape (b,)
        In nats.
    """
    xp = namespace(Z)
    rows = like(np.arange(len(y)), y)
    top = xp.amax(Z, axis=1)
    behind = top - Z[rows, y]
    E = Z - top[:, None]
    xp.exp(E, out=E)
    own = xp.exp(-behind)
    E[rows, y] = 0
    others = E.sum(1)
    total = others + own
    E /= total[:, None]
    E[rows, y] = -others / total
    return E, xp.where(behind > 0, xp.log(total) + behind, xp.log1p(others))


def mean_loss(Z: Array, y: Array) -> float:
    """Mean loss of logits ``Z`` (n, K), in nats."""
    return loss_along(Z, None, 0.0, y)[0]


def loss_along(Z: Array, D: Array | None, t: float, y: Array) -> tuple[float, float]:
    """Mean loss of the logits ``Z + t D``, and its derivative by ``t``. No product with features.

    Parameters
    ----------
    Z, D : float32 arrays, shape (n, K)
        ``D`` None stands for zeros.
    t : float
    y : int64 array, shape (n,)
    """
    xp = namespace(Z)
    loss = slope = 0.0
    for part in block_rows(len(y), Z.shape[1], Z):
        R, losses = residual(Z[part] if D is None else Z[part] + t * D[part], y[part])
        loss += float(xp.sum(losses, dtype=xp.float64))
        if D is not None:
            slope += dot(R, D[part])
    return loss / len(y), slope / len(y)


def class_curvature(Z: Array, y: Array) -> Array:
    """Mean of ``p_k (1 - p_k)`` over rows: float32, shape (K,)."""
    total = 0.0
    for part in block_rows(len(y), Z.shape[1], Z):
        P = abs(residual(Z[part], y[part])[0])
        total = total + (P * (1 - P)).sum(0)
    return total / len(y)

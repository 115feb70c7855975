"""Multinomial log-loss of given logits and its residual, in the logits' precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Precision


def residual(Z: NDArray[Precision], y: NDArray[np.int64]) -> tuple[NDArray[Precision], NDArray[Precision]]:
    """Softmax minus one-hot label, and each row's loss, exact to float32 even when the loss is 1e-30.

    The label's own entry is minus the sum of the other probabilities, never ``p - 1``, and the loss of a row
    whose label leads is ``log1p`` of that sum: at C = 1e5 losses near 1e-7 decide the optimum, and ``p - 1``
    has no digit left of them.

    Parameters
    ----------
    Z : float array, shape (b, K)
        Logits.
    y : int64 array, shape (b,)

    Returns
    -------
    R : float array, shape (b, K)
    loss : float array, shape (b,)
        In nats.
    """
    rows = np.arange(len(y))
    top = Z.max(axis=1)
    behind = top - Z[rows, y]
    E = Z - top[:, None]
    np.exp(E, out=E)
    own = np.exp(-behind)
    E[rows, y] = 0
    others = E.sum(1)
    total = others + own
    E /= total[:, None]
    E[rows, y] = -others / total
    return E, np.where(behind > 0, np.log(total) + behind, np.log1p(others))

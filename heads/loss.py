"""What the solver asks of a loss, whatever the labels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .arrays import Precision, block_rows, dot

Rows: TypeAlias = slice | NDArray[np.int64]


class Loss(Protocol):
    """A convex loss of the logits of n rows, labels and weights included; averages divide by n."""

    @property
    def n(self) -> int:
        """Rows."""

    @property
    def width(self) -> int:
        """Logits of a row, K."""

    @property
    def prior(self) -> float:
        """Mean loss of the best constant logits."""

    @property
    def start(self) -> NDArray[np.float32]:
        """Intercepts to start from, shape (K,)."""

    @property
    def is_constant(self) -> bool:
        """Whether the labels of all rows are one and the same, so that only ``start`` is to be learned."""

    @property
    def copies(self) -> int:
        """Vectors of coefficients for each that scikit-learn fits."""

    @property
    def target_mean(self) -> NDArray[np.float32]:
        """Mean of the targets that least squares has for these labels, shape (K,)."""

    @property
    def target_scale(self) -> float:
        """What the residual at zero, times -1, is multiplied by to give those targets, up to a constant."""

    @property
    def row_weight(self) -> NDArray[np.float32] | None:
        """How much each row counts for all logits alike, shape (n,), mean 1; None if all count 1 or it differs."""

    def residual(self, Z: NDArray[Precision], rows: Rows) -> tuple[NDArray[Precision], NDArray[Precision]]:
        """Derivative of the loss of some rows by their logits ``Z`` (b, K), as that; and the losses, (b,)."""

    def curvature(self, Z: NDArray[Precision], rows: Rows) -> NDArray[Precision]:
        """Second derivative by each logit: shape (b, K)."""

    def split(self) -> Sequence[Loss]:
        """The losses that it is the sum of, each of logits of its own, in their order."""


def loss_along(loss: Loss, Z: NDArray[Precision], D: NDArray[Precision], t: float) -> tuple[float, float]:
    """Mean loss of the logits ``Z + t D``, and its derivative by ``t``. No product with features.

    Parameters
    ----------
    loss : Loss
    Z, D : float arrays, shape (n, K)
    t : float
    """
    value = slope = 0.0
    for part in block_rows(loss.n, loss.width):
        R, losses = loss.residual(Z[part] + t * D[part], part)
        value += float(losses.sum(dtype=np.float64))
        slope += dot(R, D[part])
    return value / loss.n, slope / loss.n


def mean_curvature(loss: Loss, Z: NDArray[Precision]) -> NDArray[Precision]:
    """Mean second derivative by each logit over rows of logits ``Z`` (n, K): float, shape (K,)."""
    total = np.zeros(loss.width, Z.dtype)
    for part in block_rows(loss.n, loss.width):
        total += loss.curvature(Z[part], part).sum(0)
    total /= loss.n
    return total

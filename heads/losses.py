"""The losses of labels: softmax of one class, a sigmoid for each of several labels, squares of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Precision, dot
from .loss import Loss, Rows
from .softmax import residual


@dataclass(frozen=True, eq=False)
class Softmax:
    """Multinomial log-loss.

    Attributes
    ----------
    y : int64 array, shape (n,)
    width : int
        Classes, K.
    row_weight : float32 array, shape (n,), optional
    """

    y: NDArray[np.int64]
    width: int
    row_weight: NDArray[np.float32] | None = None
    is_constant = False  # classes without rows leave the others to be told apart
    target_scale = 2.0

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.y)

    @property
    def copies(self) -> int:
        """2 of two classes, for which scikit-learn fits the one vector w1 - w0: the same optimum at half the C."""
        return 2 if self.width == 2 else 1

    @cached_property
    def prior(self) -> float:
        """Mean loss of the class frequencies."""
        share = np.bincount(self.y, self.row_weight, self.width) / self.n
        return -dot(share, np.log(share.clip(1e-300)))

    @property
    def start(self) -> NDArray[np.float32]:
        """Zero."""
        return np.zeros(self.width, np.float32)

    @property
    def target_mean(self) -> NDArray[np.float32]:
        """Of targets +1 and -1."""
        mean: NDArray[np.float32] = np.bincount(self.y, self.row_weight, self.width).astype(np.float32)
        mean *= 2
        mean /= self.n
        mean -= 1
        return mean

    def residual(self, Z: NDArray[Precision], rows: Rows) -> tuple[NDArray[Precision], NDArray[Precision]]:
        """Softmax minus one-hot label."""
        R, loss = residual(Z, self.y[rows])
        if self.row_weight is not None:
            weight = self.row_weight[rows]
            R *= weight[:, None]
            loss *= weight
        return R, loss

    def curvature(self, Z: NDArray[Precision], rows: Rows) -> NDArray[Precision]:
        """``p (1 - p)``."""
        P = abs(residual(Z, self.y[rows])[0])
        P *= 1 - P
        if self.row_weight is not None:
            P *= self.row_weight[rows][:, None]
        return P

    def split(self) -> tuple[Loss, ...]:
        """Itself: all classes share the normaliser."""
        return (self,)


@dataclass(frozen=True, eq=False)
class Sigmoid:
    """The sum of the log-losses of K labels that an image may have or not.

    Attributes
    ----------
    y : bool array, shape (n, K)
    weight : float32 array, shape (n, K), optional
        How much each answer counts; mean 1 in each column.
    """

    y: NDArray[np.bool_]
    weight: NDArray[np.float32] | None = None
    copies = 1
    target_scale = 2.0
    row_weight = None

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.y)

    @property
    def width(self) -> int:
        """Labels."""
        return int(self.y.shape[1])

    @cached_property
    def _share(self) -> NDArray[np.float64]:
        answers = self.y if self.weight is None else self.y * self.weight
        share: NDArray[np.float64] = answers.mean(0, dtype=np.float64)
        return share

    @property
    def prior(self) -> float:
        """Mean loss of each label's frequency, summed."""
        share = np.concatenate([self._share, 1 - self._share])
        return -dot(share, np.log(share.clip(1e-300)))

    @property
    def start(self) -> NDArray[np.float32]:
        """Log-odds of each label, as if half an image more had it and half an image had not (Haldane-Anscombe)."""
        odds = (self.n * self._share + 0.5) / (self.n * (1 - self._share) + 0.5)
        return np.log(odds).astype(np.float32)

    @property
    def is_constant(self) -> bool:
        """Whether all rows have the same labels."""
        return bool((self.y == self.y[:1]).all())

    @property
    def target_mean(self) -> NDArray[np.float32]:
        """Of targets +1 and -1."""
        return (2 * self._share - 1).astype(np.float32)

    def residual(self, Z: NDArray[Precision], rows: Rows) -> tuple[NDArray[Precision], NDArray[Precision]]:
        """Sigmoid minus label, with all digits when it is small."""
        y = self.y[rows]
        margin = np.where(y, Z, -Z)
        E = np.exp(-abs(margin))
        wrong = np.where(margin > 0, E, np.ones_like(E)) / (1 + E)
        loss = np.log1p(E) + np.maximum(-margin, 0)
        R = np.where(y, -wrong, wrong)
        return self._weigh(R, rows), self._weigh(loss, rows).sum(1)

    def curvature(self, Z: NDArray[Precision], rows: Rows) -> NDArray[Precision]:
        """``p (1 - p)``."""
        E = np.exp(-abs(Z))
        return self._weigh(E / (1 + E) ** 2, rows)

    def split(self) -> list[Loss]:
        """One label each."""
        weight = self.weight
        columns = (slice(k, k + 1) for k in range(self.width))
        return [
            Sigmoid(self.y[:, one].copy(), None if weight is None else weight[:, one].copy()) for one in columns
        ]

    def _weigh(self, A: NDArray[Precision], rows: Rows) -> NDArray[Precision]:
        if self.weight is not None:
            A *= self.weight[rows]
        return A


@dataclass(frozen=True, eq=False)
class Squared:
    """Half the squared distance to targets, summed over K.

    Attributes
    ----------
    targets : float32 array, shape (n, K)
        Standardised, so that numbers of any size keep their digits.
    target_mean : float32 array, shape (K,)
    target_scale : float
        Of what ``targets`` were made: ``target_mean + target_scale * targets``.
    weight : float32 array, shape (n, K), optional
        How much each counts; mean 1 in each column.
    """

    targets: NDArray[np.float32]
    target_mean: NDArray[np.float32]
    target_scale: float
    weight: NDArray[np.float32] | None = None
    copies = 1
    row_weight = None

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.targets)

    @property
    def is_constant(self) -> bool:
        """Whether all targets are their mean."""
        return not self.targets.any()

    @property
    def width(self) -> int:
        """Targets of a row."""
        return int(self.targets.shape[1])

    @cached_property
    def prior(self) -> float:
        """Half the variance, summed."""
        return float(self.residual(np.zeros_like(self.targets), slice(None))[1].mean(dtype=np.float64))

    @property
    def start(self) -> NDArray[np.float32]:
        """Zero, the mean."""
        return np.zeros(self.width, np.float32)

    def residual(self, Z: NDArray[Precision], rows: Rows) -> tuple[NDArray[Precision], NDArray[Precision]]:
        """Distance to the target."""
        distance = Z - self.targets[rows]
        R = distance if self.weight is None else distance * self.weight[rows]
        return R, (R * distance).sum(1) / 2

    def curvature(self, Z: NDArray[Precision], rows: Rows) -> NDArray[Precision]:
        """1, weighted."""
        return np.ones_like(Z) if self.weight is None else self.weight[rows].astype(Z.dtype)

    def split(self) -> list[Loss]:
        """One target each."""
        weight, columns = self.weight, (slice(k, k + 1) for k in range(self.width))
        return [
            Squared(
                self.targets[:, one].copy(),
                self.target_mean[one],
                self.target_scale,
                None if weight is None else weight[:, one].copy(),
            )
            for one in columns
        ]


def choose_loss(y: NDArray[Any], n_classes: int, balanced: bool = False) -> Loss:
    """The loss of labels: their type says what they are.

    Parameters
    ----------
    y : array
        int64 (n,) of one class, bool (n, K) of several labels, float64 (n,) of numbers.
    n_classes : int
        K; 1 of numbers.
    balanced : bool
        Each class, and of several labels those with and those without each, counts as much as any other, as
        ``class_weight="balanced"`` of scikit-learn: n / (K n_c).
    """
    if y.dtype.kind == "b":
        return Sigmoid(y, _balance_labels(y) if balanced else None)
    if y.dtype.kind == "f":
        mean, scale = y.mean(), float(y.std()) or 1.0
        return Squared(((y - mean) / scale)[:, None].astype(np.float32), np.array([mean], np.float32), scale)
    return Softmax(y, n_classes, _balance_classes(y) if balanced else None)


def square_labels(loss: Sigmoid) -> Squared:
    """Squares, in place of log-losses, to targets +1 and -1 about their mean."""
    mean = loss.target_mean
    return Squared(np.where(loss.y, 1 - mean, -1 - mean), mean, 1.0, loss.weight)


def _balance_classes(y: NDArray[np.int64]) -> NDArray[np.float32]:
    count = np.bincount(y)
    weight: NDArray[np.float64] = len(y) / ((count > 0).sum() * count.clip(1))
    return np.asarray(weight[y], np.float32)


def _balance_labels(y: NDArray[np.bool_]) -> NDArray[np.float32]:
    count = y.sum(0)
    have, lack = (len(y) / (2 * part.clip(1)) for part in (count, len(y) - count))
    return np.asarray(np.where(y, have, lack), np.float32)

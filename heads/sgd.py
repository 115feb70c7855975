"""A linear head trained by minibatch gradient descent, as FixRes and DINOv2 train theirs: for parity with them.

The exact optimum at the best C is the better founded head; this one says what stopping early would have given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks

from .arrays import cut_rows
from .linear import LinearHead, standard_scale
from .losses import choose_loss
from .moments import measure_scale

# DINOv2's linear evaluation sweeps these, for batches of 256 (Oquab et al. 2023). From the most to the least
# regularised, since coefficients start at zero and the number of steps is fixed.
SGD_RATES = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1)
_EPOCHS = 30
_SEED = 0  # of the order of rows, another one each epoch
_BATCH = 256
_MOMENTUM = 0.9
_PIECE = 64  # rows read together; those of a chunk of the sealed file
Batch: TypeAlias = tuple[float, NDArray[np.float32], NDArray[np.int64]]
"""Share of the training that is done, rows (b, D + 1), and which they are."""


class SGDPath:
    """Linear heads of one training set for any learning rate, each trained once: softmax, or a sigmoid a label.

    Momentum .9 and, from step to step, a cosine of the rate down to zero. FixRes' weight decay of 1e-4 is left
    out, for the rate regularises alone: in 30 epochs over 12,240 rows it would shrink coefficients by 7 % at rate
    .1 and by .7 % at .01. Every rate sees the same seeded batches, and the same call gives the same bits.

    Each rate is trained by itself, so that the walk along them may end early: with all 13 in one product (256 x
    1,281 by 1,281 x 1,560) a rate costs as much as alone, 2.0 ms against 2.1 for 120 classes on one core.

    Parameters
    ----------
    X : float32 array or Blocks, shape (n, D)
        Standardised here, in a copy, or as it is read. Of rows on disk a window at a time is in memory, pieces of
        the file in random order: other batches than in memory, so another draw of what chance decides.
    y : array, shape (n,) or (n, K)
    n_classes : int
    balanced : bool
        See `choose_loss` for all three. Losses of several labels are summed, so that each is trained as if alone.
    """

    def __init__(self, X: NDArray[np.float32] | Blocks, y: NDArray[Any], n_classes: int, balanced: bool = False):
        self._read: Callable[[], Iterator[Batch]]
        if isinstance(X, Blocks):
            self._mean, self._scale = measure_scale(X)
            self._read = partial(_read_windows, X, self._mean, self._scale)
        else:
            rows = np.ones((len(y), X.shape[1] + 1), np.float32)  # last column for the intercept
            mean = X.mean(0, dtype=np.float64)
            Z = np.subtract(X, mean.astype(np.float32), out=rows[:, :-1])
            self._mean, self._scale = standard_scale(mean, np.mean(Z * Z, axis=0, dtype=np.float64))
            Z /= self._scale
            self._read = partial(_shuffle, rows)
        self._loss = choose_loss(y, n_classes, balanced)
        self._heads: dict[float, LinearHead] = {}

    def head(self, strength: float) -> LinearHead:
        """The head trained at learning rate ``strength``, on raw features."""
        if strength not in self._heads:
            W = self._train(strength)
            coef = W[:, :-1] / self._scale
            self._heads[strength] = LinearHead(coef, np.asarray(W[:, -1] - coef @ self._mean, np.float32), strength)
        return self._heads[strength]

    def _train(self, rate: float) -> NDArray[np.float32]:
        W = np.zeros((self._loss.width, len(self._mean) + 1), np.float32)
        V = np.zeros_like(W)
        for done, X, batch in self._read():
            R = self._loss.residual(X @ W.T, batch)[0]
            V *= _MOMENTUM
            V += R.T @ X / len(batch)
            W -= rate * (1 + math.cos(math.pi * done)) / 2 * V
        return W


def _shuffle(rows: NDArray[np.float32]) -> Iterator[Batch]:
    """Every row once in an epoch, in batches as equal as they can be."""
    rng, n = np.random.default_rng(_SEED), len(rows)
    count = math.ceil(n / _BATCH)
    for epoch in range(_EPOCHS):
        for i, batch in enumerate(np.array_split(rng.permutation(n), count)):
            yield (epoch * count + i) / (_EPOCHS * count), rows[batch], batch


def _read_windows(X: Blocks, mean: NDArray[np.float32], scale: NDArray[np.float32]) -> Iterator[Batch]:
    """As `_shuffle`, of what is in memory at a time: pieces from all over the file, where classes are in order."""
    rng, n = np.random.default_rng(_SEED), len(X)
    pieces = cut_rows(n, _PIECE)
    for epoch in range(_EPOCHS):
        seen, order = 0, rng.permutation(len(pieces))
        for window in np.array_split(order, math.ceil(n / X.step)):
            parts = [pieces[i] for i in window]
            where = np.concatenate([np.arange(part.start, part.stop) for part in parts])
            rows = np.ones((len(where), X.shape[1] + 1), np.float32)
            np.concatenate([X[part] for part in parts], out=rows[:, :-1])
            rows[:, :-1] -= mean
            rows[:, :-1] /= scale
            for batch in np.array_split(rng.permutation(len(where)), math.ceil(len(where) / _BATCH)):
                yield (epoch + seen / n) / _EPOCHS, rows[batch], where[batch]
                seen += len(batch)

"""Heads in closed form: ridge, shrinkage LDA and nearest class mean, each from one eigendecomposition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import eigh, powers_of_ten
from .design import Design
from .linear import Axes, LinearHead, standard_scale
from .moments import measure_moments

# From the most to the least regularised, as `choose_strength` walks them.
RIDGE_ALPHAS = powers_of_ten(7, -3, 41)
LDA_SHRINKAGES = (0.999, 0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001)


class RidgePath:
    """Least squares on targets +1 and -1, or on numbers, for any alpha: a division once in the eigenbasis.

    ``W_k = 2 s_k / (n spectrum + alpha)`` with ``s_k`` the sum of class k's centred rows, as big_vision's
    few-shot evaluator. The gradient of the log-loss at zero is ``-s_k / n``, so fewer rows than features serve
    as well; a number's is the sum of the rows times their targets.

    Parameters
    ----------
    design : Design
    """

    def __init__(self, design: Design):
        self._design = design
        loss = design.loss
        start = np.zeros((loss.n, loss.width), np.float32)
        self._sums = -loss.n * design.gradient([(loss, start)])[:, :-1]

    def head(self, strength: float) -> LinearHead:
        """The head at alpha ``strength``; the intercept is free of the penalty."""
        loss = self._design.loss
        coef = loss.target_scale * self._sums / (loss.n * self._design.spectrum[:-1] + strength)
        W = np.concatenate([coef, loss.target_mean[:, None]], axis=1)
        return self._design.axes.fold(W, strength)


class LDAPath:
    """Linear discriminants for any shrinkage of the pooled covariance.

    ``S = (1 - s) within + s trace(within) / D I`` (Friedman 1989, eq. 18) on standardised features; class
    scores are ``x' S^-1 m_k - m_k' S^-1 m_k / 2 + log prior_k``.

    Parameters
    ----------
    X : float32 array, shape (n, D)
    y : int64 array, shape (n,)
    n_classes : int
    balanced : bool
        Take all classes that have rows for as likely.
    """

    def __init__(self, X: NDArray[np.float32], y: NDArray[np.int64], n_classes: int, balanced: bool = False):
        moments = measure_moments(X, y, n_classes)
        mean, scale = standard_scale(moments.mean, moments.covariance.diagonal())
        values, basis = eigh(moments.within / scale / scale[:, None])
        self._axes = Axes(mean, scale, basis.astype(np.float32))
        self._spectrum = values.clip(0)
        self._means = ((moments.class_means - moments.mean) / scale) @ basis
        seen = moments.count > 0
        share = 1 / seen.sum() if balanced else moments.count.clip(1) / moments.n
        self._prior = np.where(seen, np.log(share), -1e30)

    def head(self, strength: float) -> LinearHead:
        """The head at shrinkage ``strength`` in (0, 1]."""
        pooled = (1 - strength) * self._spectrum + strength * self._spectrum.mean()
        coef = self._means / pooled.clip(1e-12)
        intercept = self._prior - (coef * self._means).sum(1) / 2
        W = np.concatenate([coef, intercept[:, None]], axis=1)
        return self._axes.fold(W.astype(np.float32), strength)


class MeanPath:
    """Nearest class mean on standardised features. Nothing to choose: every strength is the same head.

    Parameters
    ----------
    X : float32 array, shape (n, D)
    y : int64 array, shape (n,)
    n_classes : int
    """

    def __init__(self, X: NDArray[np.float32], y: NDArray[np.int64], n_classes: int):
        moments = measure_moments(X, y, n_classes)
        mean, scale = standard_scale(moments.mean, moments.covariance.diagonal())
        means = (moments.class_means - moments.mean) / scale
        coef = means / scale
        nowhere = (moments.count == 0) * 1e30
        intercept = -(means * means).sum(1) / 2 - coef @ mean - nowhere
        self._coef, self._intercept = coef.astype(np.float32), intercept.astype(np.float32)

    def head(self, strength: float) -> LinearHead:
        """The head: the same at every ``strength``."""
        return LinearHead(self._coef, self._intercept, strength)

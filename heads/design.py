"""Training features as the logistic solver reads them: in memory, or in blocks from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .arrays import Array, block_rows, cast, cut_rows, eigh, namespace, to_float32, zeros
from .linear import Axes, standard_scale
from .moments import Moments, measure_moments
from .softmax import residual

# Yields (X float32 or float16 (b, D), y int64 (b,)) in one fixed order, as often as it is called.
Blocks = Callable[[], Iterable[tuple[Array, Array]]]


@dataclass(frozen=True, eq=False)
class Design:
    """Features in the eigenbasis of their covariance, where the curvature of the loss is nearly diagonal.

    Attributes
    ----------
    blocks : callable
        Yields the rows, in ``axes`` if ``lazy`` is false (in memory, rotated once), else raw.
    y : int64 array, shape (n,)
    n_classes : int
    axes : Axes
        From raw features to the solver's R coordinates.
    spectrum : float32 array, shape (R + 1,)
        Variance along each coordinate; 1 for the intercept.
    lazy : bool
        Rows come raw, and ``axes`` is applied to coefficients and gradients instead: no copy of the features.
    """

    blocks: Blocks
    y: Array
    n_classes: int
    axes: Axes
    spectrum: Array
    lazy: bool

    def logits(self, W: Array) -> Array:
        """Logits of every row for ``W`` (K, R + 1), in its dtype: shape (n, K)."""
        coef, intercept = W[:, :-1], W[:, -1]
        if self.lazy:
            head = self.axes.fold(W, 0.0)
            coef, intercept = head.coef, head.intercept
        Z = zeros((len(self.y), len(W)), W)
        start = 0
        for X, y in self.blocks():
            for part in block_rows(len(y), len(W), W):
                Z[start + part.start : start + part.stop] = cast(X[part], W) @ coef.T + intercept
            start += len(y)
        return Z

    def gradient(self, Z: Array) -> Array:
        """Gradient of the mean loss at logits ``Z`` (n, K), in their dtype: shape (K, R + 1)."""
        G: Array = 0.0
        total: Array = 0.0
        start = 0
        for X, y in self.blocks():
            for part in block_rows(len(y), Z.shape[1], Z):
                R = residual(Z[start + part.start : start + part.stop], y[part])[0]
                G = G + R.T @ cast(X[part], R)
                total = total + R.sum(0)
            start += len(y)
        if self.lazy:
            G = self.axes.pull(G, total)
        return namespace(Z).concatenate([G, total[:, None]], axis=1) / len(self.y)


def rotate_features(X: Array, y: Array, n_classes: int, *, standardize: bool = True) -> Design:
    """The design of features in memory: standardised and rotated once into the eigenbasis of X'X.

    The L2 penalty does not change under a rotation. With fewer rows than features the rows are first
    expressed in an orthonormal basis of their own span, where an optimum always lies.

    Parameters
    ----------
    X : float32 array, shape (n, D)
    y : int64 array, shape (n,)
    n_classes : int
    standardize : bool
        Scale each feature to unit variance; features are centred either way.
    """
    n, d = X.shape
    if n < d:
        axes, spectrum = _span_axes(X, standardize)
    else:
        blocks = ((X[part], y[part]) for part in cut_rows(n))
        axes, spectrum = _moment_axes(measure_moments(blocks, n_classes), standardize)
    rotated = zeros((n, len(spectrum) - 1), X)
    for part in cut_rows(n):
        rotated[part] = axes.enter(X[part])
    return Design(lambda: [(rotated, y)], y, n_classes, axes, spectrum, lazy=False)


def stream_features(blocks: Blocks, n_classes: int, *, standardize: bool = True) -> Design:
    """The design of features that need not fit in memory: every product reads them again, block by block.

    Parameters
    ----------
    blocks : callable
        Yields (X float32 or float16 (b, D), y int64 (b,)), the same rows in the same order on each call.
    n_classes : int
    standardize : bool
        As `rotate_features`.
    """
    labels: list[Array] = []

    def noting_labels() -> Iterable[tuple[Array, Array]]:
        for X, y in blocks():
            labels.append(y)
            yield X, y

    axes, spectrum = _moment_axes(measure_moments(noting_labels(), n_classes), standardize)
    y = namespace(labels[0]).concatenate(labels)
    return Design(blocks, y, n_classes, axes, spectrum, lazy=True)


def _moment_axes(moments: Moments, standardize: bool) -> tuple[Axes, Array]:
    covariance = moments.covariance
    mean, scale = standard_scale(moments.mean, covariance.diagonal(), standardize)
    values, basis = eigh(to_float32(covariance) / scale / scale[:, None])
    return Axes(mean, scale, basis), _with_intercept(values)


def _span_axes(X: Array, standardize: bool) -> tuple[Axes, Array]:
    xp = namespace(X)
    mean = xp.mean(X, axis=0, dtype=xp.float64)
    variance = xp.mean((X - to_float32(mean)) ** 2, axis=0, dtype=xp.float64)
    mean, scale = standard_scale(mean, variance, standardize)
    rows = (X - mean) / scale
    span = xp.linalg.qr(rows.T)[0]
    inside = rows @ span
    values, basis = eigh(inside.T @ inside / len(X))
    return Axes(mean, scale, span @ basis), _with_intercept(values)


def _with_intercept(values: Array) -> Array:
    return namespace(values).concatenate([values.clip(0), values[:1] * 0 + 1])

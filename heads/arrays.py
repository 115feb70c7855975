"""Arithmetic on arrays where the obvious spelling costs time or memory that was measured."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

# What a function computes in: float32 until that stalls, then float64. Its arrays share one of them.
Precision = TypeVar("Precision", np.float32, np.float64)

# Elements of a softmax block: temporaries of 1 MiB rather than of the size of all logits, at the same speed
# (4 ms for 12,000 x 120 logits in any block from 2^18 up).
_BLOCK_ELEMENTS = 2**18
_PRODUCT_ROWS = 8192  # rows of one product with features: as fast as all at once, without copies of their size


def powers_of_ten(first: float, last: float, n: int) -> tuple[float, ...]:
    """``n`` powers of ten with evenly spaced exponents, the same on every machine.

    Not NumPy's power, whose last bit depends on the processor: strengths name the cells that are remembered.
    """
    return tuple(10.0**exponent for exponent in np.linspace(first, last, n).tolist())


def dot(a: NDArray[Precision], b: NDArray[Precision]) -> float:
    """Inner product of two arrays of one shape.

    Not BLAS: OpenBLAS starts threads for vectors this short, 6 ms instead of .1 ms when the cores are busy.
    """
    return float((a * b).sum())


def block_rows(n: int, width: int) -> list[slice]:
    """Slices that cut ``n`` rows of ``width`` elements into blocks whose temporaries stay small."""
    return cut_rows(n, max(64, _BLOCK_ELEMENTS // width))


def cut_rows(n: int, step: int = _PRODUCT_ROWS) -> list[slice]:
    """Slices of at most ``step`` rows that cover ``n`` in order."""
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def add_by_label(total: NDArray[np.float64], X: NDArray[np.float32], y: NDArray[np.int64]) -> None:
    """Add each row of ``X`` (b, D) to the row of ``total`` (K, D) that its label in ``y`` (b,) names.

    By sorting: a product with one-hot labels takes (b, K) elements, 357 MB for 4,096 rows of 21,843 classes.
    """
    order = np.argsort(y, kind="stable")
    labels = y[order]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    total[labels[starts]] += np.add.reduceat(X[order], starts, axis=0, dtype=np.float64)


def eigh(a: NDArray[Precision]) -> tuple[NDArray[Precision], NDArray[Precision]]:
    """Eigenvalues, ascending, and eigenvectors (columns) of a symmetric matrix.

    scipy's LAPACK took 8 s for a 2,048 x 2,048 float32 matrix where numpy's took 14 to 25 s.
    """
    values, vectors = scipy.linalg.eigh(a, driver="evd", check_finite=False)
    return values, vectors

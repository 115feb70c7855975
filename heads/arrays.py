"""One spelling for numpy arrays and torch tensors, so that features on a GPU never visit the host."""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

# A numpy array or a torch tensor on any device. torch is never imported here: whoever made the tensor did.
Array: TypeAlias = Any

# Elements of a softmax block: temporaries of 1 MiB rather than of the size of all logits, at the same speed
# (4 ms for 12,000 x 120 logits in any block from 2^18 up); a GPU wants few large kernels.
_CPU_BLOCK, _GPU_BLOCK = 2**18, 2**27
_PRODUCT_ROWS = 8192  # rows of one product with features: as fast as all at once, without copies of their size


def namespace(x: Array) -> Any:
    """The module that made ``x``: numpy or torch."""
    return np if isinstance(x, np.ndarray) else sys.modules["torch"]


def like(values: NDArray[Any], x: Array) -> Array:
    """``values`` as the same kind of array as ``x``, on the same device, dtype kept."""
    return values if isinstance(x, np.ndarray) else sys.modules["torch"].as_tensor(values, device=x.device)


def to_numpy(x: Array) -> NDArray[Any]:
    """A numpy array with the values of ``x``."""
    return x if isinstance(x, np.ndarray) else x.detach().cpu().numpy()


def to_float32(x: Array) -> Array:
    """``x`` as float32, without a copy where it is float32 already."""
    return x.astype(np.float32, copy=False) if isinstance(x, np.ndarray) else x.float()


def cast(x: Array, like_this: Array) -> Array:
    """``x`` in the dtype of ``like_this``, without a copy where it has it already."""
    return x.astype(like_this.dtype, copy=False) if isinstance(x, np.ndarray) else x.to(like_this.dtype)


def to_float64(x: Array) -> Array:
    """``x`` as float64."""
    return x.astype(np.float64) if isinstance(x, np.ndarray) else x.double()


def zeros(shape: tuple[int, ...], x: Array) -> Array:
    """Zeros in the dtype and on the device of ``x``."""
    return np.zeros(shape, x.dtype) if isinstance(x, np.ndarray) else x.new_zeros(shape)


def precision(x: Array) -> float:
    """Distance from 1 to the next number of the dtype of ``x``."""
    return float(namespace(x).finfo(x.dtype).eps)


def dot(a: Array, b: Array) -> float:
    """Inner product of two arrays of one shape.

    Not BLAS: OpenBLAS starts threads for vectors this short, 6 ms instead of .1 ms when the cores are busy.
    """
    return float((a * b).sum())


def block_rows(n: int, width: int, x: Array) -> list[slice]:
    """Slices that cut ``n`` rows of ``width`` elements into blocks the device of ``x`` likes."""
    small = isinstance(x, np.ndarray) or x.device.type == "cpu"
    step = max(64, (_CPU_BLOCK if small else _GPU_BLOCK) // width)
    return cut_rows(n, step)


def cut_rows(n: int, step: int = _PRODUCT_ROWS) -> list[slice]:
    """Slices of at most ``step`` rows that cover ``n`` in order."""
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def count_labels(y: Array, n_classes: int) -> Array:
    """How often each of ``n_classes`` labels occurs in ``y`` int64 (n,): int64, shape (K,)."""
    return namespace(y).bincount(y, minlength=n_classes)


def add_by_label(total: Array, X: Array, y: Array) -> None:
    """Add each row of ``X`` (b, D) to the row of ``total`` float64 (K, D) that its label in ``y`` (b,) names.

    By sorting: a product with one-hot labels takes (b, K) elements, 357 MB for 4,096 rows of 21,843 classes.
    """
    if not isinstance(X, np.ndarray):
        total.index_add_(0, y, X.to(total.dtype))
        return
    order = np.argsort(y, kind="stable")
    labels = y[order]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    total[labels[starts]] += np.add.reduceat(X[order], starts, axis=0, dtype=np.float64)


def eigh(a: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors (columns) of a symmetric matrix.

    scipy's LAPACK took 8 s for a 2,048 x 2,048 float32 matrix where numpy's took 14 to 25 s.
    """
    if isinstance(a, np.ndarray):
        values, vectors = scipy.linalg.eigh(a, driver="evd", check_finite=False)
        return values, vectors
    values, vectors = namespace(a).linalg.eigh(a)
    return values, vectors

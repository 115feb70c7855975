"""Features that stay on disk: an array that is read by slices of its rows, so that its size is no bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError


@dataclass(frozen=True, eq=False)
class Blocks:
    """An array of which slices of rows are read when they are asked for, as float32, and forgotten.

    Attributes
    ----------
    shape : tuple of int
        (n, V, D), or (n, D).
    read : callable
        From the first row and the one behind the last to these rows; float32.
    step : int
        Rows that are best read at once.
    known : dict
        What was measured of all rows, by name, since it takes a reading of all.
    """

    shape: tuple[int, ...]
    read: Callable[[int, int], NDArray[np.float32]]
    step: int
    known: dict[str, Any] = field(default_factory=dict)
    dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        if not isinstance(rows, slice):
            raise self.refuse("picks some of their rows")
        start, stop, _ = rows.indices(len(self))
        return self.read(start, stop)

    def __array__(self, *_: Any, **__: Any) -> NDArray[np.float32]:
        raise self.refuse("takes them whole")

    @property
    def ndim(self) -> int:
        """Of the array."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """What of it stays in memory: nothing."""
        return 0

    @property
    def whole_bytes(self) -> int:
        """What the array would take in memory."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def mean(self, axis: int, dtype: Any = np.float64) -> NDArray[Any]:
        """Mean over all rows, as that of an array: shape (D,) of (n, D)."""
        if axis:
            raise self.refuse("averages views")
        total = np.zeros(self.shape[1:], np.float64)
        for start in range(0, len(self), self.step):
            total += self[start : start + self.step].sum(0, dtype=np.float64)
        return np.asarray(total / len(self), dtype)

    def flatten_views(self) -> Blocks:
        """Every view as a row of its own: (n * V, D)."""
        n, views, dim = self.shape

        def read(start: int, stop: int) -> NDArray[np.float32]:
            first = start // views
            found = self.read(first, -(-stop // views)).reshape(-1, dim)
            return found[start - first * views : stop - first * views]

        return Blocks((n * views, dim), read, self.step)

    def refuse(self, what: str) -> UsageError:
        """Why something that needs all rows at once cannot be had."""
        return UsageError(
            f"found features of {self.whole_bytes / 1e9:.2g} GB, more than --memory has room for, where an option "
            f"{what}; expected options that read them block by block: raise --memory, or ask for heads of all "
            "training images, chosen by val, with --gap none."
        )

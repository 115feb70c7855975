"""Where the members of a container are, in columns: a million of them weigh some 60 bytes each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.strings import Strings


@dataclass(frozen=True, eq=False)
class Index:
    """Members of a container in its own order.

    Attributes
    ----------
    names : Strings
        Each once.
    starts, lengths : int64 array, shape (n,)
        The bytes to read for each.
    """

    names: Strings
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def find(self, name: bytes) -> int:
        """The place of a member among these; -1 if there is none of the name."""
        hashes, order = self._sorted
        wanted = hash(name)
        at = int(np.searchsorted(hashes, wanted))
        while at < len(order) and hashes[at] == wanted:
            if self.names[int(order[at])] == name:
                return int(order[at])
            at += 1
        return -1

    def find_twice(self) -> bytes:
        """A name that comes twice; empty if there is none."""
        hashes, order = self._sorted
        for at in np.flatnonzero(hashes[1:] == hashes[:-1]).tolist():
            one, two = (self.names[int(order[at + i])] for i in (0, 1))
            if one == two:
                return one
        return b""

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hashes of the names, ascending, and whose they are."""
        hashes = self.names.hash()
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

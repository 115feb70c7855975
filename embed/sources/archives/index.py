"""Where the members of a container are, in columns: a million of them weigh some 60 bytes each."""

from __future__ import annotations

from collections.abc import Sequence
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

    def find(self, names: Sequence[bytes]) -> NDArray[np.int64]:
        """The places of members among these, -1 for names that are none: int64, shape (len(names),)."""
        hashes, order = self._sorted
        wanted = np.fromiter(map(hash, names), np.int64, len(names))
        found = np.full(len(names), -1)
        at = np.searchsorted(hashes, wanted)
        maybe = np.flatnonzero(np.append(hashes, 0)[at] == wanted) if len(hashes) else at[:0]
        maybe = maybe[at[maybe] < len(hashes)]
        held = self.names.take(order[at[maybe]])
        for i, place, name in zip(maybe.tolist(), at[maybe].tolist(), held, strict=True):
            if name == names[i]:
                found[i] = order[place]
            else:  # others have the same hash
                same = order[place : np.searchsorted(hashes, wanted[i], side="right")].tolist()
                found[i] = next((one for one in same if self.names[one] == names[i]), -1)
        return found

    def find_twice(self) -> bytes:
        """A name that comes twice; empty if there is none."""
        hashes, order = self._sorted
        at = np.flatnonzero(hashes[1:] == hashes[:-1])
        pairs = zip(self.names.take(order[at]), self.names.take(order[at + 1]), strict=True)
        return next((one for one, two in pairs if one == two), b"")

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hashes of the names, ascending, and whose they are."""
        hashes = self.names.hash()
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

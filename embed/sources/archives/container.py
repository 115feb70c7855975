"""A file that holds images: what the rest asks of it, whatever its format."""

from __future__ import annotations

import errno
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

from .blob import Blob
from .scan import Scan

_GAP, _MOST = 1 << 18, 8 << 20  # bytes between members that are read for nothing; that are read at once


class DamagedError(OSError):
    """A container that is not as its format wants it."""

    def __init__(self, said: str) -> None:
        super().__init__(errno.EIO, said)


class Container(Protocol):
    """One file of images, asked by several threads at once; what goes wrong is an `OSError`."""

    def cut(self, names: Sequence[bytes]) -> list[int]:
        """How many of these members, as they come, are read at once, and how many then, up to all of them."""
        ...

    def read(self, names: Sequence[bytes]) -> list[bytes]:
        """The bytes of members, of one of the runs that `cut` tells, or of one member."""
        ...


class Indexed(Container):
    """A container whose members lie at places that one scan finds.

    Parameters
    ----------
    blob : Blob
    """

    def __init__(self, blob: Blob) -> None:
        self.blob = blob

    @abstractmethod
    def scan(self) -> Scan:
        """All members."""

    @abstractmethod
    def unpack(self, place: int, data: bytes) -> bytes:
        """A member from the bytes that its index says to read."""

    @cached_property
    def scanned(self) -> Scan:
        """What a scan found, kept for as long as this is."""
        return self.scan()

    def cut(self, names: Sequence[bytes]) -> list[int]:
        """Members that lie one behind another, with small gaps."""
        runs: list[int] = []
        begin = end = -1
        for place in map(self._find, names):
            start, stop = self._span(place)
            if runs and 0 <= start - end <= _GAP and stop - begin <= _MOST:
                runs[-1] += 1
            else:
                runs.append(1)
                begin = start
            end = stop
        return runs

    def read(self, names: Sequence[bytes]) -> list[bytes]:
        """See `Container`."""
        places = [self._find(name) for name in names]
        begin, end = self._span(places[0])[0], self._span(places[-1])[1]
        data = self.blob.read_exactly(begin, end - begin)
        return [
            self.unpack(place, data[start - begin : stop - begin])
            for place in places
            for start, stop in [self._span(place)]
        ]

    def _find(self, name: bytes) -> int:
        place = self.scanned.index.find(name)
        if place < 0:
            raise FileNotFoundError(errno.ENOENT, "no such member")
        return place

    def _span(self, place: int) -> tuple[int, int]:
        index = self.scanned.index
        start = int(index.starts[place])
        return start, start + int(index.lengths[place])

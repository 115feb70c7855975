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
    place : str
        Where it lies.
    """

    def __init__(self, blob: Blob, place: str) -> None:
        self.blob, self.place = blob, place

    @abstractmethod
    def scan(self) -> Scan:
        """All members."""

    @abstractmethod
    def unpack(self, place: int, data: memoryview) -> bytes:
        """A member from the bytes that its index says to read."""

    @cached_property
    def scanned(self) -> Scan:
        """What a scan found, kept for as long as this is."""
        return self.scan()

    def cut(self, names: Sequence[bytes]) -> list[int]:
        """Members that lie one behind another, with small gaps."""
        runs: list[int] = []
        begin = end = -1
        for start, stop in zip(*self._find_spans(names)[1:], strict=True):
            if runs and 0 <= start - end <= _GAP and stop - begin <= _MOST:
                runs[-1] += 1
            else:
                runs.append(1)
                begin = start
            end = stop
        return runs

    def read(self, names: Sequence[bytes]) -> list[bytes]:
        """See `Container`."""
        places, starts, stops = self._find_spans(names)
        begin = starts[0]
        data = memoryview(self.blob.read_exactly(begin, stops[-1] - begin))
        return [
            self.unpack(place, data[start - begin : stop - begin])
            for place, start, stop in zip(places, starts, stops, strict=True)
        ]

    def _find_spans(self, names: Sequence[bytes]) -> tuple[list[int], list[int], list[int]]:
        """Of each member its place in the index, and where its bytes begin and end."""
        index = self.scanned.index
        places = index.find(names)
        if (places < 0).any():
            raise FileNotFoundError(errno.ENOENT, "no such member")
        starts = index.starts[places]
        return places.tolist(), starts.tolist(), (starts + index.lengths[places]).tolist()

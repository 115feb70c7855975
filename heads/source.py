"""Where a grid's features come from: a protocol, and a shelf that keeps what was read."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Protocol

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.view import View

Place = tuple[str, str, int]  # split, kind of view, resolution in px
_MEMORY_SHARE = 0.25


class Source(Protocol):
    """Features of one data set by one trunk, as `fixgrid.cache.holdings.Holdings` gives them."""

    @property
    def n_classes(self) -> int:
        """Number of classes that labels index."""

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        """Features and labels of one split, seen one way."""

    def identify(self, split: str, kind: str, res: int) -> str:
        """A string that changes whenever what `load` gives does; it costs no load."""

    def view(self, split: str, kind: str, res: int) -> View:
        """How the images were seen."""


class Shelf:
    """A source that keeps what it gave, so that a grid reads and hashes every split once per resolution.

    Parameters
    ----------
    source : Source
    room_bytes : int
        What is kept at most, the latest used first; a quarter of this machine's memory if not given.
    """

    def __init__(self, source: Source, room_bytes: int | None = None) -> None:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.source = source
        self._room = int(memory * _MEMORY_SHARE) if room_bytes is None else room_bytes
        self._kept: OrderedDict[Place, FeatureSet] = OrderedDict()
        self._names: dict[Place, str] = {}

    @property
    def n_classes(self) -> int:
        """See `Source`."""
        return self.source.n_classes

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        """See `Source`; callers must not change what they get."""
        place = split, kind, res
        if place not in self._kept:
            self._kept[place] = self.source.load(*place)
        self._kept.move_to_end(place)
        found = self._kept[place]
        while len(self._kept) > 1 and sum(kept.X.nbytes for kept in self._kept.values()) > self._room:
            self._kept.popitem(last=False)
        return found

    def identify(self, split: str, kind: str, res: int) -> str:
        """See `Source`."""
        place = split, kind, res
        if place not in self._names:
            self._names[place] = self.source.identify(*place)
        return self._names[place]

    def view(self, split: str, kind: str, res: int) -> View:
        """See `Source`."""
        return self.source.view(split, kind, res)

"""The images of a listing, in columns: a label, split or group is kept once, and each image has its number."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.strings import Strings

Label = str | tuple[str, ...] | float
"""What an image is labelled with, by the task: a class, ``""`` for none; several classes; a number."""

_BLOCK = 1 << 14


class Image(NamedTuple):
    """One listed image: path relative to the root, label, split, and the group it must not be parted from.

    Split and group are empty where none is given.
    """

    path: bytes
    label: Label
    split: str = ""
    group: str = ""


@dataclass(frozen=True, eq=False)
class Column:
    """One value of each image: its number among the values, int32 (n,), and these, each once."""

    codes: NDArray[np.int32]
    values: tuple[Any, ...]

    @classmethod
    def gather(cls, values: Iterable[Hashable]) -> Column:
        """Of the values of all images; a `Column` as it is."""
        if isinstance(values, Column):
            return values
        number: dict[Hashable, int] = {}
        codes = array("i", (number.setdefault(value, len(number)) for value in values))
        return cls(np.frombuffer(codes, np.int32) if codes else np.zeros(0, np.int32), tuple(number))

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Any]:
        blocks = (self.codes[start : start + _BLOCK].tolist() for start in range(0, len(self), _BLOCK))
        return map(self.values.__getitem__, chain.from_iterable(blocks))

    def take(self, index: NDArray[Any] | slice) -> Column:
        """Of some images, by their places."""
        return Column(self.codes[index], self.values)

    def held(self) -> dict[Any, int]:
        """How many images have each value that some have."""
        counts = np.bincount(self.codes, minlength=len(self.values)).tolist()
        return {value: n for value, n in zip(self.values, counts, strict=True) if n}

    def equals(self, value: Hashable) -> NDArray[np.bool_]:
        """Which images have a value: bool (n,)."""
        number = self.values.index(value) if value in self.values else -1
        return np.asarray(self.codes == number)

    def pair(self, other: Column) -> list[tuple[Any, Any]]:
        """The pairs of values that some image has, its own and its other's."""
        pairs = np.unique(self.codes.astype(np.int64) * max(1, len(other.values)) + other.codes).tolist()
        return [(self.values[i // len(other.values)], other.values[i % len(other.values)]) for i in pairs]


@dataclass(frozen=True, eq=False)
class Images(Sequence[Image]):
    """Images, read as a list of `Image` would be.

    Attributes
    ----------
    paths : Strings
    labels, splits, groups : Column
    """

    paths: Strings
    labels: Column
    splits: Column
    groups: Column

    @classmethod
    def gather(cls, images: Iterable[Image]) -> Images:
        """Those of any iterable; `Images` as they are."""
        if isinstance(images, Images):
            return images
        numbers: tuple[dict[Any, int], ...] = ({}, {}, {})
        codes = array("i"), array("i"), array("i")

        def read() -> Iterator[bytes]:
            for path, *values in images:
                for value, number, column in zip(values, numbers, codes, strict=True):
                    column.append(number.setdefault(value, len(number)))
                yield path

        paths = Strings.gather(read())
        columns = (np.array(column, np.int32) for column in codes)
        return cls(paths, *(Column(one, tuple(number)) for one, number in zip(columns, numbers, strict=True)))

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> Image: ...

    @overload
    def __getitem__(self, place: slice) -> Images: ...

    def __getitem__(self, place: int | slice) -> Image | Images:
        if isinstance(place, slice):
            return Images(self.paths[place], *(column.take(place) for column in self._columns))
        return Image(self.paths[place], *(column.values[column.codes[place]] for column in self._columns))

    def __iter__(self) -> Iterator[Image]:
        return map(Image, self.paths, *self._columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    @property
    def _columns(self) -> tuple[Column, Column, Column]:
        return self.labels, self.splits, self.groups

    def take(self, index: NDArray[np.int64]) -> Images:
        """Some of them, by their places, in that order."""
        return Images(self.paths.take(index), *(column.take(index) for column in self._columns))

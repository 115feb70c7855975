"""Byte strings end to end in one array: a million paths as two arrays, not as a million objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 14  # strings that are objects at a time
_WORD = 8


@dataclass(frozen=True, eq=False)
class Strings(Sequence[bytes]):
    """Byte strings, read as a tuple of them would be.

    Attributes
    ----------
    text : uint8 array
        All of them, end to end.
    ends : int64 array, shape (n,)
        Where each ends in it.
    """

    text: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @classmethod
    def gather(cls, strings: Iterable[bytes]) -> Strings:
        """Those of any iterable; `Strings` as they are."""
        if isinstance(strings, Strings):
            return strings
        text, lengths = bytearray(), array("I")
        for one in strings:
            text += one
            lengths.append(len(one))
        ends = np.cumsum(np.frombuffer(lengths, np.uint32) if lengths else [], dtype=np.int64)
        return cls(np.frombuffer(text, np.uint8), ends)

    @classmethod
    def of_width(cls, table: NDArray[np.uint8]) -> Strings:
        """The rows of a uint8 array, shape (n, width), which is not copied."""
        return cls(table.reshape(-1), np.arange(1, len(table) + 1, dtype=np.int64) * table.shape[1])

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each begins: int64, shape (n,)."""
        starts = np.zeros_like(self.ends)
        starts[1:] = self.ends[:-1]
        return starts

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> Strings: ...

    def __getitem__(self, place: int | slice) -> bytes | Strings:
        rows = range(len(self.ends))[place]
        if isinstance(rows, int):
            return self.text[self.ends[rows - 1] if rows else 0 : self.ends[rows]].tobytes()
        if rows.step != 1:
            return self.take(np.arange(rows.start, rows.stop, rows.step))
        before = int(self.ends[rows.start - 1]) if rows.start and len(rows) else 0
        ends = self.ends[rows.start : rows.stop] - before if before else self.ends[rows.start : rows.stop]
        return Strings(self.text[before : before + int(ends[-1])] if len(ends) else self.text[:0], ends)

    def __iter__(self) -> Iterator[bytes]:
        for block in self.cut():
            yield from block

    def cut(self, size: int = _BLOCK) -> Iterator[list[bytes]]:
        """Lists of so many, one after another."""
        for start in range(0, len(self), size):
            part = self[start : start + size]
            text = part.text.tobytes()
            yield [text[a:b] for a, b in pairwise([0, *part.ends.tolist()])]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Strings):
            return np.array_equal(self.ends, other.ends) and np.array_equal(self.text, other.text)
        if not isinstance(other, Sequence) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Sequence) else False
        return all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def take(self, index: NDArray[np.int64]) -> Strings:
        """Some of them, by their places, in that order."""
        starts = self.starts[index]
        lengths = self.ends[index] - starts
        ends = np.cumsum(lengths, dtype=np.int64)
        text = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
        for start in range(0, len(index), _BLOCK):
            part = slice(start, start + _BLOCK)
            first = int(ends[start]) - int(lengths[start])
            last = int(ends[part][-1])
            shift = np.repeat(starts[part] - (ends[part] - lengths[part]), lengths[part])
            text[first:last] = self.text[np.arange(first, last) + shift]
        return Strings(text, ends)

    def join(self, other: Strings) -> Strings:
        """These and then others."""
        before = int(self.ends[-1]) if len(self) else 0
        return Strings(np.concatenate([self.text, other.text]), np.concatenate([self.ends, other.ends + before]))

    def argsort(self) -> NDArray[np.int64]:
        """The places in the order of the bytes, equal ones as they come: int64, shape (n,).

        By eight bytes at a time: those that are equal so far are sorted by the next eight.
        """
        starts, order = self.starts, np.arange(len(self))
        lengths = self.ends - starts
        at, run, begin = np.arange(len(self)), np.zeros(len(self), np.int32), 0
        while len(at):  # what is at these places of the order is equal, run by run, up to `begin`
            rows = order[at]
            left = (lengths[rows] - begin).clip(0, _WORD + 1).astype(np.uint8)
            words = self._read_words(starts[rows] + begin, left)
            turn = np.lexsort((left, words, run))
            order[at], left, words = rows[turn], left[turn], words[turn]
            new = np.ones(len(at), np.bool_)
            new[1:] = (words[1:] != words[:-1]) | (left[1:] != left[:-1]) | (run[1:] != run[:-1])
            run = np.cumsum(new, dtype=np.int32) - 1
            again = (left > _WORD) & (np.bincount(run)[run] > 1)
            at, run, begin = at[again], run[again], begin + _WORD
        return order

    def find(self, wanted: Strings) -> NDArray[np.int64]:
        """Where each of others is among these, -1 for nowhere: int64, shape (len(wanted),)."""
        if self == wanted:
            return np.arange(len(self))
        mine, theirs = self.hash(), wanted.hash()
        order = np.argsort(mine, kind="stable")
        mine = mine[order]
        at = np.searchsorted(mine, theirs)
        found = np.full(len(wanted), -1)
        maybe = np.flatnonzero(at < len(self))
        maybe = maybe[mine[at[maybe]] == theirs[maybe]]
        found[maybe] = order[at[maybe]]
        for start in range(0, len(maybe), _BLOCK):
            part = maybe[start : start + _BLOCK]
            for row, one, two in zip(part.tolist(), self.take(found[part]), wanted.take(part), strict=True):
                if one != two:  # of one hash alone
                    same = order[at[row] : np.searchsorted(mine, theirs[row], side="right")].tolist()
                    found[row] = next((place for place in same if self[place] == two), -1)
        return found

    def hash(self) -> NDArray[np.int64]:
        """Python's own hash of each, another in every process: int64, shape (n,)."""
        return np.fromiter(map(hash, self), np.int64, len(self))

    def _read_words(self, starts: NDArray[np.int64], lengths: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Eight bytes from each place as a number, fewer where a string is shorter."""
        words = np.zeros((len(starts), _WORD), np.uint8)
        for i in range(_WORD):
            inside = np.flatnonzero(lengths > i)
            words[inside, i] = self.text[starts[inside] + i]
        return words.view(">u8").reshape(-1).astype(np.uint64)

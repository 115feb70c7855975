"""A file that is read in parts: here, or behind a URL."""

from __future__ import annotations

import errno
import io
import os
from functools import cached_property
from typing import BinaryIO, Protocol

from ..content import Stamp, open_file, stamp_file
from ..remote.store import Store


class Blob(Protocol):
    """Bytes at places; asked by several threads at once. What goes wrong is an `OSError`.

    Attributes
    ----------
    buffer : int
        Bytes that are worth reading at once where one reads on.
    is_far : bool
        Whether each reading is a question to a server.
    """

    buffer: int
    is_far: bool = False

    def stamp(self) -> Stamp:
        """What tells that it is still the one that it was."""
        ...

    @property
    def size(self) -> int:
        """In bytes, when it was first asked."""
        ...

    def read_at(self, start: int, n: int) -> bytes:
        """So many bytes from a place on; fewer at the end."""
        ...

    def read_exactly(self, start: int, n: int) -> bytes:
        """So many bytes, or an `OSError` that it ends before."""
        data = self.read_at(start, n)
        if len(data) < n:
            raise OSError(errno.EIO, f"it ends {n - len(data):,} bytes before what it should hold")
        return data


class NearBlob(Blob):
    """A file of this machine.

    Parameters
    ----------
    path : bytes
        Absolute.
    """

    buffer = 1 << 13

    def __init__(self, path: bytes) -> None:
        self._path = path

    def stamp(self) -> Stamp:
        """Of the file, as `Files` has it."""
        return stamp_file(self._path)

    @cached_property
    def size(self) -> int:
        """See `Blob`."""
        return os.fstat(self._file.fileno()).st_size

    def read_at(self, start: int, n: int) -> bytes:
        """See `Blob`."""
        data = os.pread(self._file.fileno(), n, start)
        while data and len(data) < n and (more := os.pread(self._file.fileno(), n - len(data), start + len(data))):
            data += more
        return data

    @cached_property
    def _file(self) -> BinaryIO:
        return open_file(self._path)


class FarBlob(Blob):
    """An object behind a URL, of which nothing is transferred but what is read.

    Parameters
    ----------
    store : Store
    path : bytes
        Below the store's place.
    known : Stamp, optional
        As it was listed.
    """

    buffer, is_far = 4 << 20, True

    def __init__(self, store: Store, path: bytes, known: Stamp | None = None) -> None:
        self._store, self._path, self._known = store, path, known

    def stamp(self) -> Stamp:
        """As it was listed, or is when it is first asked for."""
        if self._known is None:
            self._known = self._store.stamp(self._path)
        return self._known

    @property
    def size(self) -> int:
        """See `Blob`; `OSError` if the server does not tell."""
        if self.stamp()[0] < 0:
            raise OSError(errno.EIO, "its server does not tell its size, so that it cannot be read in parts")
        return self.stamp()[0]

    def read_at(self, start: int, n: int) -> bytes:
        """See `Blob`; what was cut on the way is read again."""
        stop = min(start + n, self.size)
        return self._store.read_part(self._path, start, stop) if stop > start else b""


class _Raw(io.RawIOBase):
    """A blob as a file; reading asks for as much as there is room for."""

    def __init__(self, blob: Blob) -> None:
        self._blob, self._at = blob, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._blob.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._blob.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_blob(blob: Blob) -> BinaryIO:
    """A blob as a file that can be read and sought; for one thread."""
    return io.BufferedReader(_Raw(blob), blob.buffer)

"""The bytes of a data set's images, wherever they lie: the only code that opens one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

Stamp = tuple[int, int, int, int]
"""Tells without reading that an image is untouched: its size in bytes (-1 if that takes reading), two times after
which it did not change (ns since the epoch, 0 for none), one number more. Of a file: size, mtime, ctime, inode."""


class IrregularFileError(OSError):
    """A folder, FIFO, socket or device where a file is expected."""


class Content(Protocol):
    """The images of one data set by their paths; asked by several threads at once.

    Each process opens its own, so handles may be kept, but are opened when the first image is asked for. What goes
    wrong is an `OSError` with an ``strerror``, whatever keeps the images.

    Attributes
    ----------
    in_flight : int
        Threads that are worth having ask at once, whatever the machine; 0 for no more than its cores keep busy.
    """

    in_flight: int = 0

    def stamp(self, path: bytes) -> Stamp:
        """What tells that an image is still the one it was.

        Raises
        ------
        OSError
            If it is not there.
        """
        ...

    def open(self, path: bytes) -> BinaryIO:
        """An image as a file that can be read and sought.

        Raises
        ------
        OSError
            If it is not there or cannot be read.
        """
        ...

    def read(self, path: bytes) -> bytes:
        """All bytes of an image.

        Raises
        ------
        OSError
            If it is not there or cannot be read.
        """
        with self.open(path) as file:
            return file.read()

    def announce(self, paths: Sequence[bytes]) -> None:
        """Hear what will be read next, about in this order: what is far away is fetched ahead.

        What was announced before and not read is forgotten.
        """
        return


class Files(Content):
    """Files below a folder.

    Parameters
    ----------
    root : str
        Absolute folder.
    """

    def __init__(self, root: str) -> None:
        self._root = os.fsencode(root)

    def stamp(self, path: bytes) -> Stamp:
        """Size, mtime_ns, ctime_ns and inode; `OSError` if the file is not there."""
        return stamp_file(os.path.join(self._root, path))

    def open(self, path: bytes) -> BinaryIO:
        """See `open_file`."""
        return open_file(os.path.join(self._root, path))


def open_file(path: Path | bytes) -> BinaryIO:
    """A regular file, or what a link points to if that is one; never a FIFO or a device, and never waited for.

    Raises
    ------
    IrregularFileError
        If it is something else.
    OSError
        If it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise IrregularFileError(errno.EINVAL, "not a regular file")
        return open(handle, "rb", buffering=0)
    except OSError:
        os.close(handle)
        raise


def stamp_file(path: bytes) -> Stamp:
    """Size, mtime_ns, ctime_ns and inode of a file; `OSError` if it is not there."""
    status = os.stat(path)
    inode = status.st_ino & (1 << 63) - 1  # some network file systems use all 64 bits; the memo's column is int64
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode

"""Writes that either happen whole or not at all.

Every file of the cache is written under a temporary name in its own folder, synced, renamed over its final
name, and the folder synced. Existence under the final name is the commit. In the mirror of a bucket, see
`fixgrid.cache.mirror`, it is put there before it is renamed here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .causes import is_refused as is_refused
from .causes import name_cause
from .errors import DiskError
from .localfile import TEMP_PREFIX as TEMP_PREFIX
from .localfile import hash_here, open_here, read_here
from .localfile import is_abandoned as is_abandoned
from .localfile import name_temp as name_temp
from .mirror import fetch_file, publish_file, withdraw_files


class _Sink:
    """A file for writers that cannot survive a failed write (HDF5 segfaults at exit on a full disk).

    The first error is kept and every later write is swallowed; `commit_stream` raises it afterwards.
    """

    closed = False  # as pyarrow asks

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        rest = memoryview(data).cast("B")
        while len(rest) and self.error is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self.error = error
        return len(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def readinto(self, buffer: bytearray) -> int:
        return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self.error = self.error or error


def commit_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises
    ------
    DiskError
        If any step fails; the temporary file is removed and an older `path` is untouched.
    """
    commit_stream(path, lambda file: file.write(data))


def commit_stream(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file, then commit it as `path`, whole or not at all.

    Raises
    ------
    DiskError
        As `commit_bytes`.
    """
    temp = name_temp(path.parent)
    try:
        make_folder(path.parent)
        with open(temp, "w+b", buffering=0) as file:
            _fill(file, write)
            os.fsync(file.fileno())
        publish_file(temp, path)
        os.replace(temp, path)
        sync_folder(path.parent)
    except OSError as error:
        raise name_cause(path, error) from error
    finally:
        with suppress(OSError):
            temp.unlink()


def _fill(file: BinaryIO, write: Callable[[BinaryIO], object]) -> None:
    sink = _Sink(file)
    try:
        write(sink)  # type: ignore[arg-type]
    except (OSError, RuntimeError):
        # What a writer says when it reads back what was swallowed is not the reason.
        if sink.error is None:
            raise
    if sink.error is not None:
        raise sink.error


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each durable in its own parent; existing ones are left as they are.

    Raises
    ------
    DiskError
        If one cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    except FileExistsError as error:
        raise DiskError(f"{folder} is there, but is no folder; name another --cache.") from error
    except OSError as error:
        raise name_cause(folder, error) from error


def remove_file(path: Path) -> None:
    """Remove a file; one that is gone already is fine.

    Raises
    ------
    DiskError
        If it cannot be removed.
    """
    remove_files([path])


def remove_files(paths: Sequence[Path]) -> None:
    """Remove files, as `remove_file`; of those in a bucket many at a time.

    Raises
    ------
    DiskError
        If one cannot be removed.
    """
    withdraw_files(paths)
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise name_cause(path, error) from error


def rename_file(path: Path, target: Path) -> None:
    """Rename a file durably, replacing `target`; one that another process took away is fine.

    Nothing is renamed in a bucket: there it is gone, here it has its new name.

    Raises
    ------
    DiskError
        If it cannot be renamed.
    """
    withdraw_files([path])
    try:
        os.replace(path, target)
        sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise name_cause(path, error) from error


def expect_space(folder: Path, needed_bytes: int) -> None:
    """Refuse to begin what cannot be finished.

    Raises
    ------
    DiskError
        If `folder`'s disk has less than `needed_bytes` and 5 % free.
    """
    free = shutil.disk_usage(folder).free
    if needed_bytes * 1.05 > free:
        raise DiskError(
            f"the disk of {folder} has {free / 1e9:.2f} GB free, expected {needed_bytes * 1.05 / 1e9:.2f} GB for "
            "the features: free some space, name another --cache, or ask for fewer --res or --train-views."
        )


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_file(path: Path) -> BinaryIO:
    """A regular file, to be read: nothing waits for a FIFO, which a stranger's cache may hold.

    Raises
    ------
    OSError
        If it cannot be opened, or is no regular file.
    """
    fetch_file(path)
    return open_here(path)


def read_file(path: Path) -> bytes:
    """A regular file's bytes; `OSError` as `open_file`."""
    fetch_file(path)
    return read_here(path)


def hash_file(path: Path) -> str:
    """Hex sha256 of a regular file's bytes, read in blocks of 1 MiB."""
    fetch_file(path)
    return hash_here(path)


def sweep_temps(folder: Path) -> None:
    """Remove what a killed process of this host left half-written; files of living processes stay."""
    for temp in folder.glob(f"{TEMP_PREFIX}*"):
        if is_abandoned(temp):
            remove_file(temp)


def expect_writable(path: Path) -> None:
    """Refuse at once what could not be written after long work, by trying: in the nearest folder that is there.

    Raises
    ------
    DiskError
        As `commit_bytes`.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    temp = name_temp(folder)
    try:
        temp.touch()
        temp.unlink()
    except OSError as error:
        raise name_cause(path, error) from error

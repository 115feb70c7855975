"""The sha256 of every file, computed once and remembered for as long as the file stays untouched.

A file counts as untouched when its size, mtime, ctime and inode are those seen when it was hashed. ctime is there
because an edit of the same length with the mtime put back changes nothing else. A file that changed within two
seconds of being hashed may change again without a new timestamp (git calls it racily clean), so it is not
remembered.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.disk import commit_stream
from fixgrid.cache.errors import DataError, DiskError
from fixgrid.cache.strings import Strings
from fixgrid.cache.text import show_path

from .sources.catalogue import open_content
from .sources.content import Content, IrregularFileError, Stamp

RACY_NS = 2_000_000_000
_BLOCK = 1 << 20
_NO_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError)
_PART = 1 << 14  # rows that are looked at at a time
_SLICE = 64  # files per task: futures for a million files would weigh a gigabyte

Progress = Callable[[int, int], None]


class Digest(NamedTuple):
    """A file's content, what the file looked like when it was read, and whether that can be relied on."""

    stamp: Stamp
    sha256: bytes
    settled: bool = True


class Memo(NamedTuple):
    """Digests of n files: their paths, each once; stamps, int64 (n, 4); sha256, uint8 (n, 32)."""

    paths: Strings
    stamps: NDArray[np.int64]
    sha256: NDArray[np.uint8]

    def add(self, new: Memo) -> Memo:
        """With others, which count where both have a path."""
        if not len(self.paths):
            return new
        old = np.flatnonzero(new.paths.find(self.paths) < 0)
        stamps = np.concatenate([self.stamps[old], new.stamps])
        sha256 = np.concatenate([self.sha256[old], new.sha256])
        return Memo(self.paths.take(old).join(new.paths), stamps, sha256)


NO_MEMO = Memo(Strings.gather(()), np.zeros((0, 4), np.int64), np.zeros((0, 32), np.uint8))


class Hashes(NamedTuple):
    """Size in bytes, int64 (n,), and sha256, uint8 (n, 32), of n files, in the order asked for."""

    sizes: NDArray[np.int64]
    sha256: NDArray[np.uint8]
    notes: tuple[str, ...]

    def take(self, index: NDArray[np.int64]) -> Hashes:
        """Of some of the files, by their places."""
        return Hashes(self.sizes[index], self.sha256[index], self.notes)


def hash_files(
    root: bytes,
    paths: Sequence[bytes],
    *,
    memo_folder: Path,
    rehash: bool = False,
    progress: Progress | None = None,
    workers: int | None = None,
    images: Content | None = None,
) -> Hashes:
    """Size and sha256 of every file; files that the memo knows are only stat'ed.

    Parameters
    ----------
    root : bytes
        What `paths` are relative to; see `Listing`.
    memo_folder : Path
        Holds one memo per root. A damaged memo is ignored; one that cannot be written leaves a note. What was
        hashed before an interruption is remembered.
    rehash : bool
        Read every file whatever the memo says.
    progress : callable, optional
        Called with (files done, files in all).
    workers : int, optional
        Threads; hashing and reading release the interpreter lock.
    images : Content, optional
        What reads the files, if it is open.

    Raises
    ------
    DataError
        If a file is gone, cannot be read or is no regular file.
    """
    images, names = images or open_content(os.fsdecode(root)), Strings.gather(paths)
    file = name_memo(root, memo_folder)
    memo = NO_MEMO if rehash else read_memo(file)
    known = memo.paths.find(names)
    for part in _cut(np.flatnonzero(known >= 0)):
        old, now = memo.stamps[known[part]], np.array([*_read_stamps(images, names.take(part))], np.int64)
        now[:, 0] = np.where(now[:, 0] < 0, old[:, 0], now[:, 0])  # a size that takes reading is not compared
        known[part[(now != old).any(axis=1)]] = -1
    pending = np.flatnonzero(known < 0)
    stamps, content = _recall(memo, known)
    del known
    # In the order of paths whatever the splits: what lies together is read together.
    pending = pending[(names if len(pending) == len(names) else names.take(pending)).argsort()]
    settled = np.zeros(len(names), np.bool_)
    notes: tuple[str, ...] = ()
    try:
        for done, (row, digest) in enumerate(_hash_in_threads(images, names, pending, workers), 1):
            stamps[row], content[row] = digest.stamp, np.frombuffer(digest.sha256, np.uint8)
            settled[row] = digest.settled
            if progress is not None:
                progress(len(names) - len(pending) + done, len(names))
    finally:
        if settled.all() and len(names):
            notes = _save_memo(file, memo.add(Memo(names, stamps, content)))
        elif settled.any():
            new = np.flatnonzero(settled)
            notes = _save_memo(file, memo.add(Memo(names.take(new), stamps[new], content[new])))
    if blank := int((~stamps[:, 1:].any(axis=1)).sum()):
        notes += (f"{blank} file(s) have neither a time nor an ETag where they are: each run reads them anew",)
    return Hashes(stamps[:, 0].copy(), content, notes)


def _recall(memo: Memo, known: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Stamps and sha256 of files by their places in a memo, zeros at -1; its own arrays if they are all of it."""
    if len(known) == len(memo.paths) and all((known[part] == part).all() for part in _cut(np.arange(len(known)))):
        return memo.stamps, memo.sha256
    there = np.flatnonzero(known >= 0)
    stamps, content = np.zeros((len(known), 4), np.int64), np.zeros((len(known), 32), np.uint8)
    stamps[there], content[there] = memo.stamps[known[there]], memo.sha256[known[there]]
    return stamps, content


def _cut(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Some of the rows after another: of millions not all are objects at once."""
    return (rows[start : start + _PART] for start in range(0, len(rows), _PART))


def name_memo(root: bytes, folder: Path) -> Path:
    """The file that remembers the hashes of the images below a root."""
    return folder / f"{hashlib.sha256(root).hexdigest()[:16]}.memo"


def _hash_in_threads(
    images: Content, paths: Strings, rows: NDArray[np.int64], workers: int | None
) -> Iterator[tuple[int, Digest]]:
    pool = ThreadPoolExecutor(workers or images.in_flight or min(8, 2 * (os.cpu_count() or 1)))
    size = 1 if images.in_flight else _SLICE
    slices = (rows[start : start + size].tolist() for start in range(0, len(rows), size))

    def hash_slice(part: list[int]) -> list[tuple[int, Digest]]:
        if not images.in_flight:
            images.announce([paths[row] for row in part])
        return [(row, hash_image(images, paths[row])) for row in part]

    try:
        for digests in pool.map(hash_slice, slices):
            yield from digests
    finally:  # an error or Ctrl-C must not wait for a million files
        pool.shutdown(cancel_futures=True)


def hash_image(images: Content, path: bytes) -> Digest:
    """Read one image once; never blocks on a FIFO put in its place.

    Raises
    ------
    DataError
        If it is gone, cannot be read or is no regular file.
    """
    content, n = hashlib.sha256(), 0
    started = time.time_ns()
    try:
        before = images.stamp(path)
        with images.open(path) as file:
            while block := file.read(_BLOCK):
                content.update(block)
                n += len(block)
        after = images.stamp(path)
    except IrregularFileError as error:
        raise DataError(f"{show_path(path)} is no longer a regular file; run the command again.") from error
    except OSError as error:
        raise _name_error(path, error) from error
    settled = before == after and after[0] in (-1, n) and max(after[1:]) > 0 and max(after[1:3]) < started - RACY_NS
    return Digest((n, *after[1:]), content.digest(), settled)


def _read_stamps(images: Content, paths: Sequence[bytes]) -> Iterator[Stamp]:
    if not images.in_flight:
        yield from (_read_stamp(images, path) for path in paths)
        return
    with ThreadPoolExecutor(images.in_flight) as pool:
        yield from pool.map(lambda path: _read_stamp(images, path), paths)


def _read_stamp(images: Content, path: bytes) -> Stamp:
    try:
        return images.stamp(path)
    except OSError as error:
        raise _name_error(path, error) from error


def _name_error(path: bytes, error: OSError) -> DataError:
    return DataError(f"could not read {show_path(path)}: {error.strerror}; mend or remove it and run again.")


def read_memo(file: Path) -> Memo:
    """What `_save_memo` wrote; empty if there is none, a byte of it changed or it is of another shape.

    The file is a sha256 followed by the npz that it covers, so damage is noticed before anything is parsed. Who
    can write the file can make the digest fit, so what does not parse is no memo either.
    """
    try:
        with open(file, "rb") as stream:
            digest, total = stream.read(32), hashlib.sha256()
            while block := stream.read(_BLOCK):
                total.update(block)
            if total.digest() != digest:
                return NO_MEMO
            return _parse_memo(stream)
    except (ValueError, LookupError, AttributeError, TypeError, EOFError, OSError, MemoryError, *_NO_ZIP):
        return NO_MEMO


def _parse_memo(stream: BinaryIO) -> Memo:
    """The arrays of a memo, if they are those of one."""
    stream.seek(32)
    with np.load(stream, allow_pickle=False) as arrays:
        paths, stamps, content = arrays["paths"], arrays["stamps"], arrays["sha256"]
    ends = np.r_[np.flatnonzero(paths == 0), paths.size]
    expected = ((len(ends), 4), np.int64, (len(ends), 32), np.uint8, np.uint8, 1)
    if (stamps.shape, stamps.dtype, content.shape, content.dtype, paths.dtype, paths.ndim) != expected:
        return NO_MEMO
    return Memo(Strings(paths[paths != 0], ends - np.arange(len(ends))), stamps, content)


def _save_memo(file: Path, memo: Memo) -> tuple[str, ...]:
    """Commit the memo; a cache that cannot be written costs time on the next run, not this run."""

    def write(stream: BinaryIO) -> None:
        stream.write(bytes(32))
        paths = np.zeros(len(memo.paths.text) + max(0, len(memo.paths) - 1), np.uint8)
        starts = memo.paths.starts
        for part in _cut(np.arange(len(memo.paths))):
            some = memo.paths[int(part[0]) : int(part[-1]) + 1]
            text = b"\0".join(some)
            begin = int(starts[part[0]] + part[0])
            paths[begin : begin + len(text)] = np.frombuffer(text, np.uint8)
        np.savez(stream, paths=paths, stamps=memo.stamps, sha256=memo.sha256)
        stream.seek(32)
        total = hashlib.sha256()
        while block := stream.read(_BLOCK):
            total.update(block)
        stream.seek(0)
        stream.write(total.digest())

    try:
        commit_stream(file, write)
    except DiskError as error:
        return (f"the files' hashes are not remembered for the next run: {error}",)
    return ()

"""The sha256 of every file, computed once and remembered for as long as the file stays untouched.

A file counts as untouched when its size, mtime, ctime and inode are those seen when it was hashed. ctime is there
because an edit of the same length with the mtime put back changes nothing else. A file that changed within two
seconds of being hashed may change again without a new timestamp (git calls it racily clean), so it is not
remembered.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.disk import commit_bytes, read_file
from fixgrid.cache.errors import DataError, DiskError
from fixgrid.cache.text import show_path

from .sources.catalogue import open_content
from .sources.content import Content, IrregularFileError, Stamp

RACY_NS = 2_000_000_000
_BLOCK = 1 << 20
_NO_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError)
_SLICE = 64  # files per task: futures for a million files would weigh a gigabyte

Progress = Callable[[int, int], None]


class Digest(NamedTuple):
    """A file's content, what the file looked like when it was read, and whether that can be relied on."""

    stamp: Stamp
    sha256: bytes
    settled: bool = True


class Hashes(NamedTuple):
    """Size in bytes, int64 (n,), and sha256, uint8 (n, 32), of n files, in the order asked for."""

    sizes: NDArray[np.int64]
    sha256: NDArray[np.uint8]
    notes: tuple[str, ...]


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
    images = images or open_content(os.fsdecode(root))
    file = name_memo(root, memo_folder)
    memo = {} if rehash else read_memo(file)
    known = [path for path in paths if path in memo]
    stamps = zip(known, _read_stamps(images, known), strict=True)
    found = {path: memo[path] for path, stamp in stamps if memo[path].stamp == stamp}
    pending = [path for path in paths if path not in found]
    settled: dict[bytes, Digest] = {}
    notes: tuple[str, ...] = ()
    try:
        for path, digest in _hash_in_threads(images, pending, workers):
            found[path] = digest
            if digest.settled:
                settled[path] = digest
            if progress is not None:
                progress(len(found), len(paths))
    finally:
        if settled:
            notes = _save_memo(file, memo | settled)
    digests = [found[path] for path in paths]
    if blank := sum(not any(digest.stamp[1:]) for digest in digests):
        notes += (f"{blank} file(s) have neither a time nor an ETag where they are: each run reads them anew",)
    sizes = np.array([digest.stamp[0] for digest in digests], dtype=np.int64)
    content = np.frombuffer(b"".join(digest.sha256 for digest in digests), dtype=np.uint8).reshape(-1, 32)
    return Hashes(sizes, content, notes)


def name_memo(root: bytes, folder: Path) -> Path:
    """The file that remembers the hashes of the images below a root."""
    return folder / f"{hashlib.sha256(root).hexdigest()[:16]}.memo"


def _hash_in_threads(
    images: Content, paths: Sequence[bytes], workers: int | None
) -> Iterator[tuple[bytes, Digest]]:
    pool = ThreadPoolExecutor(workers or images.in_flight or min(8, 2 * (os.cpu_count() or 1)))
    size = 1 if images.in_flight else _SLICE
    slices = [paths[start : start + size] for start in range(0, len(paths), size)]
    try:
        for digests in pool.map(lambda part: [(path, hash_image(images, path)) for path in part], slices):
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
    settled = before == after and after[0] == n and max(after[1:]) > 0 and max(after[1:3]) < started - RACY_NS
    return Digest((n, *after[1:]), content.digest(), settled)


def _read_stamps(images: Content, paths: Sequence[bytes]) -> list[Stamp]:
    if not images.in_flight:
        return [_read_stamp(images, path) for path in paths]
    with ThreadPoolExecutor(images.in_flight) as pool:
        return list(pool.map(lambda path: _read_stamp(images, path), paths))


def _read_stamp(images: Content, path: bytes) -> Stamp:
    try:
        return images.stamp(path)
    except OSError as error:
        raise _name_error(path, error) from error


def _name_error(path: bytes, error: OSError) -> DataError:
    return DataError(f"could not read {show_path(path)}: {error.strerror}; mend or remove it and run again.")


def read_memo(file: Path) -> dict[bytes, Digest]:
    """What `_save_memo` wrote; empty if there is none, a byte of it changed or it is of another shape.

    The file is a sha256 followed by the npz that it covers, so damage is noticed before anything is parsed. Who
    can write the file can make the digest fit, so what does not parse is no memo either.
    """
    try:
        data = read_file(file)
    except OSError:
        return {}
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        return {}
    try:
        with np.load(io.BytesIO(data[32:]), allow_pickle=False) as arrays:
            paths, stamps, content = arrays["paths"], arrays["stamps"], arrays["sha256"]
        names = paths.tobytes().split(b"\0")
        expected = ((len(names), 4), np.int64, (len(names), 32), np.uint8)
        if (stamps.shape, stamps.dtype, content.shape, content.dtype) != expected:
            return {}
    except (ValueError, LookupError, AttributeError, TypeError, EOFError, OSError, MemoryError, *_NO_ZIP):
        return {}
    return {
        name: Digest(tuple(stamp), bytes(sha256))
        for name, stamp, sha256 in zip(names, stamps.tolist(), content, strict=True)
    }


def _save_memo(file: Path, memo: dict[bytes, Digest]) -> tuple[str, ...]:
    """Commit the memo; a cache that cannot be written costs time on the next run, not this run."""
    packed = io.BytesIO()
    np.savez(
        packed,
        paths=np.frombuffer(b"\0".join(memo), dtype=np.uint8),
        stamps=np.array([digest.stamp for digest in memo.values()], dtype=np.int64),
        sha256=np.frombuffer(b"".join(digest.sha256 for digest in memo.values()), dtype=np.uint8).reshape(-1, 32),
    )
    data = packed.getvalue()
    try:
        commit_bytes(file, hashlib.sha256(data).digest() + data)
    except DiskError as error:
        return (f"the files' hashes are not remembered for the next run: {error}",)
    return ()

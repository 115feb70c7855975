"""Immutable shards: rows [a, b) of one key in one HDF5 file whose name holds its range and its digest."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from . import schema
from .disk import commit_bytes, read_file
from .errors import CacheError
from .key import Spec
from .mirror import list_folder
from .remarks import WIDTH

REMARKS = "remarks"
"""Name of the data set that a file need not have."""
_NAME = re.compile(r"(\d{9})-(\d{9})\.([0-9a-f]{8})\.h5")


class Status(IntEnum):
    """What became of a row. All but ``OK`` keep their place with features of NaN."""

    OK = 0
    DECODE = 1
    NONFINITE = 2
    TOO_LARGE = 3
    CRASH = 4
    TIMEOUT = 5


@dataclass(frozen=True, eq=False)
class Shard:
    """Features of consecutive rows.

    Attributes
    ----------
    start : int
        Row id of the first row.
    features : float32 or float16 array, shape (n, V, D)
        NaN where the status is not ok.
    status : uint8 array, shape (n,)
        A `Status` per row.
    remarks : float64 array, shape (n, 3), optional
        What decoding noticed of each image, see `fixgrid.cache.remarks.Remark`; None if it noticed nothing.
    """

    start: int
    features: NDArray[Any]
    status: NDArray[np.uint8]
    remarks: NDArray[np.float64] | None = None

    @property
    def stop(self) -> int:
        """Row id after the last row."""
        return self.start + len(self.status)


@dataclass(frozen=True)
class ShardFile:
    """A committed shard's file: its range and the digest that its name promises."""

    path: Path
    start: int
    stop: int
    digest: str


def row_checksums(key: str, shard: Shard) -> NDArray[np.uint32]:
    """crc32(key, row id as 8 little-endian bytes, status byte, feature bytes) of every row; uint32, shape (n,).

    A row that was moved to another place, or comes from another key, does not match.
    """
    base, features = zlib.crc32(key.encode("ascii")), np.ascontiguousarray(shard.features)
    heads = [row.to_bytes(8, "little") + bytes([s]) for row, s in enumerate(shard.status.tolist(), shard.start)]
    values = [zlib.crc32(row, zlib.crc32(head, base)) for head, row in zip(heads, features, strict=True)]
    return np.array(values, dtype=np.uint32)


def commit_shard(folder: Path, key: str, shard: Shard) -> Path:
    """Write rows of `key` into `folder`, whole or not at all; on return they are safe.

    Raises
    ------
    CacheError
        If a row that says ok has features that are not finite.
    DiskError
        If the write fails.
    """
    if not _is_finite(shard):
        raise CacheError(f"rows {shard.start}-{shard.stop}: an ok row has features that are not finite")
    image = schema.encode_arrays(
        {
            "features": shard.features,
            "row": np.arange(shard.start, shard.stop, dtype=np.int64),
            "status": shard.status,
            "row_crc": row_checksums(key, shard),
            **({REMARKS: shard.remarks} if shard.remarks is not None and shard.remarks.any() else {}),
        }
    )
    digest = hashlib.sha256(image).hexdigest()[:8]
    path = folder / f"{shard.start:09d}-{shard.stop:09d}.{digest}.h5"
    commit_bytes(path, image)
    return path


def list_shards(folder: Path) -> list[ShardFile]:
    """Files in `folder` named as shards, in row order. Their content is not read: see `read_shard`."""
    found = []
    for path in list_folder(folder):
        match = _NAME.fullmatch(path.name)
        if match:
            found.append(ShardFile(path, int(match[1]), int(match[2]), match[3]))
    return found


def read_shard(file: ShardFile, spec: Spec) -> Shard:
    """The rows of a shard file, every byte checked.

    Raises
    ------
    CacheError
        If it is gone, or the digest, the schema, the row ids, a status or a row's checksum is wrong.
    """
    try:
        image = read_file(file.path)
    except OSError as error:
        raise CacheError(f"{file.path}: could not be read ({error.strerror})") from error
    if hashlib.sha256(image).hexdigest()[:8] != file.digest:
        raise CacheError(f"{file.path}: the content does not match the digest in its name")
    n = file.stop - file.start
    if file.stop > spec.rows:
        raise CacheError(f"{file.path}: ends at row {file.stop} of {spec.rows}")
    try:
        handle = h5py.h5f.open_file_image(image)
        with h5py.File(handle) as opened:
            schema.check_arrays(opened, arrays_of(spec, n, opened))
            remarks = opened[REMARKS][()] if REMARKS in set(opened) else None
            shard = Shard(file.start, opened["features"][()], opened["status"][()], remarks)
            row, crc = opened["row"][()], opened["row_crc"][()]
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise CacheError(f"{file.path}: not a readable HDF5 file ({error})") from error
    check_rows(str(file.path), spec.key, shard, row, crc)
    return shard


def arrays_of(spec: Spec, n: int, names: Iterable[str] = ()) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """The data sets that a shard or sealed file of `n` rows holds: name -> (dtype, shape).

    Remarks are held where there are any: if ``names``, those that a file has, say so.
    """
    return {
        "features": (spec.dtype, (n, spec.views, spec.dim)),
        "row": ("int64", (n,)),
        "status": ("uint8", (n,)),
        "row_crc": ("uint32", (n,)),
        **({REMARKS: ("float64", (n, WIDTH))} if REMARKS in set(names) else {}),
    }


def check_rows(name: str, key: str, shard: Shard, row: NDArray[np.int64], crc: NDArray[np.uint32]) -> None:
    """Refuse rows that are out of place, altered, of another key, or of unknown status.

    Raises
    ------
    CacheError
        Naming the first row that is wrong.
    """
    if not np.array_equal(row, np.arange(shard.start, shard.stop)):
        raise CacheError(f"{name}: rows are not {shard.start} to {shard.stop} in order")
    if (shard.status > max(Status)).any():
        raise CacheError(f"{name}: found an unknown status")
    wrong = np.flatnonzero(row_checksums(key, shard) != crc)
    if len(wrong):
        raise CacheError(f"{name}: row {shard.start + wrong[0]} does not match its checksum")
    if not _is_finite(shard):
        raise CacheError(f"{name}: an ok row has features that are not finite")


def _is_finite(shard: Shard) -> bool:
    """Whether every ok row has finite features alone."""
    ok = shard.status == Status.OK
    features = shard.features if ok.all() else shard.features[ok]
    if features.dtype != np.float16:
        return bool(np.isfinite(features).all())
    # No processor compares float16: its exponent does, which is all ones in infinities and NaN, 15 times as fast.
    exponent = np.uint16(0x7C00)
    return bool((features.view(np.uint16) & exponent != exponent).all())


def find_runs(wanted: NDArray[np.bool_], longest: int) -> list[tuple[int, int]]:
    """Consecutive true rows as [start, stop) pairs, cut at multiples of `longest`."""
    edges = np.flatnonzero(np.diff(np.r_[0, wanted.astype(np.int8), 0]))
    runs = []
    for start, stop in edges.reshape(-1, 2).tolist():
        while start < stop:
            cut = min(stop, start - start % longest + longest)
            runs.append((start, cut))
            start = cut
    return runs

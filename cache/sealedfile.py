"""The single file that holds every row of a key: written from its shards, opened read-only, checked by row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from . import schema
from .errors import CacheError
from .key import Spec
from .mirror import fetch_file
from .remarks import WIDTH
from .shard import REMARKS, Shard, ShardFile, arrays_of, check_rows, read_shard, row_checksums

BLOCK_ROWS = 4096


def write_sealed(file: BinaryIO, spec: Spec, shards: list[ShardFile]) -> None:
    """Join all shards into one HDF5 file; equal rows make equal bytes however they were cut into shards.

    Raises
    ------
    CacheError
        If a row is in no shard, or a shard cannot be trusted.
    """
    with h5py.File(file, "w") as out:
        for name, (dtype, shape) in arrays_of(spec, spec.rows).items():
            schema.write_array(out, name, shape, dtype)
        remarks = np.zeros((spec.rows, WIDTH))
        for block in _join_shards(spec, shards):
            rows = slice(block.start, block.stop)
            out["features"][rows], out["status"][rows] = block.features, block.status
            out["row"][rows] = np.arange(block.start, block.stop)
            out["row_crc"][rows] = row_checksums(spec.key, block)
            remarks[rows] = block.remarks
        if remarks.any():
            schema.write_array(out, REMARKS, remarks.shape, remarks.dtype)[...] = remarks


def _join_shards(spec: Spec, shards: list[ShardFile]) -> Iterator[Shard]:
    """Every row in blocks of `BLOCK_ROWS`, from shards in order of their first row, which may overlap."""
    features = np.empty((min(BLOCK_ROWS, spec.rows), spec.views, spec.dim), spec.dtype)
    status, remarks = np.empty(len(features), np.uint8), np.empty((len(features), WIDTH))
    start = position = 0
    for file in shards:
        if not file.start <= position < file.stop:
            continue
        shard = read_shard(file, spec)
        while position < shard.stop:
            stop = min(shard.stop, start + BLOCK_ROWS)
            block, part = slice(position - start, stop - start), slice(position - shard.start, stop - shard.start)
            features[block], status[block] = shard.features[part], shard.status[part]
            remarks[block] = 0 if shard.remarks is None else shard.remarks[part]
            position = stop
            if position in (start + BLOCK_ROWS, spec.rows):
                n = position - start
                yield Shard(start, features[:n], status[:n], remarks[:n])
                start = position
    if position != spec.rows:
        raise CacheError(f"row {position} of {spec.rows} is missing; run extract again.")


@contextmanager
def open_sealed(path: Path, spec: Spec) -> Iterator[h5py.File]:
    """A sealed file, read-only, whose data sets are exactly those of `spec`.

    Raises
    ------
    CacheError
        If it is not such a file.
    """
    fetch_file(path)
    try:
        if not path.is_file():
            raise OSError("not a regular file")
        # No lock: the file never changes, and a read-only cache or a network disk may refuse one.
        with h5py.File(path, "r", locking=False) as file:
            schema.check_arrays(file, arrays_of(spec, spec.rows, file))
            yield file
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise CacheError(f"{path}: not a readable HDF5 file ({error})") from error


def check_sealed(path: Path, spec: Spec) -> NDArray[np.uint8]:
    """The status of every row, uint8 (n,), after each row's checksum was compared.

    Raises
    ------
    CacheError
        Naming the first row that is wrong.
    """
    with open_sealed(path, spec) as file:
        status: NDArray[np.uint8] = file["status"][()]
        for start in range(0, spec.rows, BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, spec.rows))
            block = Shard(start, file["features"][rows], status[rows])
            check_rows(str(path), spec.key, block, file["row"][rows], file["row_crc"][rows])
    return status

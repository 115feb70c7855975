"""What is left of a damaged sealed file: one wrong bit must not cost the rows beside it."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import CacheError, DiskError
from .key import Spec
from .remarks import WIDTH
from .sealedfile import open_sealed
from .shard import REMARKS, Shard, Status, commit_shard, find_runs, list_shards, row_checksums

_FLETCHER_BYTES = 4
_TIMEOUT_S = 600
_MEMORY_BYTES = 2 << 30


def salvage_rows(damaged: Path, spec: Spec, shards_folder: Path) -> int:
    """Commit as shards the rows of a damaged file that match their checksums; returns how many rows shards hold.

    HDF5 is not made for hostile bytes, so a process of its own reads them, with little memory and time.
    """
    child = multiprocessing.get_context("spawn").Process(target=_salvage, args=(damaged, spec, shards_folder))
    child.start()
    child.join(_TIMEOUT_S)
    child.kill()
    child.join()
    return sum(file.stop - file.start for file in list_shards(shards_folder))


def _salvage(damaged: Path, spec: Spec, shards_folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    commit_intact(damaged, spec, shards_folder)


def commit_intact(damaged: Path, spec: Spec, shards_folder: Path) -> None:
    """What the process of `salvage_rows` does; nothing if the file is beyond reading or the disk refuses."""
    with suppress(CacheError, DiskError), open_sealed(damaged, spec) as file:
        status, crc = (np.concatenate(list(_raw_chunks(file[name]))) for name in ("status", "row_crc"))
        remarks = np.zeros((spec.rows, WIDTH))
        if REMARKS in set(file):
            remarks = np.concatenate(list(_raw_chunks(file[REMARKS])))
        start = 0
        for features in _raw_chunks(file["features"]):
            rows = slice(start, min(start + len(features), spec.rows))
            shard = Shard(start, features[: rows.stop - start], status[rows])
            intact = (row_checksums(spec.key, shard) == crc[rows]) & (shard.status <= max(Status))
            for a, b in find_runs(intact, len(features)):
                part = slice(start + a, start + b)
                saved = Shard(part.start, shard.features[a:b], shard.status[a:b], remarks[part])
                commit_shard(shards_folder, spec.key, saved)
            start += len(features)


def _raw_chunks(dataset: h5py.Dataset) -> Iterator[NDArray[Any]]:
    """Every chunk as stored, whatever its checksum says: the rows have their own. A lost chunk is zeros."""
    shape = dataset.chunks
    for start in range(0, len(dataset), shape[0]):
        try:
            raw = dataset.id.read_direct_chunk((start, *(0 for _ in shape[1:])))[1]
            yield np.frombuffer(raw[:-_FLETCHER_BYTES], dataset.dtype).reshape(shape)
        except (OSError, RuntimeError, ValueError):
            yield np.zeros(shape, dataset.dtype)

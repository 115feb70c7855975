"""Rows, keys and entries made by hand: features are a function of the image's content, so wrong ones show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from fixgrid.cache.disk import open_file, read_file
from fixgrid.cache.entry import Entry
from fixgrid.cache.key import Spec
from fixgrid.cache.rows import Rows
from fixgrid.cache.shard import Shard, commit_shard
from fixgrid.cache.store import FeatureStore

VIEW = {"kind": "center", "res": 32, "crop_ratio": "0.875", "mean": ("0.5", "0.5", "0.5"), "resize": "short-side"}


def make_rows(n: int, seed: int = 0) -> Rows:
    """`n` rows of random content and two classes."""
    digests = np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8)
    paths = tuple(b"%d/%05d.png" % (seed, i) for i in range(n))
    return Rows(paths, np.full(n, 100, np.int64), digests, np.arange(n, dtype=np.int64) % 2)


def make_spec(rows: Rows, *, views: int = 1, dim: int = 3, dtype: str = "float32", **view: Any) -> Spec:
    """A key of `rows`; named fields change its view."""
    return Spec(
        trunk={"architecture": "stub", "node": "pooled", "weights_sha256": "0" * 64},
        view={**VIEW, **view},
        decode={"exif": "apply"},
        precision="fp32",
        dtype=dtype,
        views=views,
        dim=dim,
        rows=len(rows),
        rows_sha256=rows.digest,
    )


def features_of(rows: Rows, spec: Spec) -> NDArray[Any]:
    """The features that `rows` must have under any key: (n, V, D) numbers from their content."""
    seeds = [int.from_bytes(content.tobytes()[:8], "little") for content in rows.sha256]
    shape = (spec.views, spec.dim)
    return np.stack([np.random.default_rng(seed).normal(size=shape) for seed in seeds]).astype(spec.dtype)


def commit_rows(entry: Entry, rows: Rows, start: int, stop: int) -> Path:
    """One good shard."""
    part = features_of(rows, entry.spec)[start:stop]
    shard = Shard(start, part, np.zeros(stop - start, np.uint8))
    return commit_shard(entry.shards_folder, entry.spec.key, shard)


def fill_entry(store: FeatureStore, rows: Rows, *, step: int = 64, seal: bool = True, **fields: Any) -> Entry:
    """An entry whose shards hold every row, sealed unless told otherwise."""
    entry = store.entry(make_spec(rows, **fields))
    entry.create(rows)
    for start in range(0, len(rows), step):
        commit_rows(entry, rows, start, min(start + step, len(rows)))
    if seal:
        entry.seal({"trunk": "stub"})
    return entry


def count_reads(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How often each spec, seal and file of rows is read from now on, by its path."""
    counts: Counter[Path] = Counter()

    def read(path: Path) -> bytes:
        counts[path] += 1
        return read_file(path)

    def open_one(path: Path) -> BinaryIO:
        counts[path] += 1
        return open_file(path)

    for module in ("entry", "rowsfile", "sealed", "store"):
        monkeypatch.setattr(f"fixgrid.cache.{module}.read_file", read)
    monkeypatch.setattr("fixgrid.cache.rowsfile.open_file", open_one)
    return counts

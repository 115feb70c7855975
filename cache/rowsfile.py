"""Rows and manifests on disk: names as bytes, classes as JSON, both checked when read."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import schema
from .disk import commit_bytes, read_file
from .errors import CacheError
from .rows import SPLITS, Manifest, Rows

_ARRAYS = {"paths": ("uint8", 1), "path_ends": ("int64", 1), "size": ("int64", 1), "sha256": ("uint8", 2)}


def encode_rows(rows: Rows) -> bytes:
    """An HDF5 image of row id (the position), path, size and sha256: what a key's rows are."""
    ends = np.cumsum([len(path) for path in rows.paths], dtype=np.int64)
    return schema.encode_arrays(
        {
            "paths": np.frombuffer(b"".join(rows.paths), dtype=np.uint8),
            "path_ends": ends,
            "size": rows.sizes.astype(np.int64),
            "sha256": rows.sha256.astype(np.uint8).reshape(-1, 32),
        }
    )


def decode_rows(image: bytes, labels: list[int] | None = None) -> Rows:
    """The rows that `encode_rows` wrote; without `labels`, every label is -1.

    Raises
    ------
    CacheError
        If the image is not one of rows.
    """
    try:
        with h5py.File(h5py.h5f.open_file_image(image)) as file:
            schema.check_arrays(file, _ARRAYS)
            text, ends = file["paths"][()].tobytes(), file["path_ends"][()]
            sizes, sha256 = file["size"][()], file["sha256"][()]
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise CacheError(f"found rows that cannot be read ({error})") from error
    n = len(ends)
    starts = [0, *ends.tolist()]
    if (np.diff(starts) < 0).any() or starts[-1] != len(text) or sha256.shape != (n, 32) or len(sizes) != n:
        raise CacheError("found rows whose parts disagree in length")
    paths = tuple(text[a:b] for a, b in pairwise(starts))
    if labels is not None and len(labels) != n:
        raise CacheError(f"found {len(labels)} labels for {n} rows")
    return Rows(paths, sizes, sha256, np.array(labels if labels is not None else [-1] * n, dtype=np.int64))


def write_manifest(folder: Path, manifest: Manifest) -> str:
    """Record a data set under `folder` (``<cache>/v1/data``); returns the digest that names it.

    The digest covers classes, rows and labels, not where the files are: a moved folder is the same data set.

    Raises
    ------
    DiskError
        If the write fails.
    """
    labels = {split: rows.labels.tolist() for split, rows in manifest.splits.items()}
    digests = {split: rows.digest for split, rows in manifest.splits.items()}
    content = {"classes": manifest.classes, "labels": labels, "rows_sha256": digests}
    digest = _name_record(content)
    for split, rows in manifest.splits.items():
        commit_bytes(folder / digest / f"{split}.h5", encode_rows(rows))
    # Later than every other record, also where the clock was put back or a copy of the cache lost its times.
    others = [_read_time(path) for path in folder.glob("*/data.json") if path.parent.name != digest]
    written = max([time.time_ns(), *(other + 1 for other in others)])
    record = {"source": manifest.source, "root": manifest.root, "written": written, **content}
    commit_bytes(folder / digest / "data.json", json.dumps(record, sort_keys=True).encode("ascii"))
    return digest


def _read_time(path: Path) -> int:
    """When a record was written, ns: as it says, or as its file says if it is an old one."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        return int(json.loads(read_file(path))["written"])
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _name_record(content: Mapping[str, Any]) -> str:
    covered = {name: content[name] for name in ("classes", "labels", "rows_sha256")}
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode("ascii")).hexdigest()[:16]


def read_manifest_record(folder: Path) -> Manifest:
    """The manifest that `write_manifest` recorded in one data set's folder.

    Raises
    ------
    CacheError
        If the record is damaged.
    """
    try:
        record = json.loads(read_file(folder / "data.json"))
        splits = {}
        for split in SPLITS:
            if split in record["labels"]:
                image = read_file(folder / f"{split}.h5")
                splits[split] = decode_rows(image, record["labels"][split])
        digests = {split: rows.digest for split, rows in splits.items()}
        damaged = digests != record["rows_sha256"] or _name_record(record) != folder.name
        manifest = Manifest(record["source"], record["root"], tuple(record["classes"]), splits)
    except (CacheError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CacheError(f"found a damaged record {folder} ({error}); run extract again.") from error
    if damaged:
        raise CacheError(f"found a damaged record {folder}; run extract again.")
    return manifest


def list_manifests(folder: Path) -> list[tuple[str, Manifest]]:
    """Every readable data set recorded under `folder`, newest first, with its digest."""
    found = []
    for path in folder.glob("*/data.json"):
        # A record that is damaged, or removed meanwhile, is written again by the next extract of its data set.
        with suppress(CacheError, OSError):
            found.append((-_read_time(path), path.parent.name, read_manifest_record(path.parent)))
    return [(name, manifest) for _, name, manifest in sorted(found, key=lambda record: record[:2])]

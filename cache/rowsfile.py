"""Rows and manifests on disk: names as bytes, classes as JSON, both checked when read."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from . import schema
from .disk import commit_bytes, commit_stream, is_refused, open_file, read_file
from .errors import CacheError, DiskError
from .rows import SPLITS, TASKS, Manifest, Rows
from .strings import Strings

_COVERED = ("classes", "labels", "rows_sha256", "task", "groups")
_PART = 1 << 16  # values that are text at a time
_TYPES = {"multilabel": "bool", "regression": "float64"}  # of labels; of other tasks int64
_DAMAGE = (CacheError, OSError, ValueError, KeyError, TypeError, RecursionError)
_ARRAYS = {"paths": ("uint8", 1), "path_ends": ("int64", 1), "size": ("int64", 1), "sha256": ("uint8", 2)}


def encode_rows(rows: Rows, file: BinaryIO) -> None:
    """Write row id (the position), path, size and sha256 as HDF5: what a key's rows are."""
    schema.write_arrays(file, _list_arrays(rows))


def _list_arrays(rows: Rows) -> dict[str, NDArray[Any]]:
    return {
        "paths": rows.paths.text,
        "path_ends": rows.paths.ends,
        "size": rows.sizes.astype(np.int64, copy=False),
        "sha256": rows.sha256.astype(np.uint8, copy=False).reshape(-1, 32),
    }


def holds_rows(path: Path, rows: Rows) -> bool:
    """Whether a file has these rows, as `encode_rows` writes them; not if it cannot be read."""
    arrays, wrong = _list_arrays(rows), (CacheError, OSError, RuntimeError, KeyError, ValueError)
    with suppress(*wrong), open_file(path) as image, h5py.File(image) as file:
        schema.check_arrays(file, {name: (one.dtype, one.shape) for name, one in arrays.items()})
        return all(
            np.array_equal(file[name][start : start + _PART], one[start : start + _PART])
            for name, one in arrays.items()
            for start in range(0, len(one), _PART)
        )
    return False


def decode_rows(
    image: BinaryIO, labels: NDArray[Any] | None = None, groups: NDArray[np.int64] | None = None
) -> Rows:
    """The rows that `encode_rows` wrote, with labels and groups, see `Rows`; without `labels`, every label is -1.

    Raises
    ------
    CacheError
        If the file is not one of rows.
    """
    try:
        with h5py.File(image) as file:
            schema.check_arrays(file, _ARRAYS)
            paths = Strings(file["paths"][()], file["path_ends"][()])
            sizes, sha256 = file["size"][()], file["sha256"][()]
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise CacheError(f"found rows that cannot be read ({error})") from error
    n, length = len(paths), int(paths.ends[-1]) if len(paths) else 0
    if (paths.ends < paths.starts).any() or length != len(paths.text) or sha256.shape != (n, 32) or len(sizes) != n:
        raise CacheError("found rows whose parts disagree in length")
    for name, given in (("labels", labels), ("groups", groups)):
        if given is not None and len(given) != n:
            raise CacheError(f"found {len(given)} {name} for {n} rows")
    return Rows(paths, sizes, sha256, np.full(n, -1, np.int64) if labels is None else labels, groups)


class _Named(NamedTuple):
    """A name that a data set was given: as typed, for which folder, with which options, and when (ns)."""

    source: str
    root: str
    options: tuple[str, ...]
    written: int


def read_rows(path: Path, labels: NDArray[Any] | None = None, groups: NDArray[np.int64] | None = None) -> Rows:
    """The rows in a file, see `decode_rows`; `OSError` if it cannot be opened."""
    with open_file(path) as image:
        return decode_rows(image, labels, groups)


def write_manifest(folder: Path, manifest: Manifest) -> str:
    """Record a data set under `folder` (``<cache>/v1/data``); returns the digest that names it.

    The digest covers classes, rows, labels, their task and groups, not where the files are: a moved folder is the
    same data set. Every name that it is given is a file of its own, so that runs that name it at the same time lose
    none. A cache that may not be written need not be if it has the record.

    Raises
    ------
    DiskError
        If the write fails.
    """
    content = _describe_content(manifest)
    digest = _name_record(content)
    named = {path.parent.name: _read_names(path.parent) for path in folder.glob("*/data.json")}
    times = [name.written for names in named.values() for name in names]
    # Later than every other record, also where the clock was put back or a copy of the cache lost its times.
    name = _Named(manifest.source, manifest.root, manifest.options, max([time.time_ns(), *(t + 1 for t in times)]))
    whole = _is_whole(folder / digest, manifest)
    if whole and any(one == name._replace(written=max(times)) for one in named.get(digest, [])):
        return digest  # it is the newest already
    try:
        for split, rows in manifest.splits.items():
            commit_stream(folder / digest / f"{split}.h5", partial(encode_rows, rows))
        _write_names(folder / digest, name)
        record = {**name._asdict(), **content}
        commit_stream(folder / digest / "data.json", lambda file: deque(map(file.write, _spell(record)), 0))
    except DiskError as error:
        if not (whole and is_refused(error)):
            raise
    return digest


def _describe_content(manifest: Manifest) -> dict[str, Any]:
    """What makes a data set the one it is, as JSON values and arrays."""
    splits = manifest.splits.items()
    content: dict[str, Any] = {
        "classes": manifest.classes,
        "labels": {split: rows.labels for split, rows in splits},
        "rows_sha256": {split: rows.digest for split, rows in splits},
    }
    if manifest.task != TASKS[0]:  # records of earlier versions have neither
        content["task"] = manifest.task
    groups = {split: rows.groups for split, rows in splits if rows.groups is not None}
    return {**content, "groups": groups} if groups else content


def _write_names(folder: Path, name: _Named) -> None:
    """Write a data set's name, after those that only its record has, which is to be written anew."""
    for one in (*_read_names(folder), name):
        text = json.dumps([one.source, one.root]).encode("ascii")
        file = folder / "names" / f"{hashlib.sha256(text).hexdigest()[:16]}.json"
        if one == name or not file.exists():
            commit_bytes(file, json.dumps(one._asdict(), sort_keys=True).encode("ascii"))


def _read_names(folder: Path) -> list[_Named]:
    """The names of one data set, each once; of an old record, as old as its file."""
    found: dict[tuple[str, str], _Named] = {}
    for file in (folder / "data.json", *sorted((folder / "names").glob("*.json"))):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            record = json.loads(read_file(file))
            written = int(record.get("written", file.stat().st_mtime_ns))
            source, options = _take_in(record["source"], tuple(map(str, record.get("options", ()))))
            name = _Named(source, record["root"], options, written)
            known = found.setdefault(name[:2], name)
            found[name[:2]] = max(known, name, key=lambda one: one.written)
    return list(found.values())


def _take_in(source: str, options: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A name with the split that earlier versions kept as an option, ``--split 2020``."""
    if "--split" not in options:
        return source, options
    at = options.index("--split")
    return f"{source}:{options[at + 1]}", options[:at] + options[at + 2 :]


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether a folder has the record of a data set, with all of its rows."""
    with suppress(*_DAMAGE):
        record = json.loads(read_file(folder / "data.json"))
        named = isinstance(record["source"], str) and isinstance(record["root"], str)
        rows = manifest.splits.items()
        return (
            named
            and _name_record(record) == folder.name
            and all(holds_rows(folder / f"{split}.h5", one) for split, one in rows)
        )
    return False


def _name_record(content: Mapping[str, Any]) -> str:
    covered = {name: content[name] for name in _COVERED if name in content}
    total = hashlib.sha256()
    for part in _spell(covered):
        total.update(part)
    return total.hexdigest()[:16]


def _spell(value: Any) -> Iterator[bytes]:
    """JSON as ``json.dumps(value, sort_keys=True)`` has it, arrays being lists; of long ones a part at a time."""
    if isinstance(value, Mapping):
        for place, name in enumerate(sorted(value)):
            yield b"%s%s: " % (b", " if place else b"{", json.dumps(name).encode("ascii"))
            yield from _spell(value[name])
        yield b"}" if value else b"{}"
    elif isinstance(value, list | tuple | np.ndarray) and len(value) > _PART:
        for start in range(0, len(value), _PART):
            yield (b", " if start else b"[") + b"".join(_spell(value[start : start + _PART]))[1:-1]
        yield b"]"
    else:
        plain = value.tolist() if isinstance(value, np.ndarray) else value
        yield json.dumps(plain).encode("ascii")


def read_manifest_record(folder: Path) -> Manifest:
    """The manifest that `write_manifest` recorded in one data set's folder.

    Raises
    ------
    CacheError
        If the record is damaged.
    """
    try:
        record = json.loads(read_file(folder / "data.json"))
        task, splits = str(record.get("task", TASKS[0])), {}
        for split in SPLITS:
            if split in record["labels"]:
                labels: NDArray[Any] = np.array(record["labels"][split], dtype=_TYPES.get(task, "int64"))
                groups = record.get("groups", {}).get(split)
                grouped = None if groups is None else np.array(groups, dtype=np.int64)
                record["labels"][split] = labels  # a list of millions takes 40 bytes each
                splits[split] = read_rows(folder / f"{split}.h5", labels, grouped)
        digests = {split: rows.digest for split, rows in splits.items()}
        damaged = digests != record["rows_sha256"] or _name_record(record) != folder.name
        manifest = Manifest(record["source"], record["root"], tuple(record["classes"]), splits, task=task)
    except _DAMAGE as error:
        raise CacheError(f"found a damaged record {folder} ({error}); run extract again.") from error
    if damaged:
        raise CacheError(f"found a damaged record {folder}; run extract again.")
    return manifest


def list_manifests(folder: Path) -> list[tuple[str, Manifest]]:
    """Every readable data set recorded under `folder`, with its digest, by each of its names, the newest first."""
    found = []
    for path in folder.glob("*/data.json"):
        # A record that is damaged, or removed meanwhile, is written again by the next extract of its data set.
        with suppress(CacheError, OSError):
            manifest = read_manifest_record(path.parent)
            for name in _read_names(path.parent):
                mine = replace(manifest, source=name.source, root=name.root, options=name.options)
                found.append((-name.written, path.parent.name, mine))
    return [(digest, manifest) for _, digest, manifest in sorted(found, key=lambda record: record[:2])]

"""Whether what a cache holds can be trusted, and why it does not hold what was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .datasets import shorten_source
from .disk import commit_bytes, read_file
from .entry import Entry
from .errors import CacheError
from .holdings import POOLED, RECALIBRATED
from .key import Spec, explain_difference
from .labels import Version, find_stem, find_version
from .mirror import measure_folder
from .phase import Phase, keep_silent
from .rowsfile import read_manifest_record, read_rows
from .sealed import SEAL, Sealed
from .sealedfile import check_sealed, open_sealed
from .shard import Status, list_shards, read_shard
from .store import FeatureStore
from .text import show_path

PROBE_ROWS = 8
_MORE_LOOKS, _PAUSE_S = 2, 0.1
# Largest error, relative to the row's largest feature: float32 sums reordered by another version or backend stay
# below 1e-4; another resampler, crop or decoder does not.
TOLERANCE = {"float32": 1e-3, "float16": 2e-3}

Recompute = Callable[[Sealed, Sequence[int]], NDArray[np.float32]]


def verify_store(store: FeatureStore, *, deep: bool = True, phase: Phase = keep_silent) -> list[str]:
    """A line for everything in the cache that is damaged: specs, rows, shards, sealed files, data sets.

    Without ``deep``, features are not read: only specs, rows and records of data sets are. What another process
    writes or removes meanwhile may look damaged for a moment; damage does so at every look.
    """
    problems = _look_for_damage(store, deep, phase)
    for _ in range(_MORE_LOOKS if problems else 0):
        time.sleep(_PAUSE_S)
        again = set(_look_for_damage(store, deep, phase))
        problems = [line for line in problems if line in again]
    return problems


def _look_for_damage(store: FeatureStore, deep: bool, phase: Phase) -> list[str]:
    problems, entries = [], store.entries()
    for number, entry in enumerate(entries):
        phase("hashing features" if deep else "looking at the cache", number, len(entries), "keys")
        problems += verify_entry(entry) if deep else _catch(_check_rows_file, entry)
    known = {entry.folder for entry in store.entries()}
    for path in sorted(store.folder.glob("[0-9a-f][0-9a-f]/[!.]*")):  # a hidden one is being removed
        if path not in known and path not in {entry.folder for entry in store.entries()}:
            problems.append(f"{path}: spec.json is missing, damaged or of a newer format")
    for path in sorted((store.folder / "data").glob("[!.]*/")):
        problems += _catch(read_manifest_record, path)
    return problems


def verify_entry(entry: Entry) -> list[str]:
    """A line for every file of an entry that is damaged; every byte of features is hashed and every row checked."""
    problems = _catch(_check_rows_file, entry)
    for file in list_shards(entry.shards_folder):
        problems += _catch(read_shard, file, entry.spec)
    return problems + (_catch(_check_features, entry) if entry.rests_on_seal() else [])


def _check_features(entry: Entry) -> None:
    entry.open().check_digest()
    check_sealed(entry.sealed_file, entry.spec)


def _check_rows_file(entry: Entry) -> None:
    path = entry.folder / "rows.h5"
    try:
        digest = read_rows(path).digest
    except (OSError, CacheError) as error:
        raise CacheError(f"{path}: {error}") from error
    if digest != entry.spec.rows_sha256:
        raise CacheError(f"{path}: holds other rows than the key says")


def find_exposure(store: FeatureStore) -> list[tuple[str, str]]:
    """Every folder at the top of the cache that everyone on this machine may write to, and the cure."""
    return [
        (f"everyone may write to {folder}, and replace features", f"chmod o-w {shlex.quote(str(folder))}")
        for folder in (store.root, store.folder)
        if folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH
    ]


def find_filesystem(folder: Path, mounts: str) -> str:
    """Type of the file system that a folder, which need not exist yet, lies on; empty if it is not told.

    Parameters
    ----------
    folder : Path
    mounts : str
        Text of ``/proc/self/mountinfo``: proc(5).
    """
    here, best, found = folder.resolve(), -1, ""
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount.split()[4]))
        depth = len(point.parts)
        if (point == here or point in here.parents) and depth >= best:
            best, found = depth, source.split()[0]
    return found


def count_bad_rows(store: FeatureStore) -> int:
    """Rows of sealed entries that have no features, because their images are unusable.

    Raises
    ------
    CacheError
        If a sealed file cannot be read.
    """
    return sum(int((sealed.read_status() != Status.OK).sum()) for sealed in store.sealed())


def _catch(check: Callable[..., object], *args: object) -> list[str]:
    try:
        check(*args)
    except CacheError as error:
        return [str(error)]
    return []


def choose_rows(sealed: Sealed, count: int) -> list[int]:
    """`count` ok rows of a sealed entry, spread evenly and always the same, ascending."""
    ok = np.flatnonzero(sealed.read_status() == Status.OK)
    places = np.linspace(0, len(ok) - 1, min(count, len(ok))).round().astype(np.int64)
    chosen: list[int] = ok[places].tolist()
    return chosen


def compare_rows(sealed: Sealed, rows: Sequence[int], recompute: Recompute) -> None:
    """Compute `rows` of a sealed entry again and compare.

    Parameters
    ----------
    rows : sequence of int
        None are compared if it is empty: an entry may have no ok row.
    recompute : callable
        Given the sealed entry and row ids, the features that this machine computes now: float32, shape (k, V, D).

    Raises
    ------
    CacheError
        Naming the rows that differ by more than `TOLERANCE`.
    """
    if not rows:
        return
    now = recompute(sealed, rows)
    with open_sealed(sealed.file, sealed.spec) as file:
        then = np.stack([file["features"][row] for row in rows]).astype(np.float32)
    largest = np.abs(then).max(axis=(1, 2), initial=np.finfo(np.float32).tiny)
    error = np.abs(now - then).max(axis=(1, 2)) / largest
    allowed = TOLERANCE[sealed.spec.dtype]
    wrong = np.flatnonzero(~(error <= allowed))
    if len(wrong):
        found = ", ".join(f"{rows[i]} ({error[i]:.1g})" for i in wrong.tolist())
        raise CacheError(
            f"{sealed.folder}: computed again, rows {found} differ by more than {allowed:g} of their largest "
            "feature: other versions compute other features. Name another --cache."
        )


def probe_entry(sealed: Sealed, versions: Mapping[str, str], recompute: Recompute) -> bool:
    """Before features made under other versions are reused, compute eight rows again and compare; once per version.

    Parameters
    ----------
    versions : mapping
        What computes now: library versions, backend, device. The seal's provenance holds those that computed then,
        as ``versions``.

    Returns
    -------
    bool
        Whether rows were computed.

    Raises
    ------
    CacheError
        As `compare_rows`.
    """
    if dict(versions) == sealed.provenance.get("versions"):
        return False
    name = hashlib.sha256(json.dumps(dict(versions), sort_keys=True).encode()).hexdigest()[:16]
    proof = sealed.folder / f"proven-{name}.json"
    seal = hashlib.sha256(read_file(sealed.folder / SEAL)).hexdigest()
    content = json.dumps({"sealed": seal, "versions": dict(versions)}, sort_keys=True).encode()
    if proof.exists() and read_file(proof) == content:
        return False
    compare_rows(sealed, choose_rows(sealed, PROBE_ROWS), recompute)
    commit_bytes(proof, content)
    return True


def explain_miss(store: FeatureStore, wanted: Spec) -> tuple[Sealed | None, list[str]]:
    """The sealed entry, other than its own, that is nearest to `wanted`, and every field in which it differs.

    Fields are shown as found -> wanted. No entry and no lines if there is no other.
    """
    others = store.sealed(lambda spec: spec.key != wanted.key)
    differences = [(explain_difference(wanted, other.spec), other) for other in others]
    if not differences:
        return None, []
    lines, nearest = min(differences, key=lambda pair: len(pair[0]))
    return nearest, lines


def describe_entry(
    entry: Entry, named: Mapping[str, tuple[str, str]], labels: Mapping[Version, str]
) -> dict[str, Any]:
    """One key as ``cache ls`` lists it; ``missing`` counts rows without features.

    Parameters
    ----------
    entry : Entry
    named : mapping of str to (data set, split)
        `cache.holdings.name_splits`.
    labels : mapping of Version to str
        What trunks are called.
    """
    data, split = named.get(entry.spec.rows_sha256, ("", ""))
    sealed = entry.read_seal()
    unnamed = sealed.trunk_name if sealed else entry.spec.trunk["architecture"]
    return {
        "key": entry.spec.key[:12],
        "data": data,
        "split": split,
        "trunk": labels.get(find_stem(sealed) if sealed else find_version(entry.spec), unnamed),
        "kind": RECALIBRATED * bool(sealed and sealed.origin is not None) + entry.spec.view["kind"],
        "features": entry.spec.trunk["node"],
        "res": entry.spec.view["res"],
        "views": entry.spec.views,
        "rows": entry.spec.rows,
        "missing": 0 if sealed else int(entry.find_missing().sum()),
        "bytes": measure_folder(entry.folder),
        "sealed": sealed is not None,
    }


def shorten_entry(record: Mapping[str, Any]) -> dict[str, str]:
    """What `describe_entry` gives, for 80 columns: the data set by the end of its name, bytes as MB."""
    kind = f" {record['features']}" * (record["features"] != POOLED)
    missing, data = record["missing"], record["data"] and show_path(os.fsencode(shorten_source(record["data"])))
    return {
        "key": record["key"][:8],
        "split": f"{data} {record['split']}".strip() or "of nothing known",
        "trunk": record["trunk"],
        "view": record["kind"] + f" x{record['views']}" * (record["views"] > 1) + kind,
        "res": str(record["res"]),
        "rows": str(record["rows"]),
        "MB": f"{record['bytes'] / 1e6:.1f}",
        "state": f"{missing} missing" if missing else "sealed" if record["sealed"] else "unsealed",
    }

"""What a cache no longer needs, and its removal from under nobody's feet."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from .disk import TEMP_PREFIX, is_abandoned, rename_file
from .lock import try_lock
from .rowsfile import list_manifests
from .store import FeatureStore

TRASH_PREFIX = ".trash-"


@dataclass(frozen=True)
class Garbage:
    """A file or folder that nothing needs: where, why, and how many bytes it takes."""

    path: Path
    why: str
    bytes: int


def collect_garbage(store: FeatureStore) -> list[Garbage]:
    """Remove what nothing needs, and say what that was; nothing by a trunk that is being extracted right now.

    Raises
    ------
    DiskError
        If a rename is refused.
    """
    with ExitStack() as held:
        busy = frozenset(
            weights
            for weights in {entry.spec.trunk["weights_sha256"] for entry in store.entries()}
            if not held.enter_context(try_lock(store.find_lock(weights, "run")))
        )
        found = find_garbage(store, busy)
        remove_garbage(found)
    return found


def find_garbage(store: FeatureStore, busy: Collection[str] = ()) -> list[Garbage]:
    """Entries and records of data sets that were extracted anew since, damaged files, and what killed runs left.

    A data set is known by its name and its folder. Nothing of its newest record is garbage, nor is anything that is
    not understood, nor are entries by trunks whose weights are ``busy``.
    """
    # Entries before records: a record is written before its first entry, so a run that begins now is not seen.
    entries, records = store.entries(), list_manifests(store.folder / "data")
    newest: dict[tuple[str, str], str] = {}
    for name, manifest in records:
        newest.setdefault((manifest.source, manifest.root), name)
    kept = set(newest.values())
    needed = {rows.digest for name, manifest in records if name in kept for rows in manifest.splits.values()}
    # A record that cannot be read may need any of the entries.
    readable = len(list((store.folder / "data").glob("*/data.json"))) == len({name for name, _ in records})
    found = [
        _describe(entry.folder, "of rows that no data set has any more")
        for entry in entries
        if readable and entry.spec.rows_sha256 not in needed and entry.spec.trunk["weights_sha256"] not in busy
    ]
    found += [
        _describe(store.folder / "data" / name, "a data set as it was before")
        for name in dict.fromkeys(name for name, _ in records)
        if name not in kept
    ]
    gone = {item.path for item in found}
    for path in sorted([*store.folder.rglob("*"), *store.root.glob(f"*/{TEMP_PREFIX}*")]):
        if gone.isdisjoint(path.parents) and path not in gone:
            why = _judge_file(path)
            if why:
                found.append(_describe(path, why))
                gone.add(path)
    return found


def _judge_file(path: Path) -> str:
    if path.name.startswith(TRASH_PREFIX):
        return "being removed"
    if path.suffix == ".damaged":
        return "damaged and set aside"
    if path.name.startswith(TEMP_PREFIX) and is_abandoned(path):
        return "left by a killed run"
    return ""


def _describe(path: Path, why: str) -> Garbage:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    size = 0
    for file in files:
        with suppress(OSError):  # another process removes it
            size += file.lstat().st_size
    return Garbage(path, why, size)


def remove_garbage(found: list[Garbage]) -> None:
    """Remove what `find_garbage` found: renamed first, so that nothing half-removed has a name that counts.

    A reader that has a file open keeps it.

    Raises
    ------
    DiskError
        If a rename is refused.
    """
    for item in found:
        trash = item.path.parent / f"{TRASH_PREFIX}{uuid.uuid4().hex}"
        rename_file(item.path, trash)
        if trash.is_dir():
            shutil.rmtree(trash, ignore_errors=True)
        else:
            with suppress(OSError):
                trash.unlink()

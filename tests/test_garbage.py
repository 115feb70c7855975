from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from entries import fill_entry, make_rows

from fixgrid.cache.disk import TEMP_PREFIX
from fixgrid.cache.garbage import TRASH_PREFIX, collect_garbage, find_garbage, remove_garbage
from fixgrid.cache.lock import share_lock
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.store import FeatureStore


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path)


def record(store: FeatureStore, source: str, rows: Rows, root: str = "/here") -> None:
    write_manifest(store.folder / "data", Manifest(source, root, ("a", "b"), {"train": rows}))


def test_what_the_newest_record_of_a_data_set_needs_stays(store: FeatureStore) -> None:
    dogs, cats = make_rows(20), make_rows(20, seed=1)
    record(store, "dogs", dogs)
    record(store, "cats", cats)
    fill_entry(store, dogs)
    fill_entry(store, cats, seal=False)
    assert find_garbage(store) == []


def test_rows_of_an_older_record_go_and_the_newest_stay(store: FeatureStore) -> None:
    old, new = make_rows(20), make_rows(21)
    record(store, "dogs", old)
    stale = fill_entry(store, old)
    record(store, "dogs", new)
    kept = fill_entry(store, new)
    found = find_garbage(store)
    assert sorted(item.why for item in found) == [
        "a data set as it was before",
        "of rows that no data set has any more",
    ]
    assert all(item.bytes > 0 for item in found)
    remove_garbage(found)
    assert not stale.folder.exists()
    assert len(kept.open().load(new).row) == 21
    assert find_garbage(store) == []
    assert not list(store.root.rglob(f"{TRASH_PREFIX}*"))


def test_folders_of_one_name_in_two_places_are_two_data_sets(store: FeatureStore) -> None:
    for n, root in ((20, "/here"), (21, "/there")):
        record(store, "data", make_rows(n), root)
        fill_entry(store, make_rows(n))
    assert find_garbage(store) == []


def test_a_damaged_record_costs_no_features(store: FeatureStore) -> None:
    old, new = make_rows(20), make_rows(21)
    for rows in (old, new):
        record(store, "dogs", rows)
        fill_entry(store, rows)
    newest = max((store.folder / "data").glob("*/data.json"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:-1])
    assert [item.why for item in find_garbage(store)] == []


def test_only_what_dead_processes_left_goes(store: FeatureStore) -> None:
    rows = make_rows(20)
    record(store, "dogs", rows)
    folder = fill_entry(store, rows).folder
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname()
    (folder / f"{TEMP_PREFIX}{host}-{dead.pid}-x").write_bytes(b"left")
    (folder / f"{TEMP_PREFIX}{host}-{os.getpid()}-x").write_bytes(b"mine")
    memo = store.root / "hashes" / f"{TEMP_PREFIX}{host}-{dead.pid}-x"
    memo.parent.mkdir()
    memo.write_bytes(b"left")
    (folder / "features.damaged").write_bytes(b"damaged")
    (folder / "notes.txt").write_bytes(b"not understood")
    remove_garbage(find_garbage(store))
    names = {path.name for path in folder.iterdir()}
    assert names >= {f"{TEMP_PREFIX}{host}-{os.getpid()}-x", "notes.txt", "features.h5"}
    assert not memo.exists()
    assert names.isdisjoint({f"{TEMP_PREFIX}{host}-{dead.pid}-x", "features.damaged"})


def test_a_reader_keeps_what_it_reads(store: FeatureStore) -> None:
    rows = make_rows(20)
    entry = fill_entry(store, rows)
    blocks = entry.open().read_blocks(rows, 5)
    first = next(blocks)
    remove_garbage(find_garbage(store))
    assert not entry.folder.exists()
    assert len(first.X) + sum(len(block.X) for block in blocks) == 20


def test_what_a_trunk_works_on_right_now_is_not_collected(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    entry = fill_entry(store, make_rows(4))
    with share_lock(store.find_lock("0" * 64, "run")) as first:
        assert first
        assert collect_garbage(store) == []
    assert [item.path for item in collect_garbage(store)] == [entry.folder]
    assert not entry.folder.exists()

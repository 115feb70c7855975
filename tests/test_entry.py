"""One key from its first shard to its seal, whatever becomes of its files meanwhile."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from entries import commit_rows, features_of, fill_entry, make_rows, make_spec

from fixgrid.cache import entry as entry_module
from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import CacheError, DiskError
from fixgrid.cache.key import Spec
from fixgrid.cache.salvage import commit_intact
from fixgrid.cache.shard import Shard, ShardFile, Status, commit_shard, list_shards
from fixgrid.cache.store import FeatureStore

ROWS = make_rows(150)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore(tmp_path / "cache")
    store.create()
    return store


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Salvage without the process around it, which takes most of a second."""

    def salvage(damaged: Path, spec: Spec, shards_folder: Path) -> int:
        commit_intact(damaged, spec, shards_folder)
        return sum(file.stop - file.start for file in list_shards(shards_folder))

    monkeypatch.setattr(entry_module, "salvage_rows", salvage)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def find_row(path: Path, entry: Entry, row: int) -> int:
    """Offset in a sealed file of a row's first feature."""
    return path.read_bytes().index(features_of(ROWS, entry.spec)[row].tobytes())


def test_a_bad_row_keeps_its_place_and_is_left_out(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False, step=150)
    [file] = list_shards(entry.shards_folder)
    file.path.unlink()
    features, status = features_of(ROWS, entry.spec), np.zeros(150, np.uint8)
    features[[7, 149]], status[[7, 149]] = np.nan, Status.DECODE
    commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, status))
    entry.seal({})
    found = entry.open().load(ROWS)
    assert found.row.tolist() == [i for i in range(149) if i != 7]
    np.testing.assert_array_equal(found.X, features[found.row])
    np.testing.assert_array_equal(found.y, ROWS.labels[found.row])
    assert entry.read_status().tolist() == status.tolist()


@pytest.mark.parametrize("cuts", [(0, 150), (0, 1, 149, 150), (0, 64, 128, 150), (0, 33, 97, 150)])
def test_the_sealed_file_does_not_depend_on_how_rows_were_cut(store: FeatureStore, cuts: tuple[int, ...]) -> None:
    """Without a lock two writers seal one key from other shards: their seals must fit each other's file."""
    entry = fill_entry(store, ROWS, seal=False, views=2)
    once = entry.folder.parent / "once.h5"
    entry.seal({})
    os.replace(entry.sealed_file, once)
    for start, stop in pairwise(cuts):
        commit_rows(entry, ROWS, start, stop)
    entry.seal({})
    assert entry.sealed_file.read_bytes() == once.read_bytes()


def test_shards_that_overlap_give_each_row_once(store: FeatureStore) -> None:
    entry = store.entry(make_spec(ROWS))
    for start, stop in ((0, 100), (0, 40), (50, 120), (90, 150), (149, 150)):
        commit_rows(entry, ROWS, start, stop)
    assert not entry.find_missing().any()
    entry.seal({})
    np.testing.assert_array_equal(entry.open().load(ROWS).X, features_of(ROWS, entry.spec))


def test_a_gap_is_not_sealed(store: FeatureStore) -> None:
    entry = store.entry(make_spec(ROWS))
    commit_rows(entry, ROWS, 0, 64)
    commit_rows(entry, ROWS, 65, 150)
    assert np.flatnonzero(entry.find_missing()).tolist() == [64]
    with pytest.raises(CacheError, match="row 64 of 150 is missing; run extract again"):
        entry.seal({})
    assert not entry.sealed_file.exists()
    with pytest.raises(CacheError, match="incomplete; run the extract"):
        entry.open()


def test_a_seal_that_another_process_was_first_with_is_fine(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = fill_entry(store, ROWS, seal=False)
    shards = list_shards(entry.shards_folder)
    entry.seal({})
    monkeypatch.setattr(entry_module, "list_shards", lambda folder: shards)
    entry.seal({})
    assert len(entry.open().load(ROWS).row) == 150


def test_rows_that_another_process_seals_meanwhile_are_not_missing(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = fill_entry(store, ROWS, seal=False)

    def seal_first(folder: Path) -> list[ShardFile]:
        monkeypatch.setattr(entry_module, "list_shards", list_shards)
        entry.seal({})
        return list_shards(folder)

    monkeypatch.setattr(entry_module, "list_shards", seal_first)
    assert not entry.find_missing().any()


def test_a_write_that_fails_leaves_every_shard(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = fill_entry(store, ROWS, seal=False)

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(DiskError, match="the disk is full"):
            entry.seal({})
    assert not entry.find_missing().any()
    entry.seal({})
    assert entry.read_seal() is not None


def test_one_flipped_bit_in_a_sealed_file_costs_one_row(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS)
    flip(entry.sealed_file, find_row(entry.sealed_file, entry, 70))
    with pytest.raises(CacheError, match="altered after it was sealed; run extract again"):
        entry.open().load(ROWS)
    [notice] = entry.set_aside_damage()
    assert "149 of 150 rows saved" in notice
    assert np.flatnonzero(entry.find_missing()).tolist() == [70]
    commit_rows(entry, ROWS, 70, 71)
    entry.seal({})
    np.testing.assert_array_equal(entry.open().load(ROWS).X, features_of(ROWS, entry.spec))


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("name", ["row_crc", "status", "row"])
def test_one_flipped_bit_beside_the_features_costs_one_row(store: FeatureStore, name: str) -> None:
    entry = fill_entry(store, ROWS)
    with h5py.File(entry.sealed_file) as file:
        flip(entry.sealed_file, file[name].id.get_chunk_info(0).byte_offset)
    [notice] = entry.set_aside_damage()
    assert f"{150 if name == 'row' else 149} of 150 rows saved" in notice


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("damage", ["gone", "cut", "other size", "no json", "another key's"])
def test_a_lost_seal_costs_no_row(store: FeatureStore, damage: str) -> None:
    entry = fill_entry(store, ROWS)
    seal = entry.folder / "sealed.json"
    if damage == "gone":
        seal.unlink()
    elif damage == "cut":
        seal.write_bytes(seal.read_bytes()[:-9])
    elif damage == "no json":
        seal.write_bytes(b"[" * 100_000)
    else:
        change = {"bytes": 1} if damage == "other size" else {"key": "0" * 64}
        seal.write_text(json.dumps({**json.loads(seal.read_text()), **change}))
    assert entry.read_seal() is None
    [notice] = entry.set_aside_damage()
    assert "150 of 150 rows saved" in notice
    entry.seal({})
    np.testing.assert_array_equal(entry.open().load(ROWS).X, features_of(ROWS, entry.spec))


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"x" * 9000])
def test_a_sealed_file_of_rubbish_costs_its_rows_and_no_more(store: FeatureStore, data: bytes) -> None:
    entry = fill_entry(store, ROWS)
    entry.sealed_file.write_bytes(data)
    [notice] = entry.set_aside_damage()
    assert "0 of 150 rows saved" in notice
    assert entry.find_missing().all()
    assert entry.sealed_file.with_suffix(".damaged").read_bytes() == data


@pytest.mark.usefixtures("one_process")
def test_a_sealed_file_that_is_gone_is_told(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS)
    entry.sealed_file.unlink()
    [notice] = entry.set_aside_damage()
    assert "0 of 150 rows saved" in notice
    assert entry.set_aside_damage() == []


@pytest.mark.usefixtures("one_process")
def test_the_sealed_file_of_another_key_gives_nothing(store: FeatureStore) -> None:
    entry, other = fill_entry(store, ROWS), fill_entry(store, ROWS, res=64)
    for name in ("features.h5", "sealed.json"):
        (entry.folder / name).write_bytes((other.folder / name).read_bytes())
    assert entry.read_seal() is None
    [notice] = entry.set_aside_damage()
    assert "0 of 150 rows saved" in notice


def test_only_the_damaged_shard_is_set_aside(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False)
    flip(list_shards(entry.shards_folder)[1].path, 5000)
    [notice] = entry.set_aside_damage()
    assert "rows 64 to 128 are recomputed" in notice
    assert np.flatnonzero(entry.find_missing()).tolist() == list(range(64, 128))
    assert entry.set_aside_damage() == []


def test_an_interrupted_seal_is_repeated_without_a_notice(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False)
    entry.sealed_file.write_bytes(b"half a file, and every shard is still there")
    assert entry.set_aside_damage() == []
    entry.seal({})
    assert len(entry.open().load(ROWS).row) == 150


def test_a_damaged_spec_is_written_again(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False)
    flip(entry.folder / "spec.json", 10)
    assert store.entries() == []
    entry.create(ROWS)
    assert [found.folder for found in store.entries()] == [entry.folder]


def test_rows_without_features_are_computed_again_and_no_others(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False, step=150)
    [file] = list_shards(entry.shards_folder)
    file.path.unlink()
    status = np.zeros(150, np.uint8)
    status[[3, 70]] = Status.DECODE
    features = features_of(ROWS, entry.spec)
    commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, status))
    entry.seal({})
    entry.reopen([5])
    assert entry.read_seal() is not None
    entry.reopen([3, 5])
    assert entry.read_seal() is None
    assert np.flatnonzero(entry.find_missing()).tolist() == [3]
    assert entry.set_aside_damage() == []
    commit_rows(entry, ROWS, 3, 4)
    entry.seal({})
    assert np.flatnonzero(entry.read_status()).tolist() == [70]
    np.testing.assert_array_equal(entry.open().read()[0], features)

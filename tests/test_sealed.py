"""A sealed entry gives its rows back, from the seal in hand: the disk is asked for features alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from entries import count_reads, features_of, fill_entry, make_rows, make_spec

from fixgrid.cache.disk import hash_file
from fixgrid.cache.errors import CacheError
from fixgrid.cache.sealed import Seal, Sealed, read_seal
from fixgrid.cache.shard import list_shards
from fixgrid.cache.store import FeatureStore

ROWS = make_rows(150)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore(tmp_path / "cache")
    store.create()
    return store


@pytest.mark.parametrize(("views", "dtype"), [(1, "float32"), (3, "float32"), (2, "float16")])
def test_a_sealed_entry_gives_back_every_row(store: FeatureStore, views: int, dtype: str) -> None:
    entry = fill_entry(store, ROWS, views=views, dtype=dtype)
    sealed = entry.open()
    found = sealed.load(ROWS)
    assert found.X.dtype == np.float32
    np.testing.assert_array_equal(found.X, features_of(ROWS, entry.spec).astype(np.float32))
    np.testing.assert_array_equal(found.y, ROWS.labels)
    np.testing.assert_array_equal(found.row, np.arange(150))
    np.testing.assert_array_equal(found.sha256, ROWS.sha256)
    assert sealed.provenance == {"trunk": "stub"}
    assert list_shards(entry.shards_folder) == []


def test_blocks_join_to_the_whole(store: FeatureStore) -> None:
    sealed = fill_entry(store, ROWS).open()
    blocks = list(sealed.read_blocks(ROWS, 64))
    assert [len(block.X) for block in blocks] == [64, 64, 22]
    np.testing.assert_array_equal(np.concatenate([block.X for block in blocks]), sealed.load(ROWS).X)
    np.testing.assert_array_equal(np.concatenate([block.row for block in blocks]), np.arange(150))


def test_features_of_other_rows_are_refused(store: FeatureStore) -> None:
    sealed = fill_entry(store, ROWS).open()
    order = np.r_[1, 0, 2:150]
    swapped = replace(ROWS, paths=tuple(ROWS.paths[i] for i in order), sha256=ROWS.sha256[order])
    for read in (sealed.load, lambda rows: list(sealed.read_blocks(rows))):
        with pytest.raises(CacheError, match="holds features of other rows"):
            read(swapped)


def test_a_sealed_entry_is_read_without_writing(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = fill_entry(store, ROWS)
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    opened: list[tuple[object, ...]] = []
    real = h5py.File
    monkeypatch.setattr(
        h5py, "File", lambda *args, **options: (opened.append((args[1], options)), real(*args, **options))[1]
    )
    entry.open().load(ROWS)
    assert opened == [("r", {"locking": False})]
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_a_seal_is_read_once_however_much_is_asked(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = fill_entry(store, ROWS)
    reads = count_reads(monkeypatch)
    sealed = entry.open()
    for _ in range(2):
        assert (sealed.digest, sealed.provenance) == (hash_file(entry.sealed_file), {"trunk": "stub"})
        sealed.check_digest()
        assert len(sealed.load(ROWS).row) == len(sealed.read()[1]) == len(sealed.read_status()) == 150
        assert sum(len(block.row) for block in sealed.read_blocks(ROWS, 64)) == 150
    assert reads == {entry.folder / "sealed.json": 1}


def test_what_a_seal_says_needs_no_disk(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS)
    sealed, digest = entry.open(), hash_file(entry.sealed_file)
    shutil.rmtree(store.root)
    assert (sealed.digest, sealed.trunk_name, sealed.origin) == (digest, "stub", None)
    with pytest.raises(CacheError, match="is gone; run extract again"):
        sealed.load(ROWS)
    assert entry.read_seal() is None


def test_a_seal_is_written_as_it_always_was(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False)
    entry.seal({"versions": {"b": "1", "a": "2"}, "created": 7})
    file = entry.sealed_file
    assert (entry.folder / "sealed.json").read_text() == (
        f'{{\n "bytes": {file.stat().st_size},\n "key": "{entry.spec.key}",\n "provenance": {{\n  "created": 7,\n'
        f'  "versions": {{\n   "a": "2",\n   "b": "1"\n  }}\n }},\n "rows": 150,\n "rows_not_ok": 0,\n'
        f' "sha256": "{hash_file(file)}"\n}}'
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("sha256", 7), ("bytes", "9"), ("rows_not_ok", None), ("provenance", []), ("key", "0" * 64), ("bytes", 9)],
)
def test_a_seal_with_a_part_that_cannot_be_is_none(store: FeatureStore, name: str, value: object) -> None:
    entry = fill_entry(store, ROWS)
    seal = entry.folder / "sealed.json"
    record = json.loads(seal.read_text())
    assert read_seal(entry.folder, entry.spec) == Seal(**record)
    seal.write_text(json.dumps({**record, name: value}))
    assert read_seal(entry.folder, entry.spec) is None


def test_a_trunk_is_called_as_it_was_extracted_or_else_by_its_architecture(tmp_path: Path) -> None:
    stems = {"weights_sha256": "1" * 64}
    for made_by, name, origin in (
        ({"trunk": "mine"}, "mine", None),
        ({"recalibrated": stems}, "stub", stems),
        ({"recalibrated": "odd"}, "stub", None),
    ):
        sealed = Sealed(tmp_path, make_spec(ROWS), Seal("k", "0" * 64, 1, 150, 0, made_by))
        assert (sealed.trunk_name, sealed.origin) == (name, origin)

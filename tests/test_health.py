from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from entries import features_of, fill_entry, make_rows, make_spec

from fixgrid.cache.disk import hash_file
from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import CacheError
from fixgrid.cache.health import (
    choose_rows,
    compare_rows,
    count_bad_rows,
    describe_entry,
    explain_miss,
    find_exposure,
    find_filesystem,
    probe_entry,
    shorten_entry,
    verify_entry,
    verify_store,
)
from fixgrid.cache.key import Spec
from fixgrid.cache.rows import Manifest
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.sealed import Sealed
from fixgrid.cache.shard import Shard, Status, commit_shard, list_shards
from fixgrid.cache.store import FeatureStore

ROWS = make_rows(150)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path)


def again(sealed: Sealed, rows: Sequence[int]) -> np.ndarray:
    return features_of(ROWS, sealed.spec)[list(rows)].astype(np.float32)


def drifted(sealed: Sealed, rows: Sequence[int]) -> np.ndarray:
    features = again(sealed, rows)
    features[2] *= 1.01
    return features


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    content = data.find(ROWS.sha256[2].tobytes())  # the rest of a small HDF5 file is mostly padding
    data[content if content > 0 else len(data) // 2] ^= 1
    path.write_bytes(data)


def test_features_that_another_process_removes_meanwhile_are_a_line(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_first(path: Path) -> str:
        path.unlink()
        return hash_file(path)

    entry = fill_entry(store, ROWS)
    monkeypatch.setattr("fixgrid.cache.sealed.hash_file", remove_first)
    [line] = verify_entry(entry)
    assert line.endswith("features.h5 is gone; run extract again to recompute it.")


@pytest.mark.parametrize("name", ["spec.json", "rows.h5", "features.h5", "shard", "record"])
def test_every_damaged_file_has_a_line(store: FeatureStore, name: str) -> None:
    sealed, open_entry = fill_entry(store, ROWS), fill_entry(store, ROWS, res=64, seal=False)
    write_manifest(store.folder / "data", Manifest("dogs", "/dogs", ("a", "b"), {"train": ROWS}))
    assert verify_store(store) == []
    if name == "shard":
        path = sorted(open_entry.shards_folder.iterdir())[1]
    elif name == "record":
        path = next((store.folder / "data").glob("*/train.h5"))
    else:
        path = sealed.folder / name
    flip(path)
    [line] = verify_store(store)
    assert str(path.parent) in line


def test_a_lost_seal_has_a_line(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS)
    (entry.folder / "sealed.json").unlink()
    [line] = verify_store(store)
    assert "incomplete" in line


def test_rows_are_chosen_evenly_and_always_the_same(store: FeatureStore) -> None:
    sealed = fill_entry(store, ROWS).open()
    assert choose_rows(sealed, 4) == [0, 50, 99, 149]
    assert choose_rows(sealed, 1000) == list(range(150))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_that_are_computed_alike_pass(store: FeatureStore, dtype: str) -> None:
    sealed = fill_entry(store, ROWS, dtype=dtype, views=2).open()
    compare_rows(sealed, choose_rows(sealed, 8), again)


def test_a_row_that_is_computed_otherwise_is_named(store: FeatureStore) -> None:
    sealed = fill_entry(store, ROWS).open()
    with pytest.raises(CacheError, match=r"rows 99 \(0\.0\d\) differ by more than 0\.001"):
        compare_rows(sealed, choose_rows(sealed, 4), drifted)
    with pytest.raises(CacheError, match="differ"):
        compare_rows(sealed, [0], lambda sealed, rows: np.full((1, 1, 3), np.nan, np.float32))


def test_other_versions_are_probed_once(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False)
    entry.seal({"versions": {"torch": "1"}})
    assert not probe_entry(entry.open(), {"torch": "1"}, drifted)
    with pytest.raises(CacheError, match="other versions compute other features"):
        probe_entry(entry.open(), {"torch": "2"}, drifted)
    assert probe_entry(entry.open(), {"torch": "2"}, again)
    assert not probe_entry(entry.open(), {"torch": "2"}, drifted)
    assert probe_entry(entry.open(), {"torch": "3"}, again)


def test_a_proof_does_not_outlive_its_seal(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False)
    entry.seal({"versions": {"torch": "1"}})
    probe_entry(entry.open(), {"torch": "2"}, again)
    (entry.folder / "sealed.json").write_bytes((entry.folder / "sealed.json").read_bytes() + b"\n")
    assert probe_entry(entry.open(), {"torch": "2"}, again)


def test_what_is_removed_meanwhile_is_no_damage(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_entry(store, ROWS)

    def remove_first(entry: Entry) -> list[str]:
        shutil.rmtree(entry.folder)
        return verify_entry(entry)

    monkeypatch.setattr("fixgrid.cache.health.verify_entry", remove_first)
    assert verify_store(store) == []


def test_an_interrupted_seal_is_no_damage(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS, seal=False)
    entry.sealed_file.write_bytes(b"half")
    assert verify_store(store) == []
    list_shards(entry.shards_folder)[0].path.unlink()
    assert len(verify_store(store)) == 1


def explain(store: FeatureStore, wanted: Spec) -> tuple[Path, list[str]]:
    entry, lines = explain_miss(store, wanted)
    assert entry is not None
    return entry.folder, lines


def test_a_miss_is_explained_by_the_nearest_key(store: FeatureStore) -> None:
    assert explain_miss(store, make_spec(ROWS)) == (None, [])
    near, far = fill_entry(store, ROWS), fill_entry(store, make_rows(9), res=64, crop_ratio="0.9")
    assert explain(store, make_spec(ROWS, crop_ratio="1.0")) == (near.folder, ["view.crop_ratio 0.875 -> 1.0"])
    assert explain(store, replace(far.spec, precision="bf16"))[0] == far.folder


def test_a_key_is_not_its_own_neighbour(store: FeatureStore) -> None:
    mine = fill_entry(store, ROWS)
    assert explain_miss(store, mine.spec) == (None, [])
    fill_entry(store, ROWS, res=64, seal=False)
    assert explain_miss(store, mine.spec) == (None, [])
    other = fill_entry(store, ROWS, res=48)
    assert explain(store, mine.spec) == (other.folder, ["view.res 48 -> 32"])


def test_an_entry_without_an_ok_row_has_nothing_to_compare(store: FeatureStore) -> None:
    entry = store.entry(make_spec(ROWS))
    entry.create(ROWS)
    features = np.full((150, 1, 3), np.nan, np.float32)
    commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, np.full(150, Status.DECODE, np.uint8)))
    entry.seal({"versions": {"torch": "1"}})
    assert choose_rows(entry.open(), 4) == []
    assert probe_entry(entry.open(), {"torch": "2"}, drifted)
    assert count_bad_rows(store) == 150


def test_a_shallow_check_reads_no_features(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS)
    flip(entry.sealed_file)
    assert len(verify_store(store)) == 1
    assert verify_store(store, deep=False) == []
    flip(entry.folder / "rows.h5")
    assert len(verify_store(store, deep=False)) == 1


def test_a_cache_that_everyone_may_write_to_is_said(store: FeatureStore) -> None:
    assert find_exposure(store) == []
    store.create()
    store.root.chmod(0o755)
    assert find_exposure(store) == []
    store.folder.chmod(0o777)
    [(found, cure)] = find_exposure(store)
    assert (str(store.folder) in found, cure) == (True, f"chmod o-w {store.folder}")


def test_the_file_system_is_that_of_the_deepest_mount() -> None:
    mounts = (
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "22 21 0:5 / /data rw shared:1 - nfs4 host:/x rw\n"
        "23 22 0:6 / /data/my\\040cache rw - tmpfs tmpfs rw\n"
    )
    assert find_filesystem(Path("/elsewhere"), mounts) == "ext4"
    assert find_filesystem(Path("/data/a"), mounts) == "nfs4"
    assert find_filesystem(Path("/database"), mounts) == "ext4"
    assert find_filesystem(Path("/data/my cache/v1"), mounts) == "tmpfs"
    assert find_filesystem(Path("/data"), "") == ""


def test_an_entry_is_described(store: FeatureStore) -> None:
    found = describe_entry(fill_entry(store, ROWS), {ROWS.digest: ("my/dogs", "train")}, {})
    assert {**found, "key": "", "bytes": 0} == {
        "key": "", "data": "my/dogs", "split": "train", "trunk": "stub", "kind": "center", "features": "pooled",
        "res": 32, "views": 1, "rows": 150, "missing": 0, "bytes": 0, "sealed": True,
    }  # fmt: skip
    assert found["bytes"] > 150 * 3 * 4
    unknown = describe_entry(fill_entry(store, ROWS), {}, {})
    assert (unknown["data"], unknown["split"]) == ("", "")


def test_an_entry_is_shortened() -> None:
    record = {
        "key": "0123456789ab", "data": "my/\u202edogs", "split": "val", "trunk": "stub", "kind": "train", "res": 32,
        "features": "pooled", "views": 2, "rows": 150, "missing": 3, "bytes": 1_234_567, "sealed": False,
    }  # fmt: skip
    assert list(shorten_entry(record).values()) == [
        "01234567", "\\u202edogs val", "stub", "train x2", "32", "150", "1.2", "3 missing",
    ]  # fmt: skip
    assert shorten_entry({**record, "missing": 0})["state"] == "unsealed"
    assert shorten_entry({**record, "missing": 0, "sealed": True, "views": 1})["state"] == "sealed"
    assert shorten_entry({**record, "data": "", "split": ""})["split"] == "of nothing known"
    assert shorten_entry({**record, "features": "cls"})["view"] == "train x2 cls"


def test_what_another_process_is_removing_is_no_damage(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    fill_entry(store, make_rows(4))
    for place in ("data", "ab"):
        (store.folder / place / ".trash-1").mkdir(parents=True)
    assert verify_store(store) == []

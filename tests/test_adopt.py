from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from entries import commit_rows, count_reads, features_of, fill_entry, make_rows, make_spec

from fixgrid.cache import adopt
from fixgrid.cache.adopt import Donors, adopt_rows
from fixgrid.cache.entry import Entry
from fixgrid.cache.rows import Rows
from fixgrid.cache.shard import Shard, Status, commit_shard, list_shards, read_shard
from fixgrid.cache.store import FeatureStore

ROWS = make_rows(100)


def take(rows: Rows, index: np.ndarray) -> Rows:
    """The same images in another order, under other names."""
    names = tuple(b"renamed/%d.png" % i for i in range(len(index)))
    return Rows(names, rows.sizes[index], rows.sha256[index], rows.labels[index])


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path)


def empty_entry(store: FeatureStore, rows: Rows, **fields: object) -> Entry:
    entry = store.entry(make_spec(rows, **fields))
    entry.create(rows)
    return entry


def test_renamed_and_reordered_images_keep_their_features(store: FeatureStore) -> None:
    fill_entry(store, ROWS)
    shuffled = take(ROWS, np.random.default_rng(0).permutation(100))
    entry = empty_entry(store, shuffled)
    assert adopt_rows(Donors(store), entry, shuffled) == 100
    entry.seal({})
    np.testing.assert_array_equal(entry.open().load(shuffled).X, features_of(shuffled, entry.spec))


def test_only_new_images_are_missing(store: FeatureStore) -> None:
    fill_entry(store, ROWS)
    new = make_rows(3, seed=9)
    grown = take(
        replace(ROWS, sizes=np.r_[ROWS.sizes, new.sizes], sha256=np.r_[ROWS.sha256, new.sha256],
                labels=np.r_[ROWS.labels, new.labels]),
        np.r_[0:50, 100, 50:100, 101, 102],
    )  # fmt: skip
    entry = empty_entry(store, grown)
    assert adopt_rows(Donors(store), entry, grown) == 100
    assert np.flatnonzero(entry.find_missing()).tolist() == [50, 101, 102]


def test_rows_come_from_as_many_keys_as_hold_them(store: FeatureStore) -> None:
    parts = [take(ROWS, np.arange(start, start + 40)) for start in (0, 30, 60)]
    for part in parts:
        fill_entry(store, part)
    entry = empty_entry(store, ROWS)
    assert adopt_rows(Donors(store), entry, ROWS) == 100
    entry.seal({})
    np.testing.assert_array_equal(entry.open().load(ROWS).X, features_of(ROWS, entry.spec))


@pytest.mark.parametrize("fields", [{"res": 64}, {"dim": 4}, {"dtype": "float16"}, {"crop_ratio": "1.0"}])
def test_another_recipe_gives_nothing(store: FeatureStore, fields: dict[str, object]) -> None:
    fill_entry(store, ROWS, **fields)
    renamed = take(ROWS, np.arange(100))
    assert adopt_rows(Donors(store), empty_entry(store, renamed), renamed) == 0


def test_bad_rows_are_not_adopted(store: FeatureStore) -> None:
    donor = empty_entry(store, ROWS)
    features, status = features_of(ROWS, donor.spec), np.zeros(100, np.uint8)
    features[5], status[5] = np.nan, Status.CRASH
    commit_shard(donor.shards_folder, donor.spec.key, Shard(0, features, status))
    donor.seal({})
    renamed = take(ROWS, np.arange(100))
    entry = empty_entry(store, renamed)
    assert adopt_rows(Donors(store), entry, renamed) == 99
    assert np.flatnonzero(entry.find_missing()).tolist() == [5]


@pytest.mark.parametrize("name", ["rows.h5", "features.h5", "sealed.json"])
def test_a_donor_that_cannot_be_trusted_gives_nothing(store: FeatureStore, name: str) -> None:
    donor = fill_entry(store, ROWS)
    data = bytearray((donor.folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (donor.folder / name).write_bytes(data)
    renamed = take(ROWS, np.arange(100))
    entry = empty_entry(store, renamed)
    adopted = adopt_rows(Donors(store), entry, renamed)
    assert adopted in ((0,) if name == "features.h5" else (0, 100))
    if adopted:
        entry.seal({})
        np.testing.assert_array_equal(entry.open().load(renamed).X, features_of(renamed, entry.spec))


def test_rows_that_are_there_are_not_adopted_again(store: FeatureStore) -> None:
    fill_entry(store, ROWS)
    renamed = take(ROWS, np.arange(100))
    entry = empty_entry(store, renamed)
    adopt_rows(Donors(store), entry, renamed)
    before = [file.path.stat().st_mtime_ns for file in list_shards(entry.shards_folder)]
    assert adopt_rows(Donors(store), entry, renamed) == 0
    assert [file.path.stat().st_mtime_ns for file in list_shards(entry.shards_folder)] == before


def test_adoption_reads_each_donors_seal_once_and_rows_of_a_fitting_recipe_alone(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [take(ROWS, np.arange(start, start + 20)) for start in range(0, 100, 20)]
    donors = {res: [fill_entry(store, part, res=res) for part in parts] for res in (32, 48, 64)}
    wanted = [(take(ROWS, np.arange(n)), res) for n in (50, 70, 100) for res in (32, 48)]
    entries = [(empty_entry(store, rows, res=res), rows) for rows, res in wanted]
    reads, known = count_reads(monkeypatch), Donors(store)
    assert [adopt_rows(known, entry, rows) for entry, rows in entries] == [50, 50, 70, 70, 100, 100]
    for res, mine in donors.items():
        assert [reads[donor.folder / "sealed.json"] for donor in mine] == [1] * 5
        fits = sum(entry.spec.view["res"] == res for entry, _ in entries)
        assert all(reads[donor.folder / "rows.h5"] <= fits for donor in mine)
    assert max(reads[entry.folder / "spec.json"] for entry, _ in entries) == 1


def test_a_donor_that_is_removed_after_it_was_listed_gives_nothing(store: FeatureStore) -> None:
    donor = fill_entry(store, ROWS)
    renamed = take(ROWS, np.arange(100))
    entry, donors = empty_entry(store, renamed), Donors(store)
    assert [found.folder for found in donors.find(donor.spec.recipe)] == [donor.folder]
    shutil.rmtree(donor.folder)
    assert adopt_rows(donors, entry, renamed) == 0


def commit_some(store: FeatureStore, rows: Rows, *ranges: tuple[int, int]) -> Entry:
    """An entry that a run was stopped at."""
    donor = empty_entry(store, rows)
    for start, stop in ranges:
        commit_rows(donor, rows, start, stop)
    return donor


def add_one(rows: Rows, at: int) -> Rows:
    """The same images and a new one."""
    new, n = make_rows(1, seed=9), len(rows)
    return take(
        Rows(
            [*rows.paths, *new.paths],
            *(np.r_[one, two] for one, two in ((rows.sizes, new.sizes), (rows.sha256, new.sha256))),
            np.r_[rows.labels, new.labels],
        ),
        np.r_[0:at, n, at:n],
    )


def test_rows_in_shards_of_a_stopped_run_are_taken_over(store: FeatureStore) -> None:
    commit_some(store, ROWS, (0, 20), (40, 70))
    grown = add_one(ROWS, 50)
    entry = empty_entry(store, grown)
    assert adopt_rows(Donors(store), entry, grown) == 50
    assert np.flatnonzero(~entry.find_missing()).tolist() == [*range(20), *range(40, 50), *range(51, 71)]
    for file in list_shards(entry.shards_folder):
        shard = read_shard(file, entry.spec)
        np.testing.assert_array_equal(shard.features, features_of(grown, entry.spec)[file.start : file.stop])


def test_shuffled_rows_in_shards_are_taken_over_as_well(store: FeatureStore) -> None:
    commit_some(store, ROWS, (0, 60))
    shuffled = take(ROWS, np.random.default_rng(0).permutation(100))
    entry = empty_entry(store, shuffled)
    assert adopt_rows(Donors(store), entry, shuffled) == 60
    for file in list_shards(entry.shards_folder):
        shard = read_shard(file, entry.spec)
        np.testing.assert_array_equal(shard.features, features_of(shuffled, entry.spec)[file.start : file.stop])


def test_a_damaged_shard_gives_nothing_and_those_beside_it_all_they_have(store: FeatureStore) -> None:
    donor = commit_some(store, ROWS, (0, 20), (20, 40))
    file = list_shards(donor.shards_folder)[0].path
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    grown = add_one(ROWS, 0)
    entry = empty_entry(store, grown)
    assert adopt_rows(Donors(store), entry, grown) == 20
    assert np.flatnonzero(~entry.find_missing()).tolist() == list(range(21, 41))


def test_sources_far_apart_are_read_window_by_window(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_entry(store, ROWS)
    monkeypatch.setattr(adopt, "_WINDOW", 10)
    read, sizes = adopt._SealedReader.read, []
    monkeypatch.setattr(adopt._SealedReader, "read", lambda self, a, b: sizes.append(b - a) or read(self, a, b))
    few = take(ROWS, np.arange(0, 100, 3))
    entry = empty_entry(store, few)
    assert adopt_rows(Donors(store), entry, few) == 34
    assert len(sizes) == 10
    assert max(sizes) == 10
    entry.seal({})
    np.testing.assert_array_equal(entry.open().load(few).X, features_of(few, entry.spec))

"""A data set is found under every name that it was given, and by its place however that is spelt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from entries import fill_entry, make_rows, make_spec

from fixgrid.cache.datasets import list_sources, name_here, name_splits
from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.garbage import find_garbage
from fixgrid.cache.holdings import find_holdings
from fixgrid.cache.rows import Manifest
from fixgrid.cache.rowsfile import list_manifests, write_manifest
from fixgrid.cache.store import FeatureStore


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "cache")


def record(store: FeatureStore, source: str, root: Path | str, n: int = 8, *options: str) -> str:
    rows = make_rows(n)
    if not store.entry(make_spec(rows)).folder.exists():
        fill_entry(store, rows)
    return write_manifest(
        store.folder / "data", Manifest(source, str(root), ("a", "b"), {"train": rows}, tuple(options))
    )


def find(store: FeatureStore, source: str | None = None) -> Manifest:
    return find_holdings(store, source).manifest


def test_two_tables_of_the_same_rows_are_found_under_both_names(store: FeatureStore, tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("")
    digests = {record(store, f"{tmp_path}/{name}", tmp_path) for name in ("one.csv", "two.csv", "one.csv")}
    assert len(digests) == 1
    for name in ("one.csv", "two.csv"):
        assert find(store, f"{tmp_path}/{name}").source == f"{tmp_path}/{name}"
    with pytest.raises(CacheError, match=r"no features of .*three.csv"):
        find(store, f"{tmp_path}/three.csv")


def test_a_data_set_of_several_names_is_one_and_needs_none(store: FeatureStore) -> None:
    for name in ("a.csv", "b.csv"):
        record(store, name, "/data")
    assert list(list_sources(store)) == [find(store).source] == ["b.csv"]
    record(store, "c.csv", "/data", 9)
    with pytest.raises(UsageError, match=r"\(b.csv, c.csv\)"):
        find(store)
    assert len(find(store, "a.csv").splits["train"]) == 8


def test_a_folder_is_found_however_it_is_spelt_and_from_anywhere(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "here" / "photos"
    photos.mkdir(parents=True)
    (tmp_path / "link").symlink_to(photos)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "here")
    spelt = ["photos", str(photos), "~/here/photos", f"{tmp_path}/link", "../here/photos/"]
    for name in spelt:
        digest = record(store, name, photos)
        assert [find(store, other).splits["train"].digest for other in spelt]
    assert {name for name, _ in list_manifests(store.folder / "data")} == {digest}
    for folder in (tmp_path / "here", tmp_path):
        monkeypatch.chdir(folder)
        assert find(store).root == str(photos)
        assert [find(store, name).root for name in spelt[1:4]] == [str(photos)] * 3
    assert name_here(replace(find(store), source="photos")) == str(photos)


def test_a_place_whose_images_changed_is_new_under_all_of_its_names(store: FeatureStore, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (tmp_path / "link").symlink_to(photos)
    for name in (str(photos), f"{tmp_path}/link", f"{tmp_path}/./photos"):
        record(store, name, photos)
    record(store, f"{tmp_path}/link", photos, 9)
    for name in (None, str(photos), f"{tmp_path}/link", f"{tmp_path}/./photos"):
        assert len(find(store, name).splits["train"]) == 9


def test_the_options_of_a_data_set_are_those_it_was_extracted_with_last(store: FeatureStore) -> None:
    record(store, "dogs", "/dogs", 8, "--seed", "5")
    assert find(store).options == ("--seed", "5")
    record(store, "dogs", "/dogs")
    assert find(store).options == ()


def test_nothing_is_written_for_a_record_that_is_the_newest(store: FeatureStore) -> None:
    record(store, "dogs", "/dogs")
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("data/**/*")}
    record(store, "dogs", "/dogs")
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("data/**/*")} == before


def test_a_record_of_an_earlier_version_keeps_its_name_when_another_comes(store: FeatureStore) -> None:
    digest = record(store, "old.csv", "/data")
    folder = store.folder / "data" / digest
    next((folder / "names").iterdir()).unlink()
    facts = json.loads((folder / "data.json").read_text())
    del facts["options"]
    (folder / "data.json").write_text(json.dumps(facts))
    assert find(store, "old.csv").options == ()
    record(store, "new.csv", "/data")
    assert {find(store, name).source for name in ("old.csv", "new.csv")} == {"old.csv", "new.csv"}


def test_damaged_names_are_passed_over(store: FeatureStore) -> None:
    digest = record(store, "a.csv", "/data")
    (store.folder / "data" / digest / "names" / "x.json").write_text("[]")
    assert find(store).source == "a.csv"


def test_garbage_is_no_record_that_another_name_needs(store: FeatureStore) -> None:
    first = record(store, "a.csv", "/data")
    record(store, "b.csv", "/data")
    record(store, "a.csv", "/data", 9)
    assert find_garbage(store) == []
    record(store, "b.csv", "/data", 9)
    assert {item.path.name for item in find_garbage(store)} >= {first}
    assert len([item for item in find_garbage(store) if item.path.name == first]) == 1
    assert {source for source, _ in name_splits(store).values()} == {"b.csv"}


def test_a_table_is_found_by_its_place_wherever_its_images_are(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "t.TSV"
    for folder in ("here", "images"):
        (tmp_path / folder).mkdir()
    (tmp_path / "here" / name).write_text("")
    (tmp_path / name).write_text("")
    record(store, name, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    assert find(store, f"../here/{name}").root == str(tmp_path / "here")
    record(store, str(tmp_path / name), tmp_path / "images", 9, "--root", str(tmp_path / "images"))
    assert name_here(find(store, f"../{name}")) == str(tmp_path / name)
    assert len(find(store, f"../{name}").splits["train"]) == 9
    assert len(find(store, name).splits["train"]) == 8

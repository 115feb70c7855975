"""A cache lists what it holds: entries by their specs, the complete ones by their seals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from entries import count_reads, fill_entry, make_rows, make_spec

from fixgrid.cache.store import FeatureStore

ROWS = make_rows(150)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore(tmp_path / "cache")
    store.create()
    return store


def test_entries_of_a_newer_format_or_under_a_wrong_name_are_no_entries(store: FeatureStore) -> None:
    entry = fill_entry(store, ROWS)
    newer = store.entry(replace(make_spec(ROWS), format=2))
    newer.folder.mkdir(parents=True)
    (newer.folder / "spec.json").write_bytes(newer.spec.to_json())
    moved = store.folder / "00" / ("0" * 64)
    moved.mkdir(parents=True)
    (moved / "spec.json").write_bytes(entry.spec.to_json())
    assert [found.folder for found in store.entries()] == [entry.folder]


def test_a_cache_ignores_itself_in_git(store: FeatureStore) -> None:
    assert (store.root / ".gitignore").read_text() == "*\n"


def test_complete_entries_are_listed_and_each_spec_and_seal_is_read_once(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [fill_entry(store, ROWS, res=res) for res in (32, 48, 64)]
    begun = fill_entry(store, ROWS, res=80, seal=False)
    lost = fill_entry(store, ROWS, res=96)
    (lost.folder / "sealed.json").write_bytes(b"{")
    reads = count_reads(monkeypatch)
    found = store.sealed()
    assert [sealed.folder for sealed in found] == sorted(entry.folder for entry in whole)
    folders = [entry.folder for entry in (*whole, begun, lost)]
    assert reads == {folder / name: 1 for folder in folders for name in ("spec.json", "sealed.json")}


def test_only_the_seals_that_are_wanted_are_read(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = fill_entry(store, ROWS, res=32), fill_entry(store, ROWS, res=64)
    reads = count_reads(monkeypatch)
    assert [found.folder for found in store.sealed(lambda spec: spec.view["res"] == 32)] == [mine.folder]
    assert reads[mine.folder / "sealed.json"] == 1
    assert reads[other.folder / "sealed.json"] == 0

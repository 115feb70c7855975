"""A cache is opened by its folder's name, which is never made; what it gives knows which image each line is of."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from entries import features_of, fill_entry, make_rows, make_spec

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.features import FeatureTable, Skipped
from fixgrid.cache.reader import Reader, open_store
from fixgrid.cache.rows import Manifest
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.shard import Shard, Status, commit_shard
from fixgrid.cache.store import FeatureStore

PLAIN = make_rows(7)
# As file systems have them: bytes that are no UTF-8, an escape of the terminal, no ASCII.
ROWS = replace(PLAIN, paths=(b"a/\xff.png", b"b/\x1b.png", "a/ä.png".encode(), *PLAIN.paths[3:]))
BAD = {1: Status.DECODE, 4: Status.TOO_LARGE}


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Three views of seven images, two of which have no features; and one view of each at another resolution."""
    store = FeatureStore(tmp_path / "cache")
    write_manifest(store.folder / "data", Manifest("dogs", "/dogs", ("dark", "bright"), {"train": ROWS}))
    entry = store.entry(make_spec(ROWS, views=3, kind="train", draws=3))
    entry.create(ROWS)
    features, status = features_of(ROWS, entry.spec), np.zeros(7, np.uint8)
    for row, code in BAD.items():
        features[row], status[row] = np.nan, code
    commit_shard(entry.shards_folder, entry.spec.key, Shard(0, features, status))
    entry.seal({"trunk": "stub"})
    fill_entry(store, ROWS, res=64)
    return open_store(store.root)


def test_opening_a_cache_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"found no folder at .*gone; .* python cli.py extract"):
        open_store(tmp_path / "gone")
    with pytest.raises(CacheError, match="a folder without features"):
        open_store(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    FeatureStore(tmp_path / "kept").create()
    assert open_store("~/kept").store.root == tmp_path / "kept"


def test_every_line_is_of_the_image_and_view_that_it_names(reader: Reader) -> None:
    found = reader.load("train", 32, "train")
    truth = features_of(ROWS, make_spec(ROWS, views=3))
    by_path = {os.fsdecode(path): row for row, path in enumerate(ROWS.paths)}
    assert found.X.shape == (len(found), 3) == (15, 3)
    assert (found.X.dtype, found.y.dtype, found.row.dtype, found.view.dtype) == (np.float32, *[np.int64] * 3)
    for line in range(15):
        row, view = by_path[found.paths[line]], int(found.view[line])
        np.testing.assert_array_equal(found.X[line], truth[row, view])
        assert (found.row[line], found.y[line]) == (row, ROWS.labels[row])
        assert found.labels[line] == ("dark", "bright")[ROWS.labels[row]]
    assert found.view.tolist() == [0, 1, 2] * 5
    assert (found.classes, found.root) == (("dark", "bright"), "/dogs")


def test_an_image_without_features_is_named_with_its_reason(reader: Reader) -> None:
    found = reader.load("train", 32, "train")
    assert found.skipped == (Skipped("b/\x1b.png", 1, "decode"), Skipped("0/00004.png", 4, "too_large"))
    assert set(found.row.tolist()) == {0, 2, 3, 5, 6}
    assert reader.load("train", 64).skipped == ()


def test_a_path_opens_the_file_whatever_its_name(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "cache")
    write_manifest(store.folder / "data", Manifest("dogs", str(tmp_path), ("a", "b"), {"train": ROWS}))
    fill_entry(store, ROWS)
    for path in ROWS.paths:
        file = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), path)))
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(path)
    found = open_store(store.root).load("train", 32)
    assert [Path(found.root, path).read_bytes() for path in found.paths] == list(ROWS.paths)


@pytest.mark.parametrize("lines", [np.array([14, 0, 7]), np.arange(15) % 4 == 1, np.array([], np.int64)])
def test_lines_are_taken_with_all_their_parts(reader: Reader, lines: np.ndarray) -> None:
    whole = reader.load("train", 32, "train")
    some, chosen = whole.take(lines), np.arange(15)[lines].tolist()
    assert len(some) == len(chosen)
    for name in ("X", "y", "row", "view", "labels"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[chosen])
    assert some.paths == tuple(whole.paths[line] for line in chosen)
    assert (some.classes, some.root, some.skipped) == (whole.classes, whole.root, whole.skipped)


@pytest.mark.parametrize("name", ["X", "y", "paths", "row", "view"])
def test_parts_of_another_length_make_no_table(reader: Reader, name: str) -> None:
    whole = reader.load("train", 32, "train")
    with pytest.raises(UsageError, match=r"found \d+ lines of \w+, expected \d+ as of X: .*take"):
        replace(whole, **{name: getattr(whole, name)[:-1]})
    assert isinstance(replace(whole), FeatureTable)


def test_a_view_is_chosen_where_there_are_several(reader: Reader) -> None:
    fill_entry(reader.store, ROWS, res=64, resize="height")
    with pytest.raises(UsageError, match=r"view\.resize"):
        reader.load("train", 64)
    assert len(reader.load("train", 64, resize="height")) == 7
    with pytest.raises(CacheError, match="no center features of train at 96 px"):
        reader.load("train", 96, resize="height")

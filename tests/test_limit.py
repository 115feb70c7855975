"""A limit takes the same first images whenever it is asked for, and its data set is never taken for the whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stub import SilentWatcher
from test_hints import type_in
from test_script import CODE, LAYERS
from zoo import draw_photo, encode, write_photos

import fixgrid
from fixgrid.cache.datasets import find_limit, find_source, shorten_source, split_limit
from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.rows import Manifest
from fixgrid.cache.shares import rank_images, take_first, take_share
from fixgrid.cache.store import FeatureStore
from fixgrid.embed import hashes
from fixgrid.embed.changes import Changes, find_changes
from fixgrid.embed.limit import choose_images, read_limit
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.sources.source import Image

N = 40


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty images of two classes, and a file of trunks."""
    monkeypatch.setattr(hashes, "RACY_NS", -(10**18))
    write_photos(tmp_path / "photos", N)
    (tmp_path / "script_layers.py").write_text(LAYERS)
    (tmp_path / "nets.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def extract(data: str | None = "photos", **more: object) -> fixgrid.extracting.Extracted:
    return fixgrid.extract(data, trunk="nets.py:plain", res=24, engine="inline", **more)


def read(source: str, **options: int) -> tuple[Manifest, tuple[str, ...]]:
    return read_manifest(source, cache_dir=Path("features"), **options)


def list_paths(manifest: Manifest) -> set[bytes]:
    return {path for rows in manifest.splits.values() for path in rows.paths}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.data())
def test_for_any_labels_the_first_are_nested_and_hold_of_each_class_its_share(labels, data) -> None:
    y = np.array(labels, np.int64)
    order = rank_images(np.random.default_rng(0).integers(0, 256, (len(y), 32), np.uint8), 0)
    least = len(np.unique(y))
    small, large = sorted(data.draw(st.tuples(*[st.integers(least, len(y))] * 2)))
    parts = [take_first(y, order, n) for n in (small, large)]
    assert [len(part) for part in parts] == [small, large]
    assert set(parts[0]) <= set(parts[1])
    for label, n in zip(*np.unique(y, return_counts=True), strict=True):
        held = int((y[parts[1]] == label).sum())
        assert held >= 1
        assert held <= max(1, large / len(y) * n + 1)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_a_limit_as_large_as_a_share_holds_the_images_of_the_share(share: float) -> None:
    y = np.repeat([0, 1, 2], [50, 30, 7])
    order = rank_images(np.random.default_rng(1).integers(0, 256, (len(y), 32), np.uint8), 3)
    taken = take_share(y, order, share)
    np.testing.assert_array_equal(take_first(y, order, len(taken)), taken)


def test_a_limited_data_set_has_every_class_in_every_split_and_says_what_it_is(work: Path) -> None:
    manifest, notes = read("photos@12")
    assert sum(map(len, manifest.splits.values())) == 12
    assert {split: set(rows.labels.tolist()) for split, rows in manifest.splits.items()} == {
        split: {0, 1} for split in ("train", "val", "test")
    }
    assert "limited to 12 of 40 images" in notes
    assert (manifest.source, find_limit(manifest)) == ("photos@12", ("photos", "12"))
    assert list_paths(manifest) < list_paths(read("photos@50%")[0]) < list_paths(read("photos")[0])
    assert list_paths(manifest) != list_paths(read("photos@12", seed=1)[0])


def test_a_limit_that_leaves_out_nothing_is_the_whole(work: Path) -> None:
    for limit in ("40", "500", "100%"):
        manifest, notes = read(f"photos@{limit}")
        assert manifest.source == "photos"
        assert f"--limit {limit} leaves out none of 40 images" in notes


def test_what_a_limited_run_computed_is_part_of_the_whole_and_of_larger_limits(work: Path) -> None:
    assert extract(limit=10).outcome.decoded == 10
    assert extract(limit="50%").outcome.decoded == 10
    whole = extract()
    assert (whole.outcome.decoded, whole.outcome.images) == (20, 40)
    assert extract(limit=30).outcome.decoded == 0


def test_a_limited_data_set_is_found_by_its_name_and_never_for_the_whole(work: Path) -> None:
    extract(limit=12)
    assert fixgrid.open("features").holdings().manifest.source == "photos@12"
    line = r"no features of photos; the cache holds photos@12: run python cli.py extract --data photos first"
    with pytest.raises(CacheError, match=line):
        fixgrid.grid("photos")
    assert extract(None).extractions[0].manifest.source == "photos@12"
    extract()
    store = FeatureStore(work / "features")
    for name, n in (("photos", 40), ("photos@12", 12), (f"{work}/photos@12", 12), ("./photos", 40)):
        found = find_source(store, name)[0]
        assert found is not None
        assert len(list_paths(found)) == n
    assert find_source(store, "photos@13")[0] is None
    with pytest.raises(UsageError, match=r"more than one data set \(photos, photos@12\)"):
        fixgrid.grid()
    assert fixgrid.clean_cache() == []


def test_the_command_that_a_message_names_stays_within_the_limit(work: Path) -> None:
    extract(limit="40%")
    line = r"extract --data photos@40% --trunk nets.py:plain .*--views five"
    with pytest.raises(CacheError, match=line):
        fixgrid.export_features(view="five", out="five.csv")


def test_images_beyond_a_limit_are_not_new_and_those_within_may_change(work: Path) -> None:
    manifest = read("photos@12")[0]
    assert find_changes(manifest, Path("features")) == Changes()
    first, second, *_ = sorted(list_paths(manifest))
    os.remove(work / "photos" / os.fsdecode(first))
    (work / "photos" / os.fsdecode(second)).write_bytes(encode(draw_photo(24, 20, 999)))
    assert find_changes(manifest, Path("features")) == Changes(removed=1, edited=1)


def test_a_search_and_a_plan_keep_to_a_limit(work: Path) -> None:
    asked = {"trunk": "nets.py:plain", "res": 24, "engine": "inline", "limit": 20}
    (images,) = (item for item in fixgrid.plan("photos", **asked).items if item.what == "images")
    assert images.value == 20
    cells = fixgrid.search("photos", heads="mean", **asked).grid.cells
    assert sum(len(cell.row) for cell in cells) == len(read("photos@20")[0].splits["test"])


def test_loose_images_are_limited_as_they_are(work: Path) -> None:
    (work / "loose").mkdir()
    for i in range(8):
        (work / "loose" / f"{i}.png").write_bytes(encode(draw_photo(24, 20, i)))
    manifest, _ = read("loose@3")
    assert {split: len(rows) for split, rows in manifest.splits.items()} == {"test": 3}


@pytest.mark.parametrize("asked", ["0", "-1", "ten", "0%", "101%", "1.5", "", "10%%"])
def test_what_is_no_limit_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=r"found --limit .*; expected a number of images, as in 500, or a share"):
        read_limit(asked)


def test_a_limit_without_room_for_every_class_and_split_is_refused(work: Path) -> None:
    with pytest.raises(
        UsageError, match="found --limit 5, which is 5 of 40 images; expected 6 or more, one of each"
    ):
        read("photos@5")
    images = [Image(b"a", 0.5, "train"), Image(b"b", 0.7, "train"), Image(b"c", 1.0, "test")]
    with pytest.raises(UsageError, match="expected 3 or more"):
        choose_images(images, np.array([0.5, 0.7, 1.0]), np.zeros((3, 32), np.uint8), "1", seed=0)


def test_two_limits_are_refused(work: Path) -> None:
    said = type_in("plan", "--data", "photos@5", "--limit", "6", "--trunk", "nets.py:plain", code=2)
    assert "found --limit 6 with photos@5, which has a limit; expected one of them." in said


def test_a_folder_called_like_a_limit_is_a_folder(work: Path) -> None:
    write_photos(work / "run@2", 20)
    assert split_limit("run@2") == ("run@2", "")
    manifest = read("run@2")[0]
    assert (manifest.source, find_limit(manifest), len(list_paths(manifest))) == ("run@2", ("run@2", ""), 20)
    assert read("run@2@12")[0].source == "run@2@12"
    assert shorten_source("photos/@5") == "photos@5"


def test_a_limit_is_kept_out_of_a_trailing_slash(work: Path) -> None:
    watcher = SilentWatcher()
    assert extract("photos/", limit=12, watcher=watcher).extractions[0].manifest.source == "photos@12"
    assert "note: limited to 12 of 40 images" in watcher.notices

"""Kept heads: none takes another's place in silence, each knows its question, and all are listed."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entries import fill_entry, make_rows
from stub import SilentWatcher
from test_frozen import frozen  # noqa: F401 - a fixture

import fixgrid
from fixgrid.cache.errors import CacheError, DiskError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.heads.artifact import load_head
from fixgrid.heads.card import describe_trained
from fixgrid.keeping import find_head, format_heads

LOOK = {"interpolation": "bilinear", "std": ("1", "1", "1")}


def fill(
    cache: Path,
    source: str = "here/photos",
    seed: int = 0,
    classes: tuple[str, ...] = ("ant", "bee"),
    place: str = "",
) -> Manifest:
    """A cache with center views at 32 and 48 px of a data set: 20, 8 and 8 images."""
    store = FeatureStore(cache)
    splits = {
        split: make_rows(n, seed + i) for i, (split, n) in enumerate({"train": 20, "val": 8, "test": 8}.items())
    }
    manifest = Manifest(source, place or f"/{source}", classes, splits)
    write_manifest(store.folder / "data", manifest)
    for rows in splits.values():
        for res in (32, 48):
            fill_entry(store, rows, res=res, **LOOK)
    return manifest


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    fill(tmp_path / "c")
    return tmp_path / "c"


def fit(cache: Path, **asked: Any) -> tuple[str, list[str]]:
    """Name of the head's record, and what was said."""
    watcher = SilentWatcher()
    kept = fixgrid.fit_head(cache=cache, watcher=watcher, **{"heads": "mean", "pairs": "32:48", **asked})
    return kept.files[1].name, [line for line in watcher.notices if "note:" in line]


NAME = "photos-stub-32-48"


def test_the_same_question_replaces_its_own_head_without_a_word(cache: Path) -> None:
    assert fit(cache) == fit(cache) == (f"{NAME}.json", [])
    assert len(list((cache / "heads").iterdir())) == 2


@pytest.mark.parametrize(
    "other",
    [{"heads": "ridge"}, {"pairs": "32:48,48:48", "heads": "mean,ridge"}, {"refit": True},
     {"drop_duplicates": True}, {"gap": "standardize"}, {"mean_of": "features"}, {"strengths": "1e-2"}],
    ids=str,
)  # fmt: skip
def test_another_question_gets_a_name_of_its_own_and_a_notice(cache: Path, other: dict[str, Any]) -> None:
    fit(cache, pairs="48:48")
    fit(cache)
    before = {path: path.read_bytes() for path in (cache / "heads").iterdir()}
    name, said = fit(cache, **other)
    assert name not in (f"{NAME}.json", "photos-stub-48-48.json")
    assert any(name.removesuffix(".json") in line for line in said)
    assert fit(cache, **other)[0] == name
    assert {path: path.read_bytes() for path in before} == before


def test_two_data_sets_of_one_name_keep_their_heads(cache: Path) -> None:
    fill(cache, "there/photos", 7, ("dog", "elk"))
    names = [fit(cache, data=data)[0] for data in ("here/photos", "there/photos")]
    assert names[0] == f"{NAME}.json"
    assert [load_head(cache / "heads" / name).classes for name in names] == [("ant", "bee"), ("dog", "elk")]


@pytest.mark.parametrize(
    "place", ["blur/labels.csv", "blur/train.csv", "blur/Metadata.jsonl", "s3://b/blur/test.parquet"]
)
def test_a_head_of_a_table_whose_name_says_nothing_is_called_after_its_folder(tmp_path: Path, place: str) -> None:
    cache, name = tmp_path / "c", os.path.basename(place)
    for i, folder in enumerate((place, place.replace("blur", "noise"))):
        fill(cache, folder, 7 * i, place=os.path.dirname(folder))
        assert fit(cache, data=folder) == (f"{('blur', 'noise')[i]}-stub-32-48.json", [])
    before = cache / "heads" / f"{name}-stub-32-48"
    for end in (".json", ".safetensors"):  # as it was called
        (cache / "heads" / f"blur-stub-32-48{end}").rename(before.with_name(before.name + end))
    assert fit(cache, data=place) == (f"{before.name}.json", [])
    assert fit(cache, data=place, heads="ridge") == ("blur-stub-32-48.json", [])


def test_a_head_of_another_table_is_called_after_it(tmp_path: Path) -> None:
    for i, (source, place) in enumerate((("x/birds.csv", "/x"), ("labels", "/labels"), ("labels.csv", "/"))):
        fill(tmp_path / "c", source, 7 * i, place=place)
        name, _ = fit(tmp_path / "c", data=source)
        assert name == f"{os.path.basename(source)}-stub-32-48.json"


def test_other_labels_of_the_same_images_are_another_question(cache: Path) -> None:
    manifest = fill(cache)
    fit(cache)
    swapped = {split: replace(rows, labels=1 - rows.labels) for split, rows in manifest.splits.items()}
    write_manifest(cache / "v1" / "data", replace(manifest, splits=swapped))
    assert fit(cache)[0] != f"{NAME}.json"


def test_a_head_that_out_replaces_is_named(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "best"
    assert fit(cache, out=out)[1] == fit(cache, out=out)[1] == []
    [said] = fit(cache, out=out, heads="ridge")[1]
    assert f"replaced {out}.json, which held the head of here/photos, stub, 32:48 px, 20" in said
    out.with_name("best.json").write_text("mine")
    [said] = fit(cache, out=out, heads="ridge")[1]
    assert "which held no head that can be read" in said


def test_a_head_says_which_images_it_was_trained_on(cache: Path) -> None:
    store, manifest = FeatureStore(cache), fill(cache)
    train, test = manifest.splits["train"], manifest.splits["test"]
    content = np.concatenate([test.sha256[:3], train.sha256[3:]])  # three training images are test images too
    leaky = Rows(train.paths, train.sizes, content, train.labels)
    write_manifest(store.folder / "data", replace(manifest, splits={**manifest.splits, "train": leaky}))
    for res in (32, 48):
        fill_entry(store, leaky, res=res, **LOOK)
    name, _ = fit(cache, refit=True, drop_duplicates=True)
    saved = load_head(cache / "heads" / name)
    assert saved.trained_on == {
        "train": {"images": 17, "rows_sha256": leaky.take(np.arange(3, 20)).digest, "dropped": 3},
        "val": {"images": 8, "rows_sha256": manifest.splits["val"].digest},
    }
    assert describe_trained(saved) == "17 images of train and 8 of val, 3 dropped that val or test holds as well"
    assert (saved.asked["refit"], saved.asked["drop_duplicates"], saved.asked["pairs"]) == (True, True, ["32:48"])
    assert describe_trained(load_head(cache / "heads" / fit(cache)[0])) == "20 images of train"


@pytest.mark.parametrize("data", ["d" * 240, "\u732b" * 80], ids=["ascii", "cjk"])
def test_a_long_name_is_shortened_and_stays_unique(tmp_path: Path, data: str) -> None:
    cache = tmp_path / "c"
    for i, end in enumerate(("a", "b")):
        fill(cache, f"{i}/{data}{end}", 7 * i)
    names = [fit(cache, data=f"{i}/{data}{end}")[0] for i, end in enumerate(("a", "b"))]
    assert len(set(names)) == 2
    assert all(name.startswith(data[0]) and "-stub-32-48-" in name for name in names)
    assert max(len(os.fsencode(name)) for name in names) < 240
    assert fit(cache, data=f"0/{data}a")[0] == names[0]


def test_a_cache_that_may_not_be_written_names_out(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def refuse(source: Any, target: Any) -> None:
        if str(target).startswith(str(cache)):
            raise OSError(errno.EROFS, "Read-only file system")
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DiskError, match=r"Read-only file system.*get leave .*--out FILE"):
        fit(cache)
    assert fit(cache, out=tmp_path / "mine")[0] == "mine.json"


def test_every_kept_head_is_listed_and_what_is_none_is_named(cache: Path) -> None:
    fit(cache)
    fit(cache, heads="ridge", refit=True)
    (cache / "heads" / "broken.json").write_text("{")
    watcher = SilentWatcher()
    found = fixgrid.list_heads(cache, watcher=watcher)
    assert [(one["data"], one["trunk"], one["pair"], one["trained on"]) for one in found] == [
        ("here/photos", "stub", "32:48", 20),
        ("here/photos", "stub", "32:48", 28),
    ]
    assert {one["family"] for one in found} == {"mean", "ridge"}
    assert len(watcher.notices) == 1
    assert "broken.json is passed over" in watcher.notices[0]
    assert json.loads(format_heads(found, "json")) == found
    long = [{**found[0], "name": "x" * 150, "data": "photos/" * 20, "pair": "224:128+224+320"}]
    for records in (found, long, []):
        assert max(map(len, format_heads(records).splitlines())) <= 80
        assert all(format_heads(records, style) or not records for style in ("md", "csv"))


def test_heads_of_an_earlier_version_are_listed(frozen: Path) -> None:  # noqa: F811
    found = fixgrid.list_heads(frozen / "features")
    assert [one["name"] for one in found] == ["images-efficientnet_lite0-48-48", "several"]
    assert {one["trained on"] for one in found} == {None}


def test_a_head_named_without_a_folder_is_the_one_here_or_else_the_caches(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cache)
    fit(cache)
    monkeypatch.chdir(tmp_path)
    watcher = SilentWatcher()
    find = partial(find_head, cache=cache, watcher=watcher)
    for name in (NAME, f"{NAME}.json"):
        assert load_head(find(name)).keys
        assert find(name).parent == cache / "heads"
    assert find(f"other/{NAME}") == Path(f"other/{NAME}")
    assert find(cache / "heads" / NAME) == cache / "heads" / NAME
    with pytest.raises(CacheError, match=rf"no head none here or in {cache}/heads; expected .*heads ls"):
        find("none")
    monkeypatch.chdir(cache / "heads")
    assert find(NAME) == Path(NAME)
    assert watcher.notices == []
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{NAME}.json").write_text("mine")
    assert find(NAME) == Path(NAME)
    (said,) = watcher.notices
    assert said == f"note: {NAME} is the one here, not that of {cache}/heads: give a path to take either"


def test_names_of_heads_are_shown_whole_where_they_fit(cache: Path) -> None:
    fit(cache)
    [one] = fixgrid.list_heads(cache)
    one |= {"name": "dogs-efficientnet_lite0-224-224", "data": "/a/long/way/to/dogs", "trunk": "efficientnet_lite0"}
    said = format_heads([one])
    assert "\ndogs-efficientnet_lite0-224-224  " in said
    assert "Not shown for want of room: data, trunk, when" in said
    one["name"] = "dogs-lite0-224-224-3f"
    assert "Not shown for want of room: trunk, when;" in format_heads([one])

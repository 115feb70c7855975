"""Images without labels: features and all that needs no label of them, one line for all that does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from stub import SilentWatcher
from test_hints import INLINE, follow, type_in
from test_script import CODE, LAYERS
from zoo import draw_photo, encode

import fixgrid
from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.changes import Changes, find_changes


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten loose images, one of them twice, seen at 24 px."""
    folder = tmp_path_factory.mktemp("loose")
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)
    (folder / "data").mkdir()
    for i in range(9):
        (folder / "data" / f"{i}.png").write_bytes(encode(draw_photo(30, 26, i)))
    shutil.copy(folder / "data/3.png", folder / "data/again.png")
    fixgrid.extract(folder / "data", **ask(folder))
    return folder


def ask(work: Path, **more: object) -> dict[str, object]:
    return {"trunk": f"{work}/nets.py:plain", "res": 24, "cache": work / "c", "engine": "inline", **more}


def test_a_loose_folder_gives_features_in_one_split_and_no_labels(work: Path) -> None:
    table = fixgrid.open(work / "c").load("test", 24)
    assert len(table.paths) == len(table.X) == 10
    assert (set(table.y.tolist()), table.classes) == ({-1}, ())
    held = fixgrid.open(work / "c").holdings()
    assert (held.manifest.task, list(held.entries)) == ("unlabelled", [("test", "center", 24)])
    assert [(record["data"], record["split"]) for record in fixgrid.list_cache(work / "c")] == [
        (f"{work}/data", "test")
    ]


def test_copies_are_found_among_images_without_labels(work: Path) -> None:
    found = fixgrid.duplicates(cache=work / "c")
    assert [(twin.first, twin.second) for twin in found.twins if twin.how == "bytes"] == [
        (("test", 3), ("test", 9))
    ]
    assert not any(twin.conflict for twin in found.twins)


def test_features_of_images_without_labels_are_exported(work: Path) -> None:
    done = fixgrid.export_features(cache=work / "c", out=work / "f.csv")
    assert (done.lines, done.images) == (10, 10)


NEEDS = {
    "grid": lambda work: fixgrid.grid(cache=work / "c"),
    "fit_head": lambda work: fixgrid.fit_head(cache=work / "c"),
    "curve": lambda work: fixgrid.curve(cache=work / "c"),
    "cross_validate": lambda work: fixgrid.cross_validate(cache=work / "c"),
    "batchnorm": lambda work: fixgrid.grid(cache=work / "c", gap="batchnorm", pairs="24:24"),
}


@pytest.mark.parametrize("name", list(NEEDS))
def test_what_needs_labels_says_so_and_what_to_type(work: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"found images without labels, .*; expected classes or numbers: extract a"):
        NEEDS[name](work)


def test_a_search_without_labels_runs_no_trunk(work: Path) -> None:
    with pytest.raises(DataError, match=r"found no labels in .*data, expected class folders or a table"):
        fixgrid.search(work / "data", **ask(work, cache=work / "none"))
    assert not FeatureStore(work / "none").entries()


def test_nothing_is_seen_as_training_images_are(work: Path) -> None:
    plan = fixgrid.plan(work / "data", train_views=3, views="five", **ask(work))
    (one,) = plan.extractions
    assert {split: [view.kind for view in views] for split, views in one.views.items()} == {
        "test": ["center", "five"]
    }
    assert {item.what for item in plan.items}.isdisjoint({"grid by training"})


@pytest.mark.parametrize(
    ("asked", "error", "line"),
    [
        ({"views": "val_train"}, UsageError, "found the view val_train of images none of which is for training"),
        ({"recalibrate": True}, UsageError, "found no training images in .*data, .*--recalibrate"),
    ],
)
def test_what_needs_training_images_is_refused(
    work: Path, asked: dict[str, object], error: type, line: str
) -> None:
    with pytest.raises(error, match=line):
        fixgrid.plan(work / "data", **ask(work, **asked))


def test_a_plan_times_images_without_labels(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixgrid.embed.prospect.MIN_IMAGES", 1)
    monkeypatch.setattr("fixgrid.embed.speed.MIN_IMAGES", 1)
    plan = fixgrid.plan(work / "data", calibrate=True, **ask(work, cache=tmp_path / "c"))
    assert "unknown" not in [item.value for item in plan.items if item.what == "time left"]


def test_the_command_that_a_message_names_brings_what_is_lacking(work: Path, monkeypatch) -> None:
    monkeypatch.chdir(work)
    type_in("extract", "--data", "data", "--trunk", "nets.py:plain", "--res", "24", "--cache", "hints", *INLINE)
    first = ("export-features", "--view", "five", "--out", "five.csv")
    assert follow(work / "hints", *first) == {("test", "five", 24)}


def test_a_changed_folder_is_noticed_and_named(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "data", tmp_path / "data")
    fixgrid.extract(tmp_path / "data", **ask(work, cache=tmp_path / "c"))
    manifest = fixgrid.open(tmp_path / "c").holdings().manifest
    assert find_changes(manifest, tmp_path / "c") == Changes()
    os.remove(tmp_path / "data/0.png")
    watcher = SilentWatcher()
    fixgrid.duplicates(cache=tmp_path / "c", watcher=watcher)
    assert "has changed since it was extracted (1 gone)" in watcher.notices[0]


def test_a_head_is_scored_by_labels_alone(work: Path, tmp_path: Path) -> None:
    for i in range(24):
        file = tmp_path / "data" / ("train", "val", "test")[i % 3] / "ab"[i // 3 % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(draw_photo(30, 26, 50 + i)))
    asked = ask(work, cache=tmp_path / "c")
    fixgrid.extract(tmp_path / "data", **asked)
    fixgrid.fit_head(cache=tmp_path / "c", heads="mean", out=tmp_path / "head")
    more = {"trunk": asked["trunk"], "cache": tmp_path / "c", "engine": "inline"}
    with pytest.raises(DataError, match=r"found no labels in .*data, expected some .*; predict answers without"):
        fixgrid.evaluate(tmp_path / "head", work / "data", **more)
    assert len(fixgrid.predict(tmp_path / "head", work / "data", **more).predictions) == 10


def test_nothing_of_images_without_labels_is_garbage(work: Path) -> None:
    assert fixgrid.clean_cache(work / "c") == []

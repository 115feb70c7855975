"""Anybody's labelled images are scored, none dealt, and it is said which, why, and which the head has met."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from stub import SilentWatcher
from test_script import CODE, LAYERS
from zoo import draw_photo, encode, write_photos, write_splits

import fixgrid
from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.rowsfile import list_manifests
from fixgrid.cache.store import FeatureStore
from fixgrid.evaluating import Evaluated
from fixgrid.gathering import choose_splits, say_scored
from fixgrid.heads.artifact import load_head
from fixgrid.heads.learnt import recall_learnt

TRUNK, QUICK = "nets.py:plain", {"engine": "inline"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of two classes without splits, of which a head was fitted, and others as people have them."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)
    write_photos(folder / "data", 40)
    fixgrid.extract(folder / "data", trunk=f"{folder}/{TRUNK}", res=24, cache=folder / "c", train_views=1, **QUICK)
    fixgrid.fit_head(cache=folder / "c", heads="mean", out=folder / "head")
    write_photos(folder / "new", 10, seed=7)
    write_splits(folder / "split")
    for name in ("train", "val"):
        shutil.rmtree(folder / "split" / name / "a")  # nothing could be learnt of this
    shutil.copytree(folder / "new/a", folder / "one/a")
    shutil.copytree(folder / "new", folder / "tested/test")
    return folder


def score(work: Path, data: str, cache: str = "c", **asked: object) -> Evaluated:
    asked = {"trunk": f"{work}/{TRUNK}", "cache": work / cache, **QUICK, **asked}
    return fixgrid.evaluate(work / "head", work / data, **asked)


def test_the_heads_own_data_are_scored_on_their_test_split(work: Path) -> None:
    found = score(work, "data")
    kept = load_head(work / "head")
    assert found.figures.n == kept.data["splits"]["test"]["images"] == 6
    assert found.figures.top1.value == kept.figures["test"]["value"]
    assert found.gathered.why == (
        "scored: 6 of 40 images, the split test of the head's own data; --of all scores all"
    )
    assert found.warning == ""


def test_the_heads_own_data_are_known_without_the_record_of_a_cache(work: Path, tmp_path: Path) -> None:
    assert score(work, "data", cache=str(tmp_path)).figures.n == 6
    assert score(work, "new", cache=str(tmp_path)).figures.n == 10


@pytest.mark.parametrize(
    ("data", "n"), [("new", 10), ("one", 5), ("tested", 10), ("split", 12), ("all.csv", 10), ("part.csv", 4)]
)
def test_other_data_are_scored_whole_or_on_the_test_split_that_they_come_with(
    work: Path, data: str, n: int, tmp_path: Path
) -> None:
    lines = [f"new/{name}/{file.name},{name}" for name in "ab" for file in sorted((work / "new" / name).iterdir())]
    (work / "all.csv").write_text("\n".join(["path,label", *lines]))
    dealt = [f"{line},{'test' if i % 3 == 0 else 'train'}" for i, line in enumerate(lines)]
    (work / "part.csv").write_text("\n".join(["path,label,split", *dealt]))
    before = {*(work / "c").rglob("splits/*")}
    found = score(work, data)
    assert found.figures.n == n
    assert {*(work / "c").rglob("splits/*")} == before
    assert ("that they come with" in found.gathered.why) == (data in ("split", "part.csv"))


def test_splits_are_asked_for_by_name_or_all_together(work: Path) -> None:
    assert score(work, "split", split="val").figures.n == 6
    whole = score(work, "split", split="all")
    assert (whole.figures.n, whole.gathered.splits) == (24, ("train", "val", "test"))
    assert {one.path.split(b"/")[0] for one in whole.mistakes} <= {b"train", b"val", b"test"}
    with pytest.raises(UsageError, match="found --of 'train'; expected one of test, all"):
        score(work, "tested", split="train")
    for split in ("val", "test"):
        with pytest.raises(UsageError, match=f"found --of '{split}' .* come without splits; .* leave --of out"):
            score(work, "new", split=split)
    assert [score(work, name, split=of).figures.n for name, of in (("new", "all"), ("tested", "test"))] == [10, 10]


def test_each_mistake_names_a_file_of_its_class(work: Path) -> None:
    found = score(work, "split", split="all")
    assert found.mistakes
    assert all(one.path.split(b"/")[1].decode() == one.truth != one.answer for one in found.mistakes)
    assert len(found.mistakes) == round(24 * (1 - found.figures.top1.value))
    record = json.loads(found.format("json", mistakes=1))
    assert [one["file"].encode() for one in record["mistakes"]] == [one.path for one in found.mistakes]


def test_images_that_the_head_has_met_are_counted_by_their_contents(work: Path, tmp_path: Path) -> None:
    whole = score(work, "data", split="all")
    assert (whole.gathered.met.trained, whole.gathered.met.chosen) == (28, 6)
    shutil.copytree(work / "new", work / "mixed")
    shutil.copy(work / "data/a/0000.png", work / "mixed/a/renamed.png")
    shutil.copy(work / "data/b/0001.png", work / "mixed/a/mislabelled.png")
    found = score(work, "mixed").gathered.met
    kept = {row: split for split in ("train", "val", "test") for row in list_paths(work, split)}
    expected = [kept[path] for path in ("a/0000.png", "b/0001.png")]
    assert (found.trained, found.chosen) == (expected.count("train"), expected.count("val"))
    assert score(work, "new").gathered.met.trained == 0
    assert score(work, "mixed", cache=str(tmp_path)).gathered.met is None


def list_paths(work: Path, split: str) -> list[str]:
    return [os.fsdecode(path) for path in fixgrid.open(work / "c").holdings().manifest.splits[split].paths]


def test_a_leak_is_said_with_the_numbers(work: Path) -> None:
    assert score(work, "data", split="train").warning == (
        "Leak: the head was trained on 28 of these 28 images: others may be harder for it."
    )
    said = score(work, "data", split="all").warning
    assert said.startswith("Leak: the head was trained on 28 and chosen on 6 of these 40 images, such as ")


def test_classes_without_an_image_are_listed_and_said(work: Path) -> None:
    watcher = SilentWatcher()
    found = score(work, "one", watcher=watcher)
    assert [(row.name, row.n) for row in found.figures.per_class] == [("a", 5), ("b", 0)]
    assert any("images of 1 of the head's 2 classes" in line for line in watcher.notices)
    assert "b      0" in found.format(per_class=True)
    assert found.figures["class_mean"].value == found.figures.top1.value


def test_a_class_that_the_head_does_not_know_is_refused_with_what_may_be_meant_or_left_out(work: Path) -> None:
    shutil.copytree(work / "new", work / "odd")
    (work / "odd/b").rename(work / "odd/B")
    with pytest.raises(DataError) as refused:
        score(work, "odd")
    assert str(refused.value) == (
        f"found a class in {work}/odd that the head does not know: B (did you mean b?); expected some of its 2, by "
        "name: rename them, or leave out their 5 of 10 images with --skip-unknown."
    )
    found = score(work, "odd", skip_unknown=True)
    assert (found.figures.n, found.gathered.unknown) == (5, 5)
    assert found.gathered.why.endswith("less 5 of classes that the head does not know")
    (work / "odd/a").rename(work / "odd/C\x1b")
    with pytest.raises(DataError, match=r"2 classes in .*: B \(did you mean b\?\), C\\x1b; .* rename them\.$"):
        score(work, "odd")
    with pytest.raises(DataError, match="found no image of a class that the head knows"):
        score(work, "odd", skip_unknown=True)


def test_images_without_labels_are_for_predict(work: Path) -> None:
    with pytest.raises(DataError, match=r"found no labels in .*; predict answers without"):
        score(work, "new/a")


def test_unreadable_images_are_counted_and_no_part_of_the_figures(work: Path) -> None:
    shutil.copytree(work / "new", work / "torn")
    (work / "torn/a/torn.png").write_bytes(encode(draw_photo(24, 20, 1))[:60])
    found = score(work, "torn")
    assert (found.figures.n, len(found.outcome.bad)) == (10, 1)


def test_which_images_are_scored_is_decided_by_the_splits_alone() -> None:
    assert choose_splits(("train", "val", "test"), None) == ("test",)
    assert choose_splits(("train", "val"), None) == ("train", "val")
    assert choose_splits(("test",), "all") == ("test",)
    assert say_scored(3, 9, ("val",), own=True, asked=True) == "scored: 3 of 9 images, the split val"
    assert say_scored(1500, 1500, ("train", "test"), own=False, asked=False) == "scored: all 1,500 images"


def test_a_caches_records_are_read_once_for_all_splits(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Path] = []
    monkeypatch.setattr(
        "fixgrid.heads.learnt.list_manifests", lambda folder: listed.append(folder) or list_manifests(folder)
    )
    learnt = recall_learnt(load_head(work / "head"), FeatureStore(work / "c"))
    assert learnt is not None
    assert (len(learnt.trained), len(learnt.chosen)) == (28, 6)
    assert len(listed) == 1

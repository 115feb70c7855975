"""Names of folders are read as splits, folds or classes where they can mean one thing, else refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from zoo import touch

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.layouts.layout import Layout, judge_layout
from fixgrid.embed.sources.layouts.tree import grow_tree
from fixgrid.embed.sources.walk import walk_images


def judge(folder: Path, *names: str) -> Layout:
    touch(folder, *names)
    return judge_layout(grow_tree(walk_images(os.path.realpath(os.fsencode(folder)))), folder)


def parts(layout: Layout) -> set[tuple[str, str]]:
    return {(place.label, place.split) for place in layout.places}


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("Training", "Testing"),
        ("trn", "tst"),
        ("train", "eval"),
        ("seg_train", "seg_test"),
        ("train_set", "test_set"),
        ("TrainSet", "TestSet"),
        ("trainset", "testset"),
        ("train_images", "test_images"),
        ("images_train", "images_test"),
        ("01_train", "02_test"),
        ("train2017", "test2017"),
        ("Train Set", "Test Set"),
        ("my-training-data", "my-test-data"),
    ],
)
def test_names_that_say_split_are_read_as_splits_and_said_so(tmp_path, names):
    train, test = names
    layout = judge(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in "ab"))
    assert parts(layout) == {("a", "train"), ("b", "train"), ("a", "test"), ("b", "test")}
    if names != ("train", "test"):
        assert layout.notes == [f"read {train}/ as train, {test}/ as test"]


@pytest.mark.parametrize("name", ["dev", "valid", "Validation", "val_set", "VALID"])
def test_val_has_several_words(tmp_path, name):
    layout = judge(tmp_path, "train/a/1.png", "train/b/1.png", f"{name}/a/1.png")
    assert ("a", "val") in parts(layout)


def test_a_split_inside_itself_and_images_inside_a_split_are_wrappers(tmp_path):
    layout = judge(tmp_path, "my_train/my_train/a/1.png", "my_train/my_train/b/1.png", "my_test/images/a/2.png")
    assert parts(layout) == {("a", "train"), ("b", "train"), ("a", "test")}
    assert layout.notes == ["read my_train/my_train/ as train, my_test/images/ as test"]


@pytest.mark.parametrize("name", ["seg_pred/seg_pred", "prediction", "unlabeled", "test/unknown", "test/images"])
def test_images_to_be_judged_are_passed_over_and_counted(tmp_path, name):
    layout = judge(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", f"{name}/1.png", f"{name}/2.png")
    assert parts(layout) == {("a", "train"), ("b", "train"), ("a", "test")}
    assert any("ignored 2 image(s) in" in note and "say no class" in note for note in layout.notes)


@pytest.mark.parametrize("name", ["annotations/trimaps", "masks", "labels", "Thumbnails"])
def test_what_accompanies_images_is_no_split_and_no_class(tmp_path, name):
    layout = judge(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", f"{name}/1.png")
    assert {label for label, _ in parts(layout)} == {"a", "b"}
    assert any("accompanies images" in note for note in layout.notes)


def test_annotations_beside_classes_are_none_but_masks_beside_gloves_are_one(tmp_path):
    assert parts(judge(tmp_path / "one", "a/1.png", "b/1.png", "annotations/1.png")) == {("a", ""), ("b", "")}
    assert parts(judge(tmp_path / "two", "masks/1.png", "gloves/1.png")) == {("masks", ""), ("gloves", "")}


def test_classes_that_hold_splits_are_read_so(tmp_path):
    layout = judge(tmp_path, "a/train/1.png", "a/Test/2.png", "b/train/3.png", "b/Test/4.png")
    assert parts(layout) == {("a", "train"), ("b", "train"), ("a", "test"), ("b", "test")}
    assert layout.notes == ["read a/Test/, a/train/ and the like as splits of a class"]


@pytest.mark.parametrize(
    "names",
    [
        ("train", "bus", "tram"),
        ("express train", "freight train"),
        ("contest", "trainer"),
        ("fold", "unfold"),
        ("1", "2"),
        ("training shoes", "gloves"),
    ],
)
def test_classes_that_are_called_like_splits_stay_classes(tmp_path, names):
    layout = judge(tmp_path, *(f"{name}/1.png" for name in names))
    assert parts(layout) == {(name, "") for name in names}
    assert layout.notes == []


@pytest.mark.parametrize("name", ["fold_{}", "Fold {}", "fold{}", "cv_{}", "split-{}", "KFold_{}"])
def test_folds_are_groups_of_which_the_last_two_are_val_and_test(tmp_path, name):
    folds = [name.format(number) for number in (1, 2, 9, 10)]
    layout = judge(tmp_path, *(f"{fold}/{label}/1.png" for fold in folds for label in "ab"))
    assert {(place.group, place.split) for place in layout.places} == set(
        zip(folds, ("train", "train", "val", "test"), strict=True)
    )
    assert parts(layout) == {(label, split) for label in "ab" for split in ("train", "val", "test")}
    [note] = layout.notes
    assert f"{folds[2]} is val, {folds[3]} is test" in note


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train/a/1.png", "val/a/2.png", "cats/3.png"],
            r"split folders \(train/, val/\) and .* folders \(cats/\)",
        ),
        (
            ["train/1.png", "test/2.png", "bus/3.png"],
            r"split folders \(test/, train/\) and .* folders \(bus/\)",
        ),
        (["my_train/a/1.png", "my_test/a/2.png", "more/3.png"], r"split folders .* class folders \(more/\)"),
        (["train/a/1.png", "val/a/2.png", "valid/a/3.png"], r"found 2 folders for val in .* \(val/, valid/\)"),
        (["Train/a/1.png", "train/a/2.png"], "found 2 folders for train"),
        (["cat_train/1.png", "cat_test/2.png", "dog_train/3.png", "dog_test/3.png"], "found 2 folders for"),
        (
            ["my_train/a/1.png", "my_test/b/2.png"],
            r"my_test/, my_train/ .* like splits, but without common",
        ),
        (["train_x/1.png", "test_x/2.png"], "called like splits, but without common class folders"),
        (["train/1.png", "test/a/2.png"], "found class folders in test/ but none in train/"),
        (["a/train/1.png", "a/test/2.png", "b/3.png"], r"split folders in a/ of .* beside them in b/"),
        (["a/train/1.png", "a/test/2.png", "a/3.png", "b/train/3.png"], r"beside them in a/"),
        (
            ["x/train/a/1.png", "x/test/a/2.png", "y/train/a/3.png"],
            "splits with folders inside them .* --data .*/x/",
        ),
        (["fold1/a/1.png", "fold2/a/2.png"], r"found 2 folds \(fold1/, fold2/\) .* too few .* --data .*/fold1/"),
        (["fold1/a/1.png", "fold2/a/2.png", "test/a/3.png"], r"found folds \(fold1/, fold2/\) beside test/"),
        (["fold1/train/a/1.png", "fold1/test/a/1.png", "fold2/train/a/2.png"], "folds with splits of their own"),
        (["fold1/1.png", "fold2/2.png", "fold3/3.png"], "folds .* without class folders"),
        (["train/fold1/a/1.png", "train/fold2/a/1.png"], r"folds inside splits \(train/fold1/, train/fold2/\)"),
        (["part_1/a/1.png", "part_2/a/2.png"], r"the same folders inside part_1/, part_2/ .* --data .*/part_1/"),
    ],
)
def test_what_can_mean_several_things_is_refused_by_the_names_of_the_folders(tmp_path, names, message):
    with pytest.raises(DataError, match=message):
        judge(tmp_path, *names)

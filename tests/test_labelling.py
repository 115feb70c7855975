"""What images are labelled with: arrays by task, strata, and what no head can be fitted on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixgrid.cache.errors import CacheError, DataError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import read_manifest_record, write_manifest
from fixgrid.embed.labelling import encode_groups, encode_labels, list_classes, name_strata
from fixgrid.embed.manifest import check_images, fill_splits
from fixgrid.embed.sources.source import Image, Label, Listing


def make_rows(labels: np.ndarray, groups: np.ndarray | None = None) -> Rows:
    n = len(labels)
    paths = tuple(b"%03d.png" % i for i in range(n))
    digests = np.arange(32 * n, dtype=np.uint8).reshape(n, 32)
    return Rows(paths, np.full(n, 9, np.int64), digests, labels, groups)


def list_images(labels: list[Label], groups: list[str] | None = None, split: str = "") -> list[Image]:
    return [Image(b"%03d.png" % i, label, split, groups[i] if groups else "") for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("task", "classes", "labels", "named"),
    [
        ("multiclass", ("a", "b"), [1, 0, 1], ["b", "a", "b"]),
        ("ordinal", ("low", "high"), [0, 1, 0], ["low", "high", "low"]),
        ("multilabel", ("a", "b"), [[True, True], [False, False], [False, True]], [("a", "b"), (), ("b",)]),
        ("regression", ("size",), [0.1, -3.0, 1e-9], [0.1, -3.0, 1e-9]),
        ("unlabelled", (), [-1, -1, -1], ["", "", ""]),
    ],
)
def test_labels_of_every_task_are_recorded_and_read_again(tmp_path, task, classes, labels, named):
    rows = make_rows(np.array(labels), np.array([5, 5, 7]))
    manifest = Manifest("data.csv", str(tmp_path), classes, {"train": rows}, task=task)
    digest = write_manifest(tmp_path, manifest)
    again = read_manifest_record(tmp_path / digest)
    assert again.task == task
    assert again.classes == classes
    assert again.splits["train"].labels.tolist() == labels
    assert again.splits["train"].groups.tolist() == [5, 5, 7]
    assert again.splits["train"].labels.dtype == rows.labels.dtype
    assert again.name_labels("train") == named
    if task != "unlabelled":
        assert encode_labels(named, classes, task).tolist() == labels


def test_a_task_or_groups_of_its_own_make_another_data_set_of_the_same_rows(tmp_path):
    rows = make_rows(np.array([0, 1, 0]))
    plain = Manifest("d", str(tmp_path), ("a", "b"), {"train": rows})
    others = [
        replace(plain, task="ordinal"),
        replace(plain, splits={"train": replace(rows, groups=np.array([0, 0, 1]))}),
    ]
    assert len({write_manifest(tmp_path, one) for one in (plain, *others)}) == 3


def test_a_record_whose_task_was_edited_is_damaged(tmp_path: Path):
    rows = make_rows(np.array([0, 1, 0]))
    digest = write_manifest(tmp_path, Manifest("d", str(tmp_path), ("a", "b"), {"train": rows}, task="ordinal"))
    file = tmp_path / digest / "data.json"
    file.write_text(file.read_text().replace("ordinal", "multiclass"))
    with pytest.raises(CacheError, match="damaged record"):
        read_manifest_record(tmp_path / digest)


def test_classes_are_sorted_unless_the_source_gives_their_order():
    images = list_images([("b", "a"), (), ("c",)])
    assert list_classes(Listing(b"/", images, task="multilabel")) == ("a", "b", "c")
    assert list_classes(Listing(b"/", list_images(["x", "y"]), (), ("y", "x"), "ordinal")) == ("y", "x")
    assert list_classes(Listing(b"/", list_images([1.0]), task="regression")) == ("value",)


def test_an_image_of_several_classes_is_dealt_by_its_rarest():
    images = list_images([("a",), ("a", "b"), ("a", "b", "c"), (), ("a",)])
    assert list(name_strata(images, "multilabel").values()) == ["0", "1", "2", "3", "0"]


def test_numbers_are_dealt_by_tenths():
    strata = name_strata(list_images([float(i) for i in range(100)]), "regression")
    assert len(set(strata.values())) == 10
    assert all(list(strata.values()).count(stratum) == 10 for stratum in strata.values())


def test_images_of_no_group_are_groups_by_themselves():
    assert encode_groups(list_images(["a"] * 4)) is None
    groups = encode_groups(list_images(["a"] * 5, ["v", "", "u", "v", ""]))
    assert groups is not None
    assert groups[0] == groups[3]
    assert len(set(groups.tolist())) == 4


def test_images_without_labels_are_one_split_unless_they_give_some(tmp_path):
    listing = Listing(b"/", list_images([""] * 3), task="unlabelled")
    assert {image.split for image in fill_splits(listing, seed=0, folder=tmp_path)[0]} == {"test"}
    given = Listing(b"/", list_images([""] * 3, split="train"), task="unlabelled")
    assert {image.split for image in fill_splits(given, seed=0, folder=tmp_path)[0]} == {"train"}


@pytest.mark.parametrize(
    ("task", "labels", "words"),
    [
        ("regression", [2.0, 2.0, 3.0, 3.0], "found one value of size"),
        ("multilabel", [("a",), ("a",), ("b",), ("b",)], "no training image of 1 class"),
        ("multilabel", [("a",), (), ("a",), ("a",)], "no image of 1 class.* such as b; .*--label-col"),
        ("multilabel", [("a", "b"), ("a",), ("b",), ("b",)], "found a on every training image"),
    ],
)
def test_labels_that_no_head_can_learn_are_refused(task, labels, words):
    images = [
        image._replace(split=split)
        for image, split in zip(list_images(labels), ("train", "train", "val", "test"), strict=True)
    ]
    classes = ("size",) if task == "regression" else ("a", "b")
    with pytest.raises(DataError, match=words):
        check_images(images, classes, "data.csv", task=task)


def test_a_given_split_that_parts_a_group_is_refused_by_name():
    images = [
        Image(b"1", "a", "train", "p"),
        Image(b"2", "b", "train", "q"),
        Image(b"3", "a", "val", "r"),
        Image(b"4", "a", "test", "p"),
    ]
    with pytest.raises(DataError, match=r"1 of 3 groups in several splits of .*, such as p in train and test"):
        check_images(images, ("a", "b"), "data.csv")

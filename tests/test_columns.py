"""Columns mean what people call them, or what the user says; two of one meaning are never chosen between."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.sources.reading import Reading
from fixgrid.embed.sources.tables.columns import Columns, find_columns
from fixgrid.embed.sources.tables.table import Table


def find(names: str, *rows: str, **said: str) -> Columns:
    cells = [tuple(row.split(",")) for row in rows or [",".join("x" for _ in names.split(","))]]
    return find_columns(Table(Path("t.csv"), tuple(names.split(",")), cells, [2] * len(cells)), Reading(**said))


IMAGES = (
    "path Image image_path img IMG-path filename file_name filepath file id image_id id_code name images imgname"
)
LABELS = "label Class category target breed species y diagnosis class_name label_name tags"


@pytest.mark.parametrize("name", IMAGES.split())
def test_images_are_found_by_their_common_names(name: str) -> None:
    assert find(f"width,{name},label").image == 1


@pytest.mark.parametrize("name", LABELS.split())
def test_labels_are_found_by_their_common_names(name: str) -> None:
    assert find(f"path,{name},width").labels == (1,)


@pytest.mark.parametrize("name", ["group", "patient_id", "Patient", "subject", "slide", "video", "clip", "session"])
def test_groups_are_found_by_their_common_names(name: str) -> None:
    assert find(f"path,label,{name}").group == 2


@pytest.mark.parametrize(
    ("name", "cell", "splits"),
    [
        ("split", "x", (2,)),
        ("Subset", "x", (2,)),
        ("partition", "x", (2,)),
        ("is_valid", "1", (2,)),
        ("Is Test", "1", (2,)),
        ("set", "train", (2,)),
        ("set", "first", ()),
        ("data set", "valid", (2,)),
        ("phase", "TEST", (2,)),
        ("usage", "rent", ()),
    ],
)
def test_splits_are_found_by_their_names_and_loose_names_by_their_words(
    name: str, cell: str, splits: tuple[int, ...]
) -> None:
    assert find(f"path,label,{name}", f"a.png,x,{cell}").splits == splits


def test_folds_are_groups_where_nothing_else_says_them() -> None:
    assert find("path,label,fold").group == 2
    assert find("path,label,fold,patient").group == 3
    assert find("path,label,fold,split").group is None


def test_an_id_names_images_only_where_nothing_better_does() -> None:
    assert find("id,file_name,label").image == 1
    assert find("id,name,label").image == 0


def test_what_was_taken_and_what_was_not_is_said() -> None:
    assert find("path,label,split,group").notes == ()
    assert find("file_name,breed,is_valid,width,height", "a,x,1,2,3").notes == (
        "read file_name as path, breed as label, is_valid as split in t.csv",
        "ignored the columns width, height of t.csv",
    )
    assert find("path,width").notes[-1] == "found no labels in t.csv; --label-col names their column"
    assert find("path,label,xmin,ymin").notes == (
        "ignored the columns xmin, ymin of t.csv; images are seen whole: cut out what boxes are of",
    )


def test_columns_of_marks_are_labels_where_nothing_else_is() -> None:
    rows = "a,1,0,3", "b,0,1,2"
    assert find("image,rust,scab,width", *rows).labels == (1, 2)
    assert find("image,rust,scab,label", *rows).labels == (3,)
    assert find("image,rust,width", "a,1,3").labels == ()


def test_the_users_word_comes_first() -> None:
    found = find(
        "path,thumb,class,label,a,set",
        image_col="thumb",
        label_col="Label",
        split_col="none",
        group_col="a",
    )
    assert (found.image, found.labels, found.splits, found.group) == (1, (3,), (), 4)
    assert find("path,a,b", label_col="a, b").labels == (1, 2)
    assert find("path,label", label_col="none").labels == find("path,label", task="unlabelled").labels == ()
    assert find("path,A,a", label_col="a").labels == (2,)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("label,class,path", "2 columns for the label in .*: label, class; choose with --label-col label"),
        ("path,file_name,label", "for the image .*: path, file_name; choose with --image-col path"),
        ("path,label,split,is_test", "for the split .*: split, is_test; choose with --split-col split"),
        ("path,label,patient,slide", "for the group .*: patient, slide; choose with --group-col patient"),
        ("url,label", "addresses alone in t.csv, under url; expected files: download"),
        (
            "foto,label",
            "found the columns foto, label in t.csv; expected path,label.* --image-col names the column",
        ),
    ],
)
def test_columns_of_one_meaning_or_of_none_are_refused(names: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find(names)


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(
        UsageError, match=r"found --label-col breeed; expected one of the columns of t.csv: path, breed"
    ):
        find("path,breed", label_col="breeed")

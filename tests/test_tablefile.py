"""A table names files relative to itself, each with a label; every mistake is named with its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.sources.reading import Reading
from fixgrid.embed.sources.source import Image
from fixgrid.embed.sources.tables.tablefile import TableFile, list_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "data"
    (inside / "sub").mkdir(parents=True)
    for name in ("1.png", "2.png", "sub/3.png", os.fsdecode(b"\xff.png"), 'comma, quote".png'):
        (inside / name).touch()
    (tmp_path / "outside.png").touch()
    return inside


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "list.csv"
    file.write_bytes(text.encode(encoding, "surrogateescape"))
    return file


def test_paths_labels_and_splits_are_read(folder):
    text = "path,label,split\n1.png,cat,train\n./2.png, dog ,Valid\nsub/../sub/3.png,cat,test\n\n"
    assert list_table(write(folder, text)).images == [
        Image(b"1.png", "cat", "train"),
        Image(b"2.png", "dog", "val"),
        Image(b"sub/3.png", "cat", "test"),
    ]


def test_columns_come_in_any_order_and_others_are_named_in_a_note(folder):
    text = "Label,weight,PATH\r\ncat,1,1.png\r\ndog,2,2.png\r\n"
    found = list_table(write(folder, text, "utf-8-sig"))
    assert found.images == [Image(b"1.png", "cat"), Image(b"2.png", "dog")]
    assert found.notes == ("ignored the column weight of list.csv",)


def test_odd_file_names_are_found(folder):
    text = 'path,label\n"comma, quote"".png",cat\n' + os.fsdecode(b"\xff.png") + ",dog\n"
    assert [image.path for image in list_table(write(folder, text)).images] == [
        b'comma, quote".png',
        b"\xff.png",
    ]


def test_the_root_is_the_folder_of_the_table(folder, monkeypatch):
    write(folder, "path,label\n1.png,cat\n")
    monkeypatch.chdir(folder)
    assert list_table(Path("list.csv")).root == os.fsencode(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found nothing in .*; expected a header such as path,label"),
        ("what,class\n1.png,cat\n", r"found the columns what, class .* expected path,label.*--image-col"),
        ("path,label\n", "found no image"),
        ("path,label\n1.png,cat\n2.png,\n", r"line 3, gives no label; fill it in"),
        ("path,label\n1.png,\n2.png,cat\nsub/3.png, \n", r"line 2, gives no label \(as 2 rows in all\)"),
        ("path,label\n1.png\n", r"line 2: 1 cells, the header has 2; fill it up"),
        ("path,label\n,cat\n", "line 2, names no file"),
        ("path,label\n1\0.png,cat\n", "line 2, has a NUL byte"),
        ("path,label\nsub,cat\nsub,dog\n", "line 2, .*not a file"),
        ("path,label\n4.png,cat\n", r"line 2, names 4\.png, which is not there"),
        ("path,label\nsub,cat\n", "not a file"),
        ("path,label\n1.png,cat\n./1.png,dog\n", r"line 3, names 1\.png again, after line 2, with another label"),
        ("path,label\n../outside.png,cat\n", "inside the table's folder .* make paths relative"),
        ("path,label\nsub/../../outside.png,cat\n", "inside the table's folder"),
        ("path,label\n..\\outside.png,cat\n", "inside the table's folder|not there"),
        ("path,label\n%2e%2e/outside.png,cat\n", "inside the table's folder|not there"),
        ("path,label\n/etc/hostname,cat\n", "inside the table's folder"),
        (
            "path,label,split\n1.png,cat,trian\n",
            "line 2, has the split 'trian' under split; expected train, val or",
        ),
        ("path,label,split\n1.png,cat,train\n2.png,cat,\n", "line 3, has the split ''"),
        ("path,label\n1.png," + "x" * 200_000 + "\n", "as CSV: field larger .* begins in line 2"),
    ],
)
def test_every_mistake_is_named(folder, text, message):
    with pytest.raises(DataError, match=message):
        list_table(write(folder, text))


def test_a_link_is_refused_unless_links_are_followed(folder):
    (folder / "link.png").symlink_to("1.png")
    file = write(folder, "path,label\nlink.png,cat\n")
    with pytest.raises(DataError, match="a link"):
        list_table(file)
    assert len(list_table(file, follow_links=True).images) == 1


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"could not read .*list\.csv: No such file"):
        list_table(tmp_path / "list.csv")


def test_rows_that_say_the_same_of_an_image_count_once(folder):
    found = list_table(write(folder, "path,label\n1.png,cat\n2.png,dog\n./1.png,cat\n"))
    assert [image.path for image in found.images] == [b"1.png", b"2.png"]
    assert found.notes == ("1 row(s) of list.csv name an image again",)


def test_classes_of_an_image_in_several_rows_are_joined_only_if_asked(folder):
    file = write(folder, "path,label\n1.png,dog\n2.png,ant\n1.png,cat\n")
    with pytest.raises(DataError, match="with another label; --task multilabel gives it both"):
        list_table(file)
    found = list_table(file, Reading(task="multilabel"))
    assert [image.label for image in found.images] == [("cat", "dog"), ("ant",)]


def test_an_image_in_two_splits_is_refused_whatever_the_task(folder):
    file = write(folder, "path,label,split\n1.png,dog,train\n1.png,cat,test\n")
    with pytest.raises(DataError, match="in another split or group; keep one"):
        list_table(file, Reading(task="multilabel"))


def test_ids_beside_a_folder_of_images_need_nothing_more(folder):
    for name in ("train/0a.jpg", "train/0b.jpg", "test/0c.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    found = list_table(write(folder, "id,breed\n0a,pug\n0b,beagle\n"))
    assert found.images == [Image(b"train/0a.jpg", "pug"), Image(b"train/0b.jpg", "beagle")]
    assert found.notes == (
        "read id as path, breed as label in list.csv",
        "found the images of list.csv in train/",
        "2 path(s) are spelt without their suffix, such as 0a for train/0a.jpg",
    )


def test_groups_and_unlabelled_images_are_listed(folder):
    found = list_table(write(folder, "path,patient_id\n1.png,p1\n2.png,\n"))
    assert (found.task, found.classes) == ("unlabelled", ())
    assert found.images == [Image(b"1.png", "", "", "p1"), Image(b"2.png", "", "", "")]
    with pytest.raises(
        UsageError, match=r"found --task multiclass and no labels in .*; --label-col names their column"
    ):
        list_table(folder / "list.csv", Reading(task="multiclass"))


def test_another_root_is_what_paths_begin_at(folder):
    file = write(folder, "path,label\n3.png,cat\n")
    assert list_table(file, Reading(root=str(folder / "sub"))).images == [Image(b"3.png", "cat")]
    with pytest.raises(UsageError, match=r"found --root .*nowhere; expected a folder"):
        list_table(file, Reading(root=str(folder / "nowhere")))


@pytest.mark.parametrize("name", ["list.CSV", "l.tsv", "l.txt", "l.jsonl", "l.ndjson", "l.json", "l.parquet"])
def test_every_suffix_of_a_table_is_taken(folder, name):
    (folder / name).touch()
    assert TableFile().takes(str(folder / name))
    assert not TableFile().takes(str(folder / "1.png"))

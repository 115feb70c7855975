"""A CSV names files relative to itself, each with a label; every mistake is named with its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.csvfile import list_csv
from fixgrid.embed.sources.source import Image


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
    assert list_csv(write(folder, text)).images == [
        Image(b"1.png", "cat", "train"),
        Image(b"2.png", "dog", "val"),
        Image(b"sub/3.png", "cat", "test"),
    ]


def test_columns_come_in_any_order_and_others_are_ignored(folder):
    text = "Label,weight,PATH\r\ncat,1,1.png\r\ndog,2,2.png\r\n"
    assert list_csv(write(folder, text, "utf-8-sig")).images == [
        Image(b"1.png", "cat"),
        Image(b"2.png", "dog"),
    ]


def test_odd_file_names_are_found(folder):
    text = 'path,label\n"comma, quote"".png",cat\n' + os.fsdecode(b"\xff.png") + ",dog\n"
    assert [image.path for image in list_csv(write(folder, text)).images] == [
        b'comma, quote".png',
        b"\xff.png",
    ]


def test_the_root_is_the_folder_of_the_csv(folder, monkeypatch):
    write(folder, "path,label\n1.png,cat\n")
    monkeypatch.chdir(folder)
    assert list_csv(Path("list.csv")).root == os.fsencode(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"found the columns \[\]"),
        ("file,class\n1.png,cat\n", "expected path,label"),
        ("path,label\n", "found no image"),
        ("path,label\n1.png,cat\n2.png,\n", r"line 3, gives no label to 2\.png"),
        ("path,label\n1.png\n", r"line 2, gives no label"),
        ("path,label\n,cat\n", "line 2, names no file"),
        ("path,label\n1\0.png,cat\n", "names no file|NUL"),
        ("path,label\n4.png,cat\n", r"line 2, names 4\.png, which is not there"),
        ("path,label\nsub,cat\n", "not a file"),
        ("path,label\n1.png,cat\n./1.png,dog\n", r"line 3, names 1\.png again, after line 2"),
        ("path,label\n../outside.png,cat\n", "inside the CSV's folder"),
        ("path,label\nsub/../../outside.png,cat\n", "inside the CSV's folder"),
        ("path,label\n/etc/hostname,cat\n", "inside the CSV's folder"),
        ("path,label,split\n1.png,cat,trian\n", "line 2, has the split 'trian'"),
        ("path,label,split\n1.png,cat,train\n2.png,cat,\n", "line 3, has the split ''"),
        ("path,label\n1.png," + "x" * 200_000 + "\n", "as CSV: field larger"),
    ],
)
def test_every_mistake_is_named(folder, text, message):
    with pytest.raises(DataError, match=message):
        list_csv(write(folder, text))


def test_a_link_is_refused_unless_links_are_followed(folder):
    (folder / "link.png").symlink_to("1.png")
    file = write(folder, "path,label\nlink.png,cat\n")
    with pytest.raises(DataError, match="a link"):
        list_csv(file)
    assert len(list_csv(file, follow_links=True).images) == 1


def test_a_csv_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"could not read .*list\.csv: No such file"):
        list_csv(tmp_path / "list.csv")

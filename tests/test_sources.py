"""Folders are listed in byte order, regular files only, in one of two layouts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.folder import check_file, list_folder, walk_images
from fixgrid.embed.sources.source import Image

NOT_UTF8 = os.fsdecode(b"\xff.png")


def touch(folder: Path, *names: str) -> Path:
    """Empty files: a listing never opens them."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


def walk(folder: Path, **options: bool) -> tuple[list[bytes], dict[str, int]]:
    paths, passed = walk_images(os.path.realpath(os.fsencode(folder)), **options)
    return paths, dict(passed)


def test_split_folders_give_splits_and_classes(tmp_path):
    touch(tmp_path, "train/a/1.png", "train/b/deep/er/2.png", "valid/a/3.png", "test/b/4.png")
    assert sorted(list_folder(tmp_path).images) == [
        Image(b"test/b/4.png", "b", "test"),
        Image(b"train/a/1.png", "a", "train"),
        Image(b"train/b/deep/er/2.png", "b", "train"),
        Image(b"valid/a/3.png", "a", "val"),
    ]


def test_class_folders_give_no_split_even_if_one_is_called_train(tmp_path):
    touch(tmp_path, "train/1.png", "bus/2.png", "tram/3.png")
    images = list_folder(tmp_path).images
    assert {image.label for image in images} == {"train", "bus", "tram"}
    assert {image.split for image in images} == {""}


def test_every_listed_suffix_counts_in_any_case_and_nothing_else(tmp_path):
    names = ["a.jpg", "b.JPEG", "c.Png", "d.webp", "e.bmp", "f.tif", "g.TIFF", "h.gif"]
    touch(tmp_path, *names, "i.txt", "j.svg", "jpg", ".hidden.jpg", ".git/k.jpg")
    paths, passed = walk(tmp_path)
    assert paths == [name.encode() for name in names]
    assert list(passed.values()) == [3]


def test_names_are_sorted_as_bytes_and_need_not_be_utf8(tmp_path):
    touch(
        tmp_path,
        "a/" + NOT_UTF8,
        "a/B.png",
        "a/b.png",
        "a/ä.png",
        "a/with\nnewline.png",
        "a b/1.png",
        "A.png",
    )
    paths, _ = walk(tmp_path)
    assert paths == sorted(paths)
    assert paths[:2] == [b"A.png", b"a b/1.png"]
    assert paths[-1] == b"a/\xff.png"


def test_a_class_name_that_is_not_utf8_becomes_text_that_is(tmp_path):
    touch(tmp_path, os.fsdecode(b"caf\xe9") + "/1.png", "tea/2.png")
    labels = {image.label for image in list_folder(tmp_path).images}
    assert labels == {"caf\\xe9", "tea"}


def test_what_is_passed_over_is_counted(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png", "b/notes.txt", "loose.png")
    (tmp_path / "a" / "link.png").symlink_to(tmp_path / "b" / "2.png")
    os.mkfifo(tmp_path / "a" / "fifo.png")
    notes = " | ".join(list_folder(tmp_path).notes)
    assert notes == (
        "ignored 1 file(s) that are not .jpg .jpeg .png .webp .bmp .tif .tiff .gif | "
        "ignored 1 image(s) outside a class folder | ignored 1 link(s) | ignored 1 special file(s)"
    )


def test_links_are_not_followed_unless_asked(tmp_path):
    touch(tmp_path, "a/1.png")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "a" / "1.png")
    assert walk(tmp_path) == ([b"a/1.png"], {"link(s)": 2})
    assert walk(tmp_path, follow_links=True)[0] == [b"a/1.png", b"a/2.png"]


def test_a_loop_of_links_ends_and_files_keep_their_real_path(tmp_path):
    touch(tmp_path, "z/deep/1.png")
    (tmp_path / "a").symlink_to(tmp_path / "z")
    (tmp_path / "z" / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert walk(tmp_path, follow_links=True)[0] == [b"z/deep/1.png"]


def test_a_link_out_of_the_folder_is_never_followed(tmp_path):
    touch(tmp_path, "in/a/1.png", "out/secret/2.png", "in-too/3.png")
    (tmp_path / "in" / "a" / "etc").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "a" / "4.png").symlink_to(tmp_path / "in-too" / "3.png")
    paths, passed = walk(tmp_path / "in", follow_links=True)
    assert paths == [b"a/1.png"]
    assert passed == {"link(s) that lead out of the folder": 2}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "found no image"),
        (["a/notes.txt"], "found no image"),
        (["1.png", "2.png"], "found 2 images in .*, none in a class folder"),
        (["train/1.png", "test/2.png"], "none in a class folder"),
        (
            ["train/a/1.png", "val/a/2.png", "cats/3.png"],
            r"split folders \(train/, val/\) and in class folders",
        ),
        (["train/a/1.png", "val/a/2.png", "valid/a/3.png"], "two folders for val"),
    ],
)
def test_what_cannot_be_a_data_set_is_named(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        list_folder(tmp_path)


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone/: No such file"):
        walk(tmp_path / "gone")


def test_a_message_never_carries_a_terminal_escape(tmp_path):
    touch(tmp_path, "train/a/1.png", "\x1b[2J\u202e/2.png")
    with pytest.raises(DataError) as caught:
        list_folder(tmp_path)
    assert "\\x1b[2J\\u202e" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_listed_file_must_be_there_regular_and_inside(tmp_path):
    touch(tmp_path, "in/1.png", "out/2.png")
    os.mkfifo(tmp_path / "in" / "fifo.png")
    (tmp_path / "in" / "link.png").symlink_to("1.png")
    (tmp_path / "in" / "away.png").symlink_to(tmp_path / "out" / "2.png")
    root = os.path.realpath(os.fsencode(tmp_path / "in"))

    def check(name: bytes, follow_links: bool = False) -> None:
        check_file(root, name, follow_links=follow_links, listed_in="the list")

    check(b"1.png")
    check(b"link.png", follow_links=True)
    for name, follow, message in (
        (b"link.png", False, "a link"),
        (b"away.png", True, "leads out"),
        (b"fifo.png", False, "not a file"),
        (b"3.png", False, r"the list names 3\.png, which is not there"),
    ):
        with pytest.raises(DataError, match=message):
            check(name, follow)

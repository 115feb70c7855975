"""A folder is listed by its layout, with notes on all that is left out, or refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from zoo import touch

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources import folder
from fixgrid.embed.sources.folder import check_file, list_folder
from fixgrid.embed.sources.source import Image


def notes_of(root: Path, **options: bool) -> str:
    return " | ".join(list_folder(root, **options).notes)


def test_split_folders_give_splits_and_classes(tmp_path):
    touch(tmp_path, "train/a/1.png", "train/b/2.png", "valid/a/3.png", "test/b/4.png")
    listing = list_folder(tmp_path)
    assert sorted(listing.images) == [
        Image(b"test/b/4.png", "b", "test"),
        Image(b"train/a/1.png", "a", "train"),
        Image(b"train/b/2.png", "b", "train"),
        Image(b"valid/a/3.png", "a", "val"),
    ]
    assert (listing.notes, listing.task) == ((), "multiclass")


def test_a_class_name_that_is_not_utf8_becomes_text_that_is(tmp_path):
    touch(tmp_path, os.fsdecode(b"caf\xe9") + "/1.png", "tea/2.png")
    labels = {image.label for image in list_folder(tmp_path).images}
    assert labels == {"caf\\xe9", "tea"}


def test_what_is_passed_over_is_counted(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png", "b/notes.txt", "loose.png")
    (tmp_path / "a" / "link.png").symlink_to(tmp_path / "b" / "2.png")
    os.mkfifo(tmp_path / "a" / "fifo.png")
    assert notes_of(tmp_path) == (
        "ignored 1 file(s) that are not images: 1 .txt | ignored 1 link(s); --follow-links follows them | "
        "ignored 1 special file(s) | ignored 1 image(s) outside a class folder: 1 in ./"
    )


def test_images_in_deeper_folders_count_for_the_class_with_a_note(tmp_path):
    touch(tmp_path, "pets/cat/1.png", "pets/dog/small/2.png", "cars/3.png")
    listing = list_folder(tmp_path)
    assert {(image.path, image.label) for image in listing.images} == {
        (b"pets/cat/1.png", "pets"),
        (b"pets/dog/small/2.png", "pets"),
        (b"cars/3.png", "cars"),
    }
    assert listing.notes == (
        "2 image(s) in folders inside class folders count for these, such as pets/cat/ for pets",
    )


def test_folders_with_the_same_folders_inside_raise_the_question_which_are_the_classes(tmp_path):
    touch(tmp_path, "site-a/ill/1.png", "site-a/well/2.png", "site-b/ill/3.png")
    assert "if those are the classes, name one folder" in notes_of(tmp_path)


def test_images_in_no_folder_are_listed_without_labels(tmp_path):
    listing = list_folder(touch(tmp_path, "1.png", "2.jpg"))
    assert listing.task == "unlabelled"
    assert listing.images == [Image(b"1.png", ""), Image(b"2.jpg", "")]
    assert listing.notes[-1].startswith("no labels: extract gives features")


def test_splits_of_images_alone_are_listed_without_labels(tmp_path):
    listing = list_folder(touch(tmp_path, "train/1.png", "test/2.png"))
    assert listing.task == "unlabelled"
    assert {(image.label, image.split) for image in listing.images} == {("", "train"), ("", "test")}


def test_a_table_beside_images_without_labels_may_be_what_was_meant(tmp_path):
    touch(tmp_path, "train/1.png", "test/2.png", "labels.csv", "deep/er/other.csv", "notes.txt")
    assert f"did you mean {tmp_path}/labels.csv?" in notes_of(tmp_path)
    touch(tmp_path / "one", "pictures/1.png", "all.tsv")
    with pytest.raises(DataError, match=r"one class \(pictures\) .* Did you mean .*/one/all\.tsv\?$"):
        list_folder(tmp_path / "one")


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["c/"], r"left out 1 folder(s) without images: c/ (empty)"),
        (["c/1.txt", "c/2.txt"], "c/ (2 .txt)"),
        (["c/deep/1.avi"], "c/ (1 .avi)"),
        (["c/.1.png"], "c/ (hidden names only)"),
    ],
)
def test_a_class_without_images_is_named_with_the_reason(tmp_path, names, note):
    touch(tmp_path, "a/1.png", "b/2.png", *names)
    assert note in notes_of(tmp_path)


def test_a_class_that_is_a_link_or_holds_links_is_named(tmp_path):
    touch(tmp_path, "in/a/1.png", "in/b/2.png", "in/d/", "out/3.png")
    (tmp_path / "in" / "c").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "d" / "4.png").symlink_to("../a/1.png")
    notes = notes_of(tmp_path / "in")
    assert "left out 2 folder(s) without images: c/ (a link that leads out of the folder), d/ (1 link(s))" in notes


def test_a_class_that_one_split_alone_lacks_is_named_with_that_split(tmp_path):
    touch(tmp_path, "train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.txt", "val/")
    assert "left out 2 folder(s) without images: test/b/ (1 .txt), val/ (empty)" in notes_of(tmp_path)


def test_of_many_classes_without_images_ten_are_named(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png", *(f"c{i:02d}/" for i in range(14)))
    notes = notes_of(tmp_path)
    assert "c09/ (empty), and 4 more" in notes
    assert "c10/" not in notes


def test_photographs_that_a_package_decodes_are_counted_where_it_is_missing(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.HEIC", "b/2.heif", "b/3.avif")
    monkeypatch.setattr(folder, "find_spec", lambda name: None)
    assert notes_of(tmp_path).startswith("2 image(s) are .heic or .heif, not .jpg")
    assert "pip install pillow-heif" in notes_of(tmp_path)
    monkeypatch.setattr(folder, "find_spec", lambda name: name)
    assert notes_of(tmp_path) == ""


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "found no image in .*: it is empty; expected"),
        (["a/notes.txt", "b/1.svg"], r"found no image in .*: ignored 2 file\(s\) .*1 \.svg, 1 \.txt; expected"),
        ([".a/1.png"], r"ignored 1 hidden name\(s\)"),
        (["a/1.png", "2.png"], r"one class \(a\) in .* \(ignored 1 image\(s\) outside a class folder: 1 in \./\)"),
        (
            ["a/1.png", "b/2.txt"],
            r"one class \(a\) in .* \(left out 1 folder\(s\) .* b/ \(1 \.txt\)\)",
        ),
        (["a/1.png"], r"expected at least two\. For features without labels: --data .*/a/\.$"),
        (["wrap/a/1.png", "wrap/b/2.png"], r"one class \(wrap\) .* Did you mean .*/wrap/\?$"),
        (["wrap/train/a/1.png", "wrap/test/a/2.png"], r"one class \(wrap\) .* Did you mean .*/wrap/\?$"),
        (["train/only/a/1.png", "train/only/b/1.png"], r"one class \(only\) .* one deeper, in .*train/only/: move"),
        (["masks/1.png", "images/a/1.png"], r"one class \(images\) .* Did you mean .*/images/\?$"),
        (["annotations/1.png"], r"found 1 image\(s\) in .*, none in a class folder"),
    ],
)
def test_what_cannot_be_a_data_set_is_refused_with_what_may_be_meant(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        list_folder(tmp_path)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["images/train/1.png", "labels/train/1.txt"], "YOLO"),
        (["train/images/1.png", "train/labels/1.txt", "valid/images/2.png"], "YOLO"),
        (["images/1.png", "annotations/instances_train.json"], "COCO"),
        (["train/1.png", "train/_annotations.coco.json", "valid/2.png"], "COCO"),
        (["JPEGImages/1.png", "Annotations/1.xml", "SegmentationClass/1.png"], "Pascal VOC"),
    ],
)
def test_what_was_made_for_detection_is_called_so(tmp_path, names, kind):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=f"It has {kind} .*, for detection or segmentation; .* whole here"):
        list_folder(tmp_path)


def test_links_alone_are_no_images_and_the_line_says_what_to_type(tmp_path):
    touch(tmp_path, "in/a/", "out/1.png")
    (tmp_path / "in" / "a" / "1.png").symlink_to(tmp_path / "out" / "1.png")
    with pytest.raises(DataError, match=r"found no image .*: ignored 1 link\(s\) that lead out .* cp -rL"):
        list_folder(tmp_path / "in", follow_links=True)


def test_a_message_never_carries_a_terminal_escape(tmp_path):
    touch(tmp_path, "train/a/1.png", "\x1b[2J\u202e/2.png")
    with pytest.raises(DataError) as caught:
        list_folder(tmp_path)
    assert "\\x1b[2J\\u202e" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_note_never_carries_a_terminal_escape(tmp_path):
    odd = "\x1b[2J"
    touch(tmp_path, f"a/{odd}/1.png", f"b/{odd}/2.png", f"{odd}/3.{odd}", f"4{odd}", f"test{odd}/5.png")
    assert all(note.isprintable() for note in list_folder(tmp_path).notes)


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

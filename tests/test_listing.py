from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.listing import SPLIT, hash_listing, list_images, read_paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name in ("b/2.png", "b/1.PNG", "a.jpg", "notes.txt", ".hidden.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    (tmp_path / "far.png").write_bytes(b"far")
    (root / "link.png").symlink_to(tmp_path / "far.png")
    return root


def names(*arguments: object, **options: bool) -> list[str]:
    return [os.fsdecode(name) for name in list_images(map(os.fsencode, map(str, arguments)), **options).names]


def test_a_folder_gives_its_images_in_order_of_bytes_and_no_links(folder: Path) -> None:
    assert names(folder) == [f"{folder}/{name}" for name in ("a.jpg", "b/1.PNG", "b/2.png")]
    notes = list_images([os.fsencode(folder)]).notes
    assert any("1 link(s)" in note for note in notes)


def test_a_pattern_follows_the_rules_of_a_folder(folder: Path) -> None:
    assert names(f"{folder}/*") == [f"{folder}/a.jpg"]
    assert names(f"{folder}/**") == names(folder)
    with pytest.raises(DataError, match="lead out"):
        names(f"{folder}/l*", follow_links=True)


def test_a_file_named_outright_is_taken_whatever_it_is_called(folder: Path) -> None:
    assert names(folder / "notes.txt", folder / "link.png") == [f"{folder}/notes.txt", f"{folder}/link.png"]


def test_arguments_keep_their_order_and_each_file_is_listed_once(folder: Path) -> None:
    found = list_images([os.fsencode(folder / "b" / "2.png"), os.fsencode(folder)])
    assert found.paths == (b"b/2.png", b"a.jpg", b"b/1.PNG")
    assert found.root == os.fsencode(folder.resolve())
    assert any("1 path(s) that were named before" in note for note in found.notes)


@pytest.mark.parametrize("wrong", ["none.png", "none*", "/dev/null"])
def test_what_names_no_image_is_refused(folder: Path, wrong: str) -> None:
    with pytest.raises(DataError, match="expected image files"):
        names(folder / wrong)


def test_an_empty_argument_is_refused_and_a_name_of_blanks_is_quoted(folder: Path) -> None:
    for wrong, said in (
        ("", "found an empty path"),
        ("  ", "'  ' is not there"),
        ("a\0b", r"'a\\x00b' is not there"),
    ):
        with pytest.raises(DataError if wrong else UsageError, match=f"{said}; expected image files"):
            names(folder, wrong)


def test_rows_have_no_label_and_stay_in_order(folder: Path, tmp_path: Path) -> None:
    named = list_images([os.fsencode(folder / "b"), os.fsencode(folder / "a.jpg")])
    manifest, _ = hash_listing(named, "typed", memo_folder=tmp_path / "memo")
    rows = manifest.splits[SPLIT]
    assert rows.paths == (b"b/1.PNG", b"b/2.png", b"a.jpg")
    assert rows.labels.tolist() == [-1, -1, -1]
    assert rows.sizes.tolist() == [7, 7, 5]


def test_lines_are_paths_and_empty_ones_are_none() -> None:
    assert list(read_paths([b"a b.jpg\n", b"\n", b"c.png\r\n", b"d.png"])) == [b"a b.jpg", b"c.png", b"d.png"]


def test_where_a_nul_occurs_it_parts_paths_and_line_ends_are_of_names() -> None:
    lines = [b"a b.jpg\0two\n", b"lines.png\0", b"c\r.png\0"]
    assert list(read_paths(lines)) == [b"a b.jpg", b"two\nlines.png", b"c\r.png"]

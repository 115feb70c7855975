"""Names of images are taken for files where that is unambiguous, and never lead out of the root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.tables.finder import Finder
from fixgrid.embed.sources.tables.places import find_images
from fixgrid.embed.sources.tables.table import Table


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "a.png",
        "b c.jpg",
        "sub/d.JPG",
        "sub/e.1.png",
        "twice.jpg",
        "twice.png",
        "sub/back\\slash.png",
        "café.png",
    ):
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "outside.png").touch()
    return tmp_path / "images"


def find(root: Path, *cells: str, encoding: str = "utf-8") -> tuple[list[bytes], tuple[str, ...]]:
    rows = [(cell,) for cell in cells]
    table = Table(root / "t.csv", ("path",), rows, list(range(2, 2 + len(rows))), encoding=encoding)
    return find_images(table, 0, Finder(os.path.realpath(os.fsencode(root)), table.encoding))


@pytest.mark.parametrize(
    ("cell", "path", "how"),
    [
        ("a.png", b"a.png", ""),
        ("./sub/../a.png", b"a.png", ""),
        (" a.png ", b"a.png", ""),
        ("sub\\d.JPG", b"sub/d.JPG", "with \\ for /"),
        ("sub/back\\slash.png", b"sub/back\\slash.png", ""),
        ("b%20c.jpg", b"b c.jpg", "with %20 and the like"),
        ("sub/d.jpg", b"sub/d.JPG", "in another case of their suffix"),
        ("sub/d", b"sub/d.JPG", "without their suffix"),
        ("sub/e.1", b"sub/e.1.png", "without their suffix"),
        ("cafe\u0301.png", "caf\xe9.png".encode(), "in another Unicode form"),
        (".\\sub\\d ", b"sub/d.JPG", "with \\ for / and without their suffix"),
    ],
)
def test_a_file_is_found_as_other_systems_spell_it(root: Path, cell: str, path: bytes, how: str) -> None:
    paths, notes = find(root, cell)
    assert paths == [path]
    assert [note.partition(", such as")[0] for note in notes] == [f"1 path(s) are spelt {how}"] * bool(how)


def test_an_absolute_path_inside_is_taken_whatever_link_it_goes_by(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(root)
    monkeypatch.setenv("HOME", str(tmp_path))
    cells = f"{root}/sub/d.JPG", f"{tmp_path}/link/a.png", f"file://{root}/a.png", "~/images/b c.jpg"
    assert find(root, *cells)[0] == [b"sub/d.JPG", b"a.png", b"a.png", b"b c.jpg"]


def test_a_name_in_the_tables_own_encoding_is_found(root: Path) -> None:
    (root / os.fsdecode(b"\xe9.png")).touch()
    (root / "ü.png").touch()
    assert find(root, "é.png", "ü.png", encoding="cp1252")[0] == [b"\xe9.png", "ü.png".encode()]


def test_notes_are_one_a_kind_with_the_first_of_it(root: Path) -> None:
    assert find(root, "sub\\d.JPG", "a", "sub\\e.1.png")[1] == (
        "2 path(s) are spelt with \\ for /, such as sub\\d.JPG for sub/d.JPG",
        "1 path(s) are spelt without their suffix, such as a for a.png",
    )


def test_the_one_folder_that_holds_all_images_is_found(root: Path) -> None:
    paths, notes = find(root, "d", "e.1")
    assert paths == [b"sub/d.JPG", b"sub/e.1.png"]
    assert notes[0] == "found the images of t.csv in sub/"
    for name in ("d.png", "e.1.png"):
        (root / "deep/er").mkdir(parents=True, exist_ok=True)
        (root / "deep/er" / name).touch()
    assert find(root, "d", "e.1")[0][0] == b"sub/d.JPG"
    for name in ("d.png", "e.1.png"):
        (root / "also").mkdir(exist_ok=True)
        (root / "also" / name).touch()
    with pytest.raises(DataError, match=r"all images in 2 folders .* also/ and sub/; .* --root .*images/also"):
        find(root, "d", "e.1")


def test_a_folder_inside_a_folder_is_the_last_resort(root: Path) -> None:
    (root / "x/y").mkdir(parents=True)
    (root / "x/y/z.png").touch()
    assert find(root, "z.png")[0] == [b"x/y/z.png"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "t.csv, line 2, names no file"),
        (" ", "names no file"),
        ("a\0.png", "names no file"),
        ("https://host/a.png", "names https://host/a.png, an address; expected a file: download it"),
        ("C:\\data\\z.png", "a place on Windows; expected a path relative"),
        ("C:\\data\\sub\\d.JPG", "a place on Windows; sub/d.JPG is there, take off what is before it"),
        ("/else/data/sub/d.JPG", "or --root, .*: sub/d.JPG is there, take off what is before it"),
        ("data/sub/d", "not there; sub/d.JPG is there, take off what is before it"),
        ("../outside.png", "inside the table's folder or --root"),
        ("sub/../../outside.png", "inside the table's folder"),
        ("..\\outside.png", "which is not there"),
        ("%2e%2e/outside.png", "which is not there"),
        ("/nowhere/z.png", "inside the table's folder .* make paths relative"),
        ("twice", "which may be twice.jpg or twice.png; expected one: add the suffix"),
        ("sub/d.png", "not there, but sub/d.JPG is; mend the name"),
        ("A.PNG", "not there, but a.png is"),
        ("SUB/D.jpg", "not there, but sub/d.JPG is"),
        ("s3://host/a.png", "an address"),
        ("file:///nowhere/a.png", "not there"),
        ("images/a.png", r"not there, but below .*: --root /"),
        ("f.png", "which is not there; expected a path relative to the table's folder"),
    ],
)
def test_what_is_odd_about_a_path_is_said(root: Path, cell: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find(root, cell)


def test_a_wrong_root_is_told_by_the_number_of_its_rows(root: Path) -> None:
    with pytest.raises(DataError, match=r"names x/1\.png, .*\. Of 3 rows 2 name no file\."):
        find(root, "a.png", "x/1.png", "x/2.png")


def test_an_image_elsewhere_is_refused_with_what_to_type(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"names {tmp_path}/outside.png; .*: --root {tmp_path}, or a folder above"):
        find(root, f"{tmp_path}/outside.png")


def test_the_image_that_a_folder_lacks_is_the_one_that_is_named(root: Path) -> None:
    with pytest.raises(DataError, match="line 4, names f, which is not in sub/, where others are"):
        find(root, "d", "e.1", "f")

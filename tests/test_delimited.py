"""Cells are parted by what parts the header; a row of another length is named by the line where it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.tables.delimited import read_delimited, read_listed
from fixgrid.embed.sources.tables.table import Table


def read(folder: Path, text: str, name: str = "t.csv") -> Table:
    file = folder / name
    file.write_bytes(text.encode())
    return (read_listed if name.endswith(".txt") else read_delimited)(file)


@pytest.mark.parametrize(
    ("sign", "notes"),
    [
        (",", ()),
        ("\t", ()),
        (";", ("read the columns image;label of t.csv, parted by semicolons",)),
        ("|", ("read the columns image|label of t.csv, parted by bars",)),
    ],
)
def test_the_header_tells_what_parts_cells(tmp_path: Path, sign: str, notes: tuple[str, ...]) -> None:
    other = "," if sign == ";" else ";"
    table = read(tmp_path, f"image{sign}label\na.png{sign}red{other} dark\n")
    assert (table.names, table.rows, table.notes) == (("image", "label"), [("a.png", f"red{other} dark")], notes)


def test_a_name_that_is_known_counts_more_than_the_number_of_cells(tmp_path: Path) -> None:
    assert read(tmp_path, "path;label;weight,in,kg,net\na;b;1\n").names == ("path", "label", "weight,in,kg,net")


def test_a_line_that_says_the_sign_is_heeded(tmp_path: Path) -> None:
    table = read(tmp_path, "sep=;\npath;label\na.png;x\n")
    assert (table.rows, table.lines) == ([("a.png", "x")], [3])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(tmp_path: Path, end: str) -> None:
    table = read(tmp_path, f'path,label{end}{end}a.png,"one{end}two"{end}b.png,x{end},{end}')
    assert table.rows == [("a.png", f"one{end}two"), ("b.png", "x")]
    assert table.lines == [3, 5]


def test_cells_that_spreadsheets_leave_empty_at_the_end_are_none(tmp_path: Path) -> None:
    assert read(tmp_path, "path,label\na.png,x,\nb.png,y,,\n").rows == [("a.png", "x"), ("b.png", "y")]
    assert read(tmp_path, ",path,label,\n0,a.png,x,\n").names == ("", "path", "label", "")


def test_a_header_that_comes_again_is_no_image(tmp_path: Path) -> None:
    table = read(tmp_path, "path,label\na.png,x\npath,label\nb.png,y\n")
    assert (table.rows, table.lines) == ([("a.png", "x"), ("b.png", "y")], [2, 4])
    assert table.notes == ("line 3 of t.csv is its header again, and left out",)


def test_a_blank_before_a_quote_belongs_to_no_cell(tmp_path: Path) -> None:
    assert read(tmp_path, 'path, label\na.png, "red, dark"\n').rows == [("a.png", "red, dark")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,red, dark\n", r"t\.csv, line 2: 3 cells, the header has 2; put quotes around"),
        ('path,label\n"a\n.png",x\nb.png\n', r"t\.csv, line 4: 1 cells, the header has 2; fill it up"),
        ("path,label,label\na.png,x,y\n", "found the column label 2 times"),
        ('path,label\na.png,x\n"b.png,y\nc.png,z\n', "in the row that begins in line 3; expected a quote"),
        ('path,label\n"a".png,x\n', "begins in line 2; expected a quote"),
        (
            "a.png,cat\nb.png,dog\n",
            r"no header .* first line is a\.png,cat; .* a line such as path,label before it",
        ),
        ("cat;a.png;train\n", "a line such as label;path;split before it"),
        ("a.png\tcat\n", "a line such as path<tab>label before it"),
        ("# by hand\npath,label\na.png,x\n", "no header .* first line is # by hand; .*: take that line out"),
        (
            "path,label\na.png;cat\n",
            r"line 2: 1 cells, the header has 2; part it as the header is, not by semicolons",
        ),
        ("", "found nothing in .*; expected a header such as path,label"),
    ],
)
def test_what_is_no_table_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_a_list_of_paths_and_whole_numbers_needs_no_header(tmp_path: Path) -> None:
    table = read(tmp_path, "n1/a b.JPEG 0\n\nn2/c.JPEG\t12\n", "t.txt")
    assert (table.names, table.lines) == (("path", "label"), [1, 3])
    assert table.rows == [("n1/a b.JPEG", "0"), ("n2/c.JPEG", "12")]


@pytest.mark.parametrize("header", ["", "image class\n"])
def test_a_list_of_paths_and_words_needs_none_either(tmp_path: Path, header: str) -> None:
    rows = read(tmp_path, f"{header}a b.jpg cat\nc.PNG\t7up\n", "t.txt").rows
    assert rows == [("a b.jpg", "cat"), ("c.PNG", "7up")]


def test_a_list_of_paths_alone_has_no_labels(tmp_path: Path) -> None:
    assert read(tmp_path, "a b.png\nc.png\n", "t.txt").rows == [("a b.png",), ("c.png",)]


def test_a_text_file_with_a_header_is_a_table(tmp_path: Path) -> None:
    assert read(tmp_path, "file\tclass\na.png\tx\n", "t.txt").rows == [("a.png", "x")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png 0\nb one\n", "line 2, has 'b one'; expected a path and a label of one word"),
        ("a.png b.png\nc.png 1\n", r"line 2, has 'c\.png 1'; expected a path alone"),
        ("a.png\nb.png 1\n", r"line 2, has 'b\.png 1'; expected a path alone"),
        ("image class\n", "line 1, has 'image class'"),
        ("some words\n", "line 1, has 'some words'; .* or a header such as path,label"),
    ],
)
def test_a_list_whose_lines_differ_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text, "t.txt")

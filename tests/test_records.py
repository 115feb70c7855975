"""Records are rows: each name a column, what is lacking empty, lists several labels."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.sources.tables.records import read_json, read_json_lines, read_parquet


def write(folder: Path, text: str) -> Path:
    file = folder / "t.json"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_line_of_json_is_a_row(tmp_path: Path) -> None:
    text = (
        '{"file_name": "a.png", "label": 1}\n\n{"label": true, "file_name": "b.png", "tags": ["x", 2], "w": 0.5}\n'
    )
    table = read_json_lines(write(tmp_path, text))
    assert table.names == ("file_name", "label", "tags", "w")
    assert table.rows == [("a.png", "1", "", ""), ("b.png", "True", ("x", "2"), "0.5")]
    assert (table.lines, table.unit) == ([1, 3], "line")


def test_a_list_of_objects_is_a_table(tmp_path: Path) -> None:
    table = read_json(write(tmp_path, '[{"path": "a.png", "label": null}, {"path": "b.png", "label": NaN}]'))
    assert table.rows == [("a.png", ""), ("b.png", "")]
    assert table.where(1).endswith("t.json, object 2,")


def test_lines_of_objects_are_read_under_the_name_of_a_list(tmp_path: Path) -> None:
    file = write(tmp_path, '{"path": "a.png"}\n{"path": "b.png"}\n')
    assert (read_json(file).rows, read_json(file).unit) == ([("a.png",), ("b.png",)], "line")


def test_half_a_letter_is_no_crash(tmp_path: Path) -> None:
    [row] = read_json_lines(write(tmp_path, '{"path": "\\ud800.png"}')).rows
    assert str(row[0]).isascii()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"path": "a.png"}\n{"path"\n', r"t\.json, line 2, is no JSON"),
        ('{"path": "a.png"}\n["b.png"]\n', "line 2, is no object; expected one an image"),
        ('{"path": "a.png", "path": "b.png"}\n', "line 1, has the name 'path' twice"),
        ('{"path": "a.png", "path ": "b.png"}\n', "found the column path 2 times"),
        ("[" * 100_000, "line 1, is no JSON"),
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_json_lines(write(tmp_path, text))


def test_annotations_of_another_form_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no list in .* expected a list of objects, one an image"):
        read_json(write(tmp_path, '{"images": [], "annotations": []}'))


def test_parquet_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'fixgrid\[parquet\]', or save the table as CSV"):
        read_parquet(tmp_path / "t.parquet")


def test_parquet_gives_texts_numbers_and_lists(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"path": ["a.png", "b.png"], "label": [1, None], "tags": [["x"], ["x", "y"]], "box": [{"x": 1}] * 2}
    columns["breed"] = arrow.array(["pug", "pug"]).dictionary_encode()
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    table = read_parquet(tmp_path / "t.parquet")
    assert table.names == ("path", "label", "tags", "breed")
    assert table.rows == [("a.png", "1", ("x",), "pug"), ("b.png", "", ("x", "y"), "pug")]
    assert table.where(1).endswith("row 2,")


def test_images_inside_parquet_are_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"image": [{"bytes": b"x", "path": "a.png"}]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"found images themselves in the column image .* expected their paths"):
        read_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="as Parquet"):
        read_parquet(tmp_path / "t.parquet")

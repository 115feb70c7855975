"""Tables of records: JSON lines, a list of JSON objects, Parquet."""

from __future__ import annotations

import io
import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.text import first_line

from .encodings import Text, read_text
from .table import Cell, File, Table, expect_names


def read_json_lines(file: File) -> Table:
    """A file of one JSON object a line, such as Hugging Face's ``metadata.jsonl``.

    Raises
    ------
    DataError
        Naming the first line that is none.
    """
    return _read_lines(file, read_text(file))


def _read_lines(file: File, found: Text) -> Table:
    records = []
    for number, line in enumerate(found.text.split("\n"), 1):
        if line.strip():
            records.append((number, _parse(line, f"{file}, line {number},")))
    return _join_records(file, records, "line", found.notes)


def read_json(file: File) -> Table:
    """A file of one JSON list of objects, or of one object a line.

    Raises
    ------
    DataError
        If it is anything else.
    """
    found = read_text(file)
    first, more, _ = found.text.lstrip().partition("\n")
    if more and first.startswith("{") and first.rstrip().endswith("}"):
        return _read_lines(file, found)
    content = _parse(found.text, str(file))
    if not isinstance(content, list):
        raise DataError(
            f"found no list in {file}; expected a list of objects, one an image, as in "
            '[{"path": "img/1.jpg", "label": "cat"}, ...]: write the table so, or as CSV.'
        )
    return _join_records(file, list(enumerate(content, 1)), "object", found.notes)


def read_parquet(file: File) -> Table:
    """The columns of a Parquet file that hold texts, numbers or lists of them.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    DataError
        If it cannot be read, or holds images themselves.
    """
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            f"found no pyarrow, which reads {file}: pip install 'fixgrid[parquet]', or save the table as CSV."
        ) from error
    try:
        source = parquet.ParquetFile(file if isinstance(file, Path) else io.BytesIO(file.read_bytes()))
        schema = source.schema_arrow
        plain = [field.name for field in schema if is_plain(arrow.types, field.type)]
        held = [field.name for field in schema if _holds_images(arrow.types, field.type)]
        columns = source.read(columns=plain).to_pydict()
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"could not read {file} as Parquet: {first_line(error)}.") from error
    if held:
        raise DataError(
            f"found images themselves in the column {held[0]} of {file}; expected their paths: write them to "
            "files, and name these in a column path."
        )
    names = expect_names(file, tuple(plain))
    rows = [tuple(map(read_cell, cells)) for cells in zip(*columns.values(), strict=True)]
    return Table(file, names, rows, list(range(1, len(rows) + 1)), "row")


def is_plain(types: Any, kind: Any) -> bool:
    """Whether an Arrow type is of texts, numbers or truths, or of lists of them."""
    if types.is_list(kind) or types.is_large_list(kind):
        return is_plain(types, kind.value_type)
    if types.is_dictionary(kind):
        return is_plain(types, kind.value_type)
    tests = types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean
    return any(test(kind) for test in tests)


def _holds_images(types: Any, kind: Any) -> bool:
    """Whether an Arrow type has room for a file's bytes."""
    if types.is_struct(kind):
        return any(_holds_images(types, field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _expect_once(pairs, where))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON ({first_line(error)}); mend it, or save the table as CSV.") from error


def _expect_once(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{where} has the name {twice[0]!r} twice in an object; expected it once.")
    return dict(pairs)


def _join_records(file: File, records: list[tuple[int, Any]], unit: str, notes: tuple[str, ...]) -> Table:
    """Objects as rows; one that lacks a name has an empty cell there."""
    names: dict[str, None] = {}
    for number, record in records:
        if not isinstance(record, dict):
            raise DataError(
                f"{file}, {unit} {number}, is no object; expected one an image, as in "
                '{"path": "img/1.jpg", "label": "cat"}.'
            )
        names |= dict.fromkeys(record)
    rows = [tuple(read_cell(record.get(name)) for name in names) for _, record in records]
    stripped = tuple(_clean(name).strip() for name in names)
    return Table(file, expect_names(file, stripped), rows, [number for number, _ in records], unit, notes)


def read_cell(value: Any) -> Cell:
    """A value of JSON or Arrow as a table's cell."""
    if isinstance(value, list) and not any(isinstance(part, list | dict) for part in value):
        return tuple(_read_text(part) for part in value)
    return _read_text(value)


def _read_text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return _clean(value)
    return str(value) if isinstance(value, bool | int | float) else json.dumps(value, default=str)


def _clean(text: str) -> str:
    """Text without halves of letters, which JSON can spell."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")

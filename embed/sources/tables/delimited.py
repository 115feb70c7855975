"""Tables whose cells are parted by commas, tabs, semicolons or bars, and lists of ``path label`` with no header."""

from __future__ import annotations

import csv
import io
import re

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_text

from ..walk import SUFFIXES
from ..words import read_split_word
from .encodings import Text, read_text
from .names import is_known, names_images
from .table import File, Table, expect_names

_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_SUFFIXES = tuple(suffix.decode() for suffix in SUFFIXES)
_INTEGER = re.compile(r"[+-]?\d+")


def read_delimited(file: File) -> Table:
    """A CSV or the like; the delimiter is the one that parts the header into names that are known, or the most.

    Raises
    ------
    DataError
        If a row has more or fewer cells than the header, or a quote does not end; or there is no header.
    """
    return _read_cells(file, read_text(file))


def read_listed(file: File) -> Table:
    """A ``.txt``: a table with a header, or lines of a path and one word, or of paths alone.

    Raises
    ------
    DataError
        If lines differ; the message names the first that does.
    """
    found = read_text(file)
    lines = [(number, line.strip()) for number, line in enumerate(_split_lines(found.text), 1) if line.strip()]
    if not lines or any(names_images(name) for name in _split_header(lines[0][1])[1]):
        return _read_cells(file, found)
    header = lines[0][1].split()
    lines = lines[len(header) == 2 and names_images(header[0]) :] or lines
    rows = [line.rsplit(None, 1) for _, line in lines]
    labelled = [_has_label(row) for row in rows]
    if not labelled[0] and _names_file(lines[0][1]):
        labelled = [not _names_file(line) for _, line in lines]  # a list of paths alone
        rows = [[line] for _, line in lines]
        expected = "a path alone as in the lines before"
    else:
        labelled = [not fits for fits in labelled]
        expected = "a path and a label of one word, as in img/1.jpg 0, in every line"
    if any(labelled):
        number, line = lines[labelled.index(True)]
        raise DataError(
            f"{file}, line {number}, has {show_text(line[:80])!r}; expected {expected}, or a header such as "
            "path,label in the first."
        )
    names, numbers = ("path", "label")[: len(rows[0])], [number for number, _ in lines]
    return Table(file, names, [tuple(row) for row in rows], numbers, "line", found.notes, found.encoding)


def _has_label(row: list[str]) -> bool:
    """Whether a line's last word is a label."""
    if len(row) != 2 or _names_file(row[1]):
        return False
    return _names_file(row[0]) or bool(_INTEGER.fullmatch(row[1]))


def _names_file(text: str) -> bool:
    return text.lower().endswith(_SUFFIXES)


def _split_lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))


def _split_header(line: str) -> tuple[str, list[str]]:
    """The delimiter of a table by its first line, and that line's cells."""
    parted = {}
    for delimiter in _DELIMITERS:
        try:
            parted[delimiter] = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            parted[delimiter] = [line]
    best = max(parted, key=lambda delimiter: (sum(map(is_known, parted[delimiter])), len(parted[delimiter])))
    return best, [name.strip() for name in parted[best]]


def _read_cells(file: File, found: Text) -> Table:
    lines, skipped = _split_lines(found.text), 0
    while skipped < len(lines) and not lines[skipped].strip():
        skipped += 1
    if skipped < len(lines) and (said := re.fullmatch(r'"?sep=(.)"?\s*', lines[skipped])):  # for Excel
        skipped, delimiter = skipped + 1, said[1]
        header = ""
    else:
        header = lines[skipped].strip("\r\n") if lines[skipped:] else ""
        delimiter, _ = _split_header(header)
    rows, numbers = _parse_rows(file, lines, skipped, delimiter)
    if not rows:
        raise DataError(
            f"found nothing in {file}; expected a header such as path,label, and a line for each image."
        )
    names = tuple(name.strip() for name in rows[0])
    _expect_header(file, names, rows[1:], delimiter)
    again = [n for n, cells in zip(numbers, rows, strict=True) if n > numbers[0] and cells == rows[0]]
    table = [_fit_cells(file, number, cells, names) for number, cells in zip(numbers[1:], rows[1:], strict=True)]
    kept = [(n, cells) for n, cells in zip(numbers[1:], table, strict=True) if any(cells) and n not in again]
    notes = (*found.notes, *(f"line {n} of {file.name} is its header again, and left out" for n in again[:1]))
    if header and delimiter not in (",", "\t"):
        notes += (f"read the columns {show_text(header[:80])} of {file.name}, parted by {_DELIMITERS[delimiter]}",)
    return Table(
        file,
        expect_names(file, names),
        [cells for _, cells in kept],
        [number for number, _ in kept],
        "line",
        notes,
        found.encoding,
    )


def _parse_rows(file: File, lines: list[str], skipped: int, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """The cells of every row that is not blank, and the line in which each begins."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    spaced = any(f'{delimiter} "' in line for line in lines)
    reader = csv.reader(lines[skipped:], delimiter=delimiter, strict=True, skipinitialspace=spaced)
    while True:
        begin = skipped + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return rows, numbers
        except csv.Error as error:
            raise DataError(
                f"could not read {file} as CSV: {error}, in the row that begins in line {begin}; expected a quote "
                'where a cell begins and where it ends, and "" for one inside.'
            ) from error
        if cells:
            rows.append(cells)
            numbers.append(begin)


def _fit_cells(file: File, number: int, cells: list[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """A row's cells, one a column; what is over must be empty, as spreadsheets leave it."""
    if not any(cell.strip() for cell in cells):
        return ()
    if len(cells) < len(names) or any(cell.strip() for cell in cells[len(names) :]):
        other = [name for sign, name in _DELIMITERS.items() if len(cells) == 1 < len(cells[0].split(sign))]
        cure = f"part it as the header is, not by {other[0]}" if other else "fill it up"
        cure = "put quotes around a cell that has the delimiter in it" if len(cells) > len(names) else cure
        raise DataError(f"{file}, line {number}: {len(cells)} cells, the header has {len(names)}; {cure}.")
    return tuple(cells[: len(names)])


def _expect_header(file: File, names: tuple[str, ...], rows: list[list[str]], delimiter: str) -> None:
    """Refuse a first row that is an image's, or a remark."""
    remark = len(names) == 1 and any(len(row) > 1 for row in rows)
    if any(map(is_known, names)) or not (remark or any(_names_file(name) for name in names)):
        return
    roles: list[str] = []
    for name in names:
        role = "path" if _names_file(name) else "split" if read_split_word(name) else "label"
        roles.append(role if role not in roles else f"column{len(roles) + 1}")
    shown = show_text(delimiter.join(names)[:80])
    header = delimiter.join(roles).replace("\t", "<tab>")
    raise DataError(
        f"found no header in {file}, whose first line is {shown}; expected names of the columns: "
        + ("take that line out." if remark else f"put a line such as {header} before it.")
    )

"""Which labelled image files a CSV names: ``path,label[,split]``, paths relative to the CSV's folder."""

from __future__ import annotations

import csv
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_path

from .folder import check_file
from .source import Asked, DataSource, Image, Listing, expand_path
from .tree import name_class
from .words import read_split_word


class CsvFile(DataSource):
    """A file called ``.csv``."""

    words = "a CSV with the columns path,label[,split]"

    def takes(self, text: str) -> bool:
        """Any file with that suffix."""
        file = expand_path(text)
        return file.is_file() and file.suffix.lower() == ".csv"

    def list(self, text: str, asked: Asked) -> Listing:
        """See `list_csv`."""
        return list_csv(expand_path(text), follow_links=asked.follow_links)


def list_csv(file: Path, *, follow_links: bool = False) -> Listing:
    """Images of a CSV with the columns ``path,label[,split]``; paths are relative to the CSV's folder.

    Raises
    ------
    DataError
        If a column, label, split or file is missing, or a path is absolute, leaves the folder or comes twice;
        the message names the line.
    """
    root = os.path.realpath(os.fsencode(file.parent))
    lines: dict[bytes, int] = {}
    images = []
    for line, row in _read_cells(file):
        where = f"{file}, line {line},"
        label = name_class(os.fsencode(row["label"].strip()))
        image = Image(_clean_path(row["path"], where), label, _clean_split(row.get("split"), where))
        if not image.label:
            raise DataError(f"{where} gives no label to {show_path(image.path)}; fill it in.")
        if image.path in lines:
            raise DataError(f"{where} names {show_path(image.path)} again, after line {lines[image.path]}.")
        lines[image.path] = line
        check_file(root, image.path, follow_links=follow_links, listed_in=where)
        images.append(image)
    if not images:
        raise DataError(f"found no image in {file}; expected lines of path,label[,split].")
    return Listing(root, images)


def _read_cells(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of every row, under the header's names; short rows are filled up."""
    try:
        with open(file, newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            reader = csv.reader(stream)
            header = [name.strip().lower() for name in next(reader, [])]
            if not {"path", "label"} <= set(header):
                raise DataError(f"found the columns {header} in {file}; expected path,label[,split].")
            for cells in reader:
                if cells:
                    padded = cells + [""] * (len(header) - len(cells))
                    yield reader.line_num, dict(zip(header, padded, strict=False))
    except csv.Error as error:
        raise DataError(f"could not read {file} as CSV: {error}.") from error
    except OSError as error:
        raise DataError(f"could not read {file}: {error.strerror}.") from error


def _clean_path(cell: str, where: str) -> bytes:
    path = posixpath.normpath(cell) if cell else ""
    if not path or "\0" in path:
        raise DataError(f"{where} names no file.")
    if path.startswith("/") or path == ".." or path.startswith("../"):
        shown = show_path(os.fsencode(cell))
        raise DataError(f"{where} names {shown}; expected a path inside the CSV's folder.")
    return os.fsencode(path)


def _clean_split(cell: str | None, where: str) -> str:
    if cell is None:
        return ""
    split = read_split_word(cell)
    if not split:
        raise DataError(f"{where} has the split {cell!r}; expected train, val or test.")
    return split

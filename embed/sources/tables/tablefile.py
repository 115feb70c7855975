"""A table that names image files and says what they are: read, understood, listed."""

from __future__ import annotations

import os
from collections.abc import Callable

from fixgrid.cache.datasets import TABLES
from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.text import show_path

from ..archives.found import find_named
from ..archives.listing import holds_images, list_archives
from ..folder import check_file
from ..reading import Reading
from ..remote.address import is_address
from ..remote.content import Remote
from ..remote.names import FarFinder, name_root
from ..source import Asked, DataSource, Image, Label, Listing, expand_path
from ..tasks import Labelled
from .columns import find_columns, label_rows
from .delimited import read_delimited, read_listed
from .finder import Finder
from .places import find_images
from .records import read_json, read_json_lines, read_parquet
from .splitting import read_splits
from .table import File, Table

READERS: dict[str, Callable[[File], Table]] = {
    ".txt": read_listed,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
}
"""By the suffix; of the others of `TABLES` cells are parted by a delimiter."""


class TableFile(DataSource):
    """A file with one of the suffixes of `TABLES`."""

    words = f"a table of paths, labels and splits ({' '.join(TABLES)})"
    reads_columns = True

    def takes(self, text: str) -> bool:
        """Any file with such a suffix."""
        file = expand_path(text)
        return file.suffix.lower() in TABLES and file.is_file()

    def list(self, text: str, asked: Asked) -> Listing:
        """See `list_table`, and `list_archives` of a Parquet file that holds images."""
        file = expand_path(text)
        if holds_images(text):
            return list_archives(find_named(text), asked)
        return list_table(file, asked.reading, follow_links=asked.follow_links)


def list_table(file: File, reading: Reading | None = None, *, follow_links: bool = False) -> Listing:
    """The images of a table, relative to its folder or to the root that is asked for, each a path or a URL.

    Rows that say the same of one image count once; of several classes they are joined where the user asked for
    that.

    Raises
    ------
    DataError
        If a cell or file is missing or cannot be used; the message names the line.
    UsageError
        If what is asked for does not fit.
    """
    reading = reading or Reading()
    table = READERS.get(file.suffix.lower(), read_delimited)(file)
    if not table.rows:
        raise DataError(
            f"found no image in {file}; expected a {table.unit} for each, of path, label and, if any, split."
        )
    columns = find_columns(table, reading)
    where = reading.root or str(file.parent)
    content = Remote(where) if is_address(where) else None
    root = name_root(content.address) if content else os.path.realpath(os.fsencode(where))
    if not content and not os.path.isdir(root):
        raise UsageError(f"found --root {reading.root}; expected a folder.")
    finder = FarFinder(content, table.encoding) if content else Finder(root, table.encoding)
    paths, notes = find_images(table, columns.image, finder)
    splits = read_splits(table, columns.splits)
    groups = table.read_texts(columns.group) if columns.group is not None else [""] * len(paths)
    found = label_rows(table, columns, reading)
    rows = [Image(*row) for row in zip(paths, found.labels, splits, groups, strict=True)]
    rows_of = {path: row for row, path in reversed([*enumerate(paths)])}
    for path, row in rows_of.items() if not content else ():
        check_file(root, path, follow_links=follow_links, listed_in=table.where(row))
    images, again = _merge(table, rows, found, joined=reading.task == "multilabel")
    said = (*table.notes, *columns.notes, *notes, *found.notes, *again)
    return Listing(root, images.values(), said, found.classes, found.task, content)


def _merge(
    table: Table, rows: list[Image], found: Labelled, *, joined: bool
) -> tuple[dict[int, Image], tuple[str, ...]]:
    """The images, each once, by the first of its rows, and a note on those that come again."""
    first: dict[bytes, int] = {}
    images: dict[int, Image] = {}
    again = 0
    for row, image in enumerate(rows):
        before = first.setdefault(image.path, row)
        if before == row:
            images[row] = image
            continue
        again += 1
        known = images[before]
        if known[2:] != image[2:] or (known.label != image.label and not joined):
            what = "in another split or group" if known[2:] != image[2:] else "with another label"
            cure = "--task multilabel gives it both" if known[2:] == image[2:] else "keep one"
            raise DataError(
                f"{table.where(row)} names {show_path(image.path)} again, after {table.unit} {table.lines[before]}"
                f", {what}; {cure}."
            )
        images[before] = known._replace(label=_join(known.label, image.label, found.classes))
    return images, (f"{again} row(s) of {table.file.name} name an image again",) if again else ()


def _join(label: Label, other: Label, classes: tuple[str, ...]) -> Label:
    if not (isinstance(label, tuple) and isinstance(other, tuple)):
        return label
    return tuple(name for name in classes if name in (*label, *other))

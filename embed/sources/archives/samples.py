"""Labels that lie beside images: WebDataset's ``.cls`` and ``.json`` of one key, columns of Parquet files."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import first_line, show_path

from ..reading import NONE, Reading, split_words
from ..tables.columns import find_columns, label_rows
from ..tables.names import ADDRESSES, is_known, means, names_images
from ..tables.records import read_cell
from ..tables.splitting import read_splits
from ..tables.table import Cell, Table, expect_names
from ..tasks import Labelled
from .members import name_key
from .scan import Scan

_PATH = "path"


@dataclass(frozen=True)
class Place:
    """Containers as the file of a table: as they were named."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __fspath__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """The last part."""
        return posixpath.basename(self.text.rstrip("/"))

    @property
    def suffix(self) -> str:
        """Of the name."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> str:
        """What holds it."""
        return posixpath.dirname(self.text.rstrip("/"))

    def read_bytes(self) -> bytes:
        """There is nothing to read but its containers."""
        raise IsADirectoryError(self.text)


@dataclass(frozen=True, eq=False)
class SampleTable(Table):
    """A table whose rows lie beside images; `find` names that of a row."""

    find: Callable[[int], bytes] = field(default=lambda row: b"")

    def where(self, row: int) -> str:
        """The image of a row, for messages."""
        return f"{show_path(self.find(row))} of {self.file}"


@dataclass
class Rows:
    """Cells of images as they come, columns by their names as these are met; equal rows are kept once."""

    names: dict[str, int] = field(default_factory=dict)
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    left_out: dict[str, None] = field(default_factory=dict)
    _known: dict[tuple[Cell, ...], tuple[Cell, ...]] = field(default_factory=dict)

    def add(self, cells: Mapping[str, Any]) -> None:
        """The row of one more image."""
        row: list[Cell] = [""] * len(self.names)
        for name, value in cells.items():
            place = self.names.setdefault(name, len(self.names))
            row += [""] * (place + 1 - len(row))
            row[place] = read_cell(value)
        one = tuple(row)
        self.rows.append(self._known.setdefault(one, one))

    def tabulate(self, place: Place, find: Callable[[int], bytes]) -> SampleTable:
        """All of them, with a column before them that stands for the images, which are no cells."""
        n = len(self.names)
        full = {row: ("", *row, *[""] * (n - len(row))) for row in self._known}
        names = expect_names(place, (_PATH if _PATH not in self.names else "the image", *self.names))
        return SampleTable(place, names, [full[row] for row in self.rows], [], find=find)


def is_wanted(name: str, reading: Reading) -> bool:
    """Whether a column may say what an image is: what is another image's name, or text of its own, does not."""
    asked = [
        word for said in (reading.label_col, reading.split_col, reading.group_col) for word in split_words(said)
    ]
    return name in asked or (is_known(name) and not names_images(name) and not means(name, ADDRESSES))


def join_texts(rows: Rows, scan: Scan, container: bytes, reading: Reading) -> None:
    """Add the row of each image of a container, from the small files of its key.

    Raises
    ------
    DataError
        If one of these is no text or no JSON object.
    """
    beside: dict[bytes, dict[str, Any]] = {}
    known = {"cls": True}
    for name, text in zip(scan.text_names, scan.texts, strict=True):
        cells = _read_text(container, name, text)
        known |= {one: is_wanted(one, reading) for one in cells if one not in known}
        beside.setdefault(name_key(name), {}).update((one, cells[one]) for one in cells if known[one])
    rows.left_out |= dict.fromkeys(one for one, wanted in known.items() if not wanted)
    for image in scan.index.names:
        rows.add(beside.get(name_key(image), {}))


def _read_text(container: bytes, name: bytes, text: bytes) -> dict[str, Any]:
    try:
        if name.endswith(b".cls"):
            return {"cls": text.decode().strip()}
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{show_path(container)}/{show_path(name)} cannot be read ({first_line(error)}); mend it, or leave it "
            "out of the shard."
        ) from error
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Read:
    """What a table says of the images: labels and, where it has some, splits and groups; and notes."""

    labelled: Labelled
    splits: Sequence[str]
    groups: Sequence[str]
    notes: tuple[str, ...]


def read_samples(table: SampleTable, reading: Reading, splits: Iterable[str], label: str = "") -> Read:
    """What a table says; images are of the given splits where no column says their own.

    Raises
    ------
    DataError, UsageError
        As of a table in a file.
    """
    asked = replace(reading, image_col=table.names[0], label_col=reading.label_col or label)
    columns = find_columns(table, asked)
    groups = table.read_texts(columns.group) if columns.group is not None else [""] * len(table.rows)
    said = [""] * len(table.rows) if reading.split_col == NONE else [*splits]
    given = read_splits(table, columns.splits) if columns.splits else said
    found = label_rows(table, columns, asked)
    notes = tuple(note for note in columns.notes if f"{table.names[0]} as path" not in note)
    return Read(found, given, groups, (*table.notes, *notes, *found.notes))

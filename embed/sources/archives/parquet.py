"""Parquet files that hold the images themselves, in a column of bytes, as Hugging Face's datasets have them."""

from __future__ import annotations

import errno
import json
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, partial
from importlib import import_module
from itertools import groupby
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.strings import Strings
from fixgrid.cache.text import first_line

from ..tables.names import names_images
from ..tables.records import is_plain
from .blob import Blob, open_blob
from .container import Container, DamagedError

_PIECE = 64  # rows
_MOST_HELD = 256 << 20
"""Bytes of row groups that stay in memory, but for the one that is read."""


class Parquet(Container):
    """A Parquet file; its images are called by their rows' numbers, from 0, in as many digits as the last has,
    below the column's name if it was asked for.

    Parameters
    ----------
    blob : Blob
    place : str
        Where it lies.

    Raises
    ------
    UsageError
        When it is first read, if pyarrow is not installed.
    DamagedError
        If it is no Parquet file, or a part of one.
    """

    def __init__(self, blob: Blob, place: str) -> None:
        self._blob, self._lock, self._held = blob, Lock(), OrderedDict[tuple[str, int], Any]()

    def name_images(self, asked: str = "") -> Strings:
        """Names of the images as they come, of the column that is asked for, or of the one that there is.

        Raises
        ------
        DamagedError
            If none holds bytes, or several do and no name tells which.
        """
        self._expect_held(asked)
        above = f"{asked}/".encode() if asked else b""
        n = self._file.metadata.num_rows
        width = len(str(max(0, n - 1)))
        return Strings.gather(b"%s%0*d" % (above, width, row) for row in range(n))

    def _expect_held(self, asked: str) -> str:
        """The column of images."""
        held = self.list_held()
        named = [name for name in held if name == asked] if asked else held
        named = named if len(named) == 1 else [name for name in named if names_images(name)]
        if len(named) != 1:
            raise DamagedError(
                f"it holds images under {', '.join(held) or 'no column'}; expected "
                + (f"them under {asked}" if asked else "one such column: --image-col names it")
            )
        return named[0]

    def list_held(self) -> list[str]:
        """Columns that hold bytes: themselves, or in a field ``bytes``."""
        arrow = import_module("pyarrow")
        return [field.name for field in self._file.schema_arrow if _find_bytes(arrow, field) is not None]

    def read_plain(self, wanted: Callable[[str], bool]) -> dict[str, list[Any]]:
        """The cells of columns of texts, numbers and lists of them, by name; numbers of classes as their names."""
        arrow, schema = import_module("pyarrow"), self._file.schema_arrow
        names = [field.name for field in schema if is_plain(arrow.types, field.type) and wanted(field.name)]
        table = self._try(lambda: self._file.read(columns=names, use_threads=False))
        classes = _read_classes(schema.metadata or {})
        return {name: _name_classes(table[name].to_pylist(), classes.get(name, [])) for name in names}

    def list_unread(self, asked: str, read: Collection[str]) -> list[str]:
        """Columns that are neither the images' nor among those that were read."""
        return [
            name for name in self._file.schema_arrow.names if name != self._expect_held(asked) and name not in read
        ]

    def cut(self, names: Sequence[bytes]) -> list[int]:
        """Images of one row group, a few at a time: as Python's bytes they are there twice."""
        groups = np.searchsorted(self._ends, [_read_name(name)[1] for name in names], side="right").tolist()
        sizes = (len([*alike]) for _, alike in groupby(groups))
        return [min(_PIECE, size - start) for size in sizes for start in range(0, size, _PIECE)]

    def read(self, names: Sequence[bytes]) -> list[bytes]:
        """See `Container`; ``b""`` where a row has no image."""
        asked, rows = _read_name(names[0])[0], [_read_name(name)[1] for name in names]
        if not 0 <= rows[0] <= rows[-1] < self._file.metadata.num_rows:
            raise FileNotFoundError(errno.ENOENT, "no such row")
        group = int(np.searchsorted(self._ends, rows[0], side="right"))
        start = int(self._ends[group - 1]) if group else 0
        with self._lock:
            held = self._hold(asked, group)
        return [held[row - start].as_py() or b"" for row in rows]

    def _hold(self, asked: str, group: int) -> Any:
        """The images of a row group, kept until others need the room."""
        if (asked, group) not in self._held:
            name = self._expect_held(asked)
            place = _find_bytes(import_module("pyarrow"), self._file.schema_arrow.field(name))
            path = f"{name}.{place}" if place else name
            read = partial(self._file.read_row_group, group, columns=[path], use_threads=False)
            column = self._try(lambda: read()[name].combine_chunks())
            column = column.field(place) if place else column
            while self._held and sum(one.nbytes for one in self._held.values()) + column.nbytes > _MOST_HELD:
                self._held.popitem(last=False)
            self._held[asked, group] = column
        self._held.move_to_end((asked, group))
        return self._held[asked, group]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """The row after the last of each row group."""
        about = self._file.metadata
        return np.cumsum([about.row_group(i).num_rows for i in range(about.num_row_groups)], dtype=np.int64)

    @cached_property
    def _file(self) -> Any:
        try:
            parquet = import_module("pyarrow.parquet")
        except ImportError as error:
            raise UsageError(
                "found no pyarrow, which reads Parquet files: pip install 'fixgrid[parquet]'."
            ) from error
        return self._try(lambda: parquet.ParquetFile(open_blob(self._blob), pre_buffer=False))

    @staticmethod
    def _try(read: Any) -> Any:
        arrow = import_module("pyarrow")
        try:
            return read()
        except arrow.ArrowException as error:
            raise DamagedError(f"it is no Parquet file, or a damaged one ({first_line(error)})") from error


def _find_bytes(arrow: Any, field: Any) -> str | None:
    """What in a column holds the bytes of files: itself (``""``), or a field of it; None if nothing does."""
    if arrow.types.is_struct(field.type):
        names = [one.name for one in field.type if _find_bytes(arrow, one) == ""]
        return "bytes" if "bytes" in names else None
    kind = arrow.types
    return "" if kind.is_binary(field.type) or kind.is_large_binary(field.type) else None


def _read_name(name: bytes) -> tuple[str, int]:
    """The column, empty if it goes without saying, and the row of an image."""
    column, _, row = name.decode("utf-8", "surrogateescape").rpartition("/")
    if not row.isdecimal():
        raise FileNotFoundError(errno.ENOENT, "no such row")
    return column, int(row)


def _read_classes(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Names of classes by column, as Hugging Face's datasets note them in the file's own metadata."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _name_classes(cells: list[Any], names: list[str]) -> list[Any]:
    """Numbers as the names that they stand for; those that are missing, -1, as nothing."""
    if not names:
        return cells
    return [None if cell is None or cell < 0 else names[cell] if cell < len(names) else str(cell) for cell in cells]

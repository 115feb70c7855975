"""What a table is once it is read, whatever it was written as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_text

Cell = str | tuple[str, ...]
"""What a row has under a column; several texts where the format has lists."""


class File(Protocol):
    """What a table is read from: a `pathlib.Path`, or what does these of its things; shown by ``str``."""

    @property
    def name(self) -> str:
        """The last part of where it is."""
        ...

    @property
    def suffix(self) -> str:
        """Of its name, with the dot."""
        ...

    @property
    def parent(self) -> object:
        """What paths are relative to; its ``str`` is a folder's path or URL."""
        ...

    def read_bytes(self) -> bytes:
        """All of it; `OSError` if it cannot be read."""
        ...


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns.

    Attributes
    ----------
    file : File
    names : tuple of str
        Of the columns; empty for one that has none.
    rows : list of tuple of Cell
        Each with a cell a column.
    lines : list of int
        Where each row begins in the file, from 1.
    unit : str
        What these count: ``line``, ``object`` or ``row``.
    notes : tuple of str
        What was odd about the file, for the user.
    encoding : str
        What the file was taken for if it is no UTF-8; names of files may be spelt in its bytes.
    """

    file: File
    names: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    lines: list[int]
    unit: str = "line"
    notes: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def where(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"{self.file}, {self.unit} {self.lines[row]},"

    def read_texts(self, column: int) -> list[str]:
        """A column whose cells are one text each, blanks around them taken off.

        Raises
        ------
        DataError
            If a cell is a list.
        """
        texts = []
        for row, cells in enumerate(self.rows):
            cell = cells[column]
            if not isinstance(cell, str):
                raise DataError(f"{self.where(row)} has a list under {self.show(column)}; expected one text.")
            texts.append(cell.strip())
        return texts

    def show(self, *columns: int) -> str:
        """Names of columns, for messages."""
        named = [show_text(self.names[column]) or "(no name)" for column in columns]
        return ", ".join(named[:8]) + (f" and {len(named) - 8} more" if len(named) > 8 else "")


def expect_names(file: File, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a table's columns, refused if one comes twice.

    Raises
    ------
    DataError
        Naming it.
    """
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise DataError(
            f"found the column {show_text(twice[0])} {names.count(twice[0])} times in {file}; expected each name "
            "once: rename or remove one."
        )
    return names

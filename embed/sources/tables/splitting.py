"""The split of every row, from a column of words or columns that say true or false of one split each."""

from __future__ import annotations

from fixgrid.cache.errors import DataError
from fixgrid.cache.rows import SPLITS

from ..tasks import read_truth
from ..words import read_split_word
from .names import find_mark
from .table import Table


def read_splits(table: Table, columns: tuple[int, ...]) -> list[str]:
    """The split of each row; empty texts without a column.

    A column of truths gives its split where it is true. Where none is, the row belongs to the split that no column
    is of: train, or else test.

    Raises
    ------
    DataError
        If a cell is no word for a split, or a row belongs to two.
    """
    marks = [find_mark(table.names[column]) for column in columns]
    rest = next((split for split in ("train", "test", "val") if split not in marks), "")
    texts = [table.read_texts(column) for column in columns]
    found = []
    for row in range(len(table.rows)):
        splits = {_read_cell(table, row, *one[:2], one[2][row]) for one in zip(columns, marks, texts, strict=True)}
        given = sorted(splits - {""})
        if len(given) > 1 or (columns and not given and not rest):
            what = " and ".join(given) or "no split"
            raise DataError(f"{table.where(row)} is of {what}, under {table.show(*columns)}; expected one split.")
        found.append(given[0] if given else rest if columns else "")
    return found


def _read_cell(table: Table, row: int, column: int, mark: str, text: str) -> str:
    """The split that a cell gives; empty for one that is not true."""
    word, truth = read_split_word(text), read_truth(text)
    if word:
        return word
    if mark and truth is not None:
        return mark if truth else ""
    expected = f"expected {', '.join(SPLITS[:-1])} or {SPLITS[-1]}" + (", or 0 or 1" if mark else "")
    raise DataError(
        f"{table.where(row)} has the split {text!r} under {table.show(column)}; {expected}: --split-col none deals "
        "the images anew."
    )

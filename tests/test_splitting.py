"""A row's split is a word, or the one column of truths that is true; never a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.tables.splitting import read_splits
from fixgrid.embed.sources.tables.table import Table


def read(names: str, *rows: str) -> list[str]:
    cells = [tuple(row.split(",")) for row in rows]
    table = Table(Path("t.csv"), tuple(names.split(",")), cells, list(range(2, 2 + len(cells))))
    return read_splits(table, tuple(range(len(names.split(",")))))


@pytest.mark.parametrize(
    ("names", "rows", "splits"),
    [
        ("split", ["TRAINING", " valid", "Test"], ["train", "val", "test"]),
        ("is_valid", ["0", "1", "False", "yes"], ["train", "val", "train", "val"]),
        ("is_valid", ["train", "val", "test"], ["train", "val", "test"]),
        ("is_test", ["True", "0.0"], ["test", "train"]),
        ("is_train", ["1", "0"], ["train", "test"]),
        ("is_valid,is_test", ["1,0", "0,1", "0,0"], ["val", "test", "train"]),
        ("is_train,is_test", ["1,0", "0,1", "0,0"], ["train", "test", "val"]),
    ],
)
def test_words_and_truths_give_splits(names: str, rows: list[str], splits: list[str]) -> None:
    assert read(names, *rows) == splits


@pytest.mark.parametrize(
    ("names", "rows", "message"),
    [
        (
            "subset",
            ["train", "3"],
            "t.csv, line 3, has the split '3' under subset; expected train, val or test: --spl",
        ),
        ("is_valid", ["maybe"], "has the split 'maybe' under is_valid; expected train, val or test, or 0 or 1"),
        ("is_valid,is_test", ["0,0", "1,1"], "line 3, is of test and val, under is_valid, is_test; expected one"),
        ("is_train,is_valid,is_test", ["0,0,0"], "line 2, is of no split"),
    ],
)
def test_what_is_no_split_is_named_with_its_line(names: str, rows: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(names, *rows)


def test_without_a_column_no_row_has_a_split() -> None:
    assert read_splits(Table(Path("t.csv"), ("path",), [("a",)], [2]), ()) == [""]

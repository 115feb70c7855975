"""CSV: path, split, label, row, view, then a column a feature, each the shortest text of its float32."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from .lines import Lines

_STEP = 256  # lines that are held as texts at once


def check(lines: Lines) -> None:
    """Refuse names that are not UTF-8."""
    lines.expect_text(".csv")


def write(lines: Lines, file: BinaryIO) -> None:
    """Write the lines; without a label the column is empty."""
    names = ["path", "split", "label", "row", "view", *(f"feature_{i}" for i in range(lines.dim))]
    file.write(to_text([names]))
    for part, texts in read_texts(lines):
        paths = (path.decode() for path in lines.list_paths(part))
        numbers = lines.row[part].tolist(), lines.view[part].tolist()
        facts = zip(paths, lines.list_splits(part), lines.list_labels(part), *numbers, strict=True)
        file.write(to_text([*fact, *row] for fact, row in zip(facts, texts, strict=True)))


def read_texts(lines: Lines) -> Iterator[tuple[slice, list[list[str]]]]:
    """Some lines at a time, and their features as texts.

    Each is numpy's shortest that is read back as the same float32; float16 as the float32 that it equals.
    """
    start = 0
    for block in lines.read():
        for first in range(0, len(block), _STEP):
            X = block[first : first + _STEP].astype("<f4")
            yield slice(start, start + len(X)), X.astype(str).tolist()
            start += len(X)


def to_text(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV in UTF-8; None is nothing."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()

"""Single images of a data set: found by path or content, and their features."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from .rows import Manifest, Rows
from .sealed import Sealed

Row = tuple[str, int]
"""Split and row id."""


def find_path(manifest: Manifest, path: bytes) -> Row | None:
    """The row of an image, by its path below the root or the absolute one; no file needs to be there."""
    below = os.path.relpath(path, os.fsencode(manifest.place)) if os.path.isabs(path) else os.path.normpath(path)
    found = ((split, rows.paths.index(below)) for split, rows in manifest.splits.items() if below in rows.paths)
    return next(found, None)


def find_content(manifest: Manifest, splits: Iterable[str], sha256: NDArray[np.uint8]) -> list[list[Row]]:
    """The rows of some splits whose files have the bytes of each of ``sha256`` (q, 32), in their order."""
    wanted: dict[bytes, list[Row]] = {digest.tobytes(): [] for digest in sha256}
    for split in splits:
        for row, digest in enumerate(manifest.splits[split].sha256):
            if (rows := wanted.get(digest.tobytes())) is not None:
                rows.append((split, row))
    return [wanted[digest.tobytes()] for digest in sha256]


def read_rows(sealed: Sealed, rows: Rows, wanted: Collection[int]) -> dict[int, NDArray[np.float32]]:
    """Features (V, D) of those of the wanted rows that have any.

    Raises
    ------
    CacheError
        If the file cannot be trusted.
    """
    found = {}
    for block in sealed.read_blocks(rows):
        for i in np.flatnonzero(np.isin(block.row, list(wanted))).tolist():
            found[int(block.row[i])] = block.X[i].copy()  # the block itself can go
    return found

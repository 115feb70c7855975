"""Files with equal bytes in one data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.text import show_path


def find_copies(manifest: Manifest) -> tuple[str, ...]:
    """Notes on files with equal bytes: in two splits or under two labels, which a score must know of, or again."""
    parts = list(manifest.splits.values())
    # By eight bytes first, which a sort is quick at: nearly all contents are alone with theirs.
    head = np.concatenate([np.ascontiguousarray(rows.sha256[:, :8]).view(np.uint64).reshape(-1) for rows in parts])
    order = np.argsort(head, kind="stable")
    head = head[order]
    same = np.flatnonzero(head[1:] == head[:-1])
    at = np.sort(order[np.union1d(same, same + 1)])
    del head, order
    starts = np.cumsum([0, *map(len, parts)])
    alike: dict[bytes, list[int]] = {}
    for i, row in zip((np.searchsorted(starts, at, side="right") - 1).tolist(), at.tolist(), strict=True):
        alike.setdefault(parts[i].sha256[row - starts[i]].tobytes(), []).append(row)
    groups = [rows for rows in alike.values() if len(rows) > 1]
    seen = [_count_kinds(parts, starts, rows) for rows in groups]
    notes = []
    again = [rows for rows, counts in zip(groups, seen, strict=True) if counts == (1, 1)]
    if again:
        where = "" if manifest.task == "unlabelled" else " in a class"
        last = _name_last(parts, starts, again[0])
        notes.append(f"{len(again)} image(s) occur more than once{where}, such as {last}")
    for which, what in enumerate(("in more than one split", "under more than one label")):
        repeated = [rows for rows, counts in zip(groups, seen, strict=True) if counts[which] > 1]
        if repeated:
            last = _name_last(parts, starts, repeated[0])
            notes.append(f"{len(repeated)} image(s) occur {what}, such as {last}")
    return tuple(notes)


def _count_kinds(parts: Sequence[Rows], starts: NDArray[np.int64], rows: Sequence[int]) -> tuple[int, int]:
    """How many splits some rows are in, which are counted through all splits, and how many labels they have."""
    splits = (np.searchsorted(starts, rows, side="right") - 1).tolist()
    labels = {str(parts[i].labels[row - starts[i]].tolist()) for i, row in zip(splits, rows, strict=True)}
    return len(set(splits)), len(labels)


def _name_last(parts: Sequence[Rows], starts: NDArray[np.int64], rows: Sequence[int]) -> str:
    """The path of the last of such rows."""
    i = int(np.searchsorted(starts, rows[-1], side="right")) - 1
    return show_path(parts[i].paths[rows[-1] - int(starts[i])])

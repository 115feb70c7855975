"""Files with equal bytes in one data set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from fixgrid.cache.rows import Manifest
from fixgrid.cache.text import show_path


def find_copies(manifest: Manifest) -> tuple[str, ...]:
    """Notes on files with equal bytes: in two splits or under two labels, which a score must know of, or again."""
    splits: Mapping[bytes, set[str]] = defaultdict(set)
    labels: Mapping[bytes, set[str]] = defaultdict(set)
    paths: dict[bytes, bytes] = {}
    copies: Counter[bytes] = Counter()
    for split, rows in manifest.splits.items():
        for path, content, label in zip(rows.paths, rows.sha256, rows.labels.tolist(), strict=True):
            digest = content.tobytes()
            splits[digest].add(split)
            labels[digest].add(str(label))
            paths[digest] = path
            copies[digest] += 1
    notes = []
    again = [d for d, n in copies.items() if n > 1 and len(splits[d]) == len(labels[d]) == 1]
    if again:
        where = "" if manifest.task == "unlabelled" else " in a class"
        notes.append(f"{len(again)} image(s) occur more than once{where}, such as {show_path(paths[again[0]])}")
    for found, what in ((splits, "in more than one split"), (labels, "under more than one label")):
        repeated = [digest for digest, values in found.items() if len(values) > 1]
        if repeated:
            notes.append(f"{len(repeated)} image(s) occur {what}, such as {show_path(paths[repeated[0]])}")
    return tuple(notes)

"""What a data set is, for people and for records: its classes and the sizes of its splits."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixgrid.cache.rows import Manifest
from fixgrid.cache.text import show_text
from fixgrid.cache.width import cut_start, measure_width

WIDTH = 71
"""Characters that a line of 80 has left behind the title of a setting."""
_MOST_NAMED = 10


def outline(manifest: Manifest) -> dict[str, Any]:
    """Task, classes and images of each split, as JSON values; of numbers their range, of groups their number."""
    facts: dict[str, Any] = {"task": manifest.task, "classes": len(manifest.classes), "names": [*manifest.classes]}
    if manifest.task == "regression":
        facts["range"] = [*_find_range(manifest)]
    facts["images"] = {split: len(rows) for split, rows in manifest.splits.items()}
    return facts | ({"groups": n} if (n := count_groups(manifest)) else {})


def describe_classes(manifest: Manifest, width: int = WIDTH) -> str:
    """How many classes there are, and the first ten or fewer, as far as they fit; or what there is instead.

    >>> from types import SimpleNamespace
    >>> describe_classes(SimpleNamespace(task="multiclass", classes=("ant", "bee", "cow")), width=17)
    '3: ant, bee, ...'
    """
    if manifest.task == "unlabelled":
        return "none: the images have no labels"
    names = [show_text(name) for name in manifest.classes]
    if manifest.task == "regression":
        low, high = _find_range(manifest)
        return f"none: numbers from {low:g} to {high:g} ({names[0]})"
    how = {"ordinal": " in order", "multilabel": ", any number an image"}.get(manifest.task, "")
    start = f"{len(names)}{how}: "
    for n in range(min(len(names), _MOST_NAMED), 0, -1):
        line = start + ", ".join([*names[:n], "..."] if n < len(names) else names)
        if measure_width(line) <= width:
            return line
    return cut_start(f"{start}{names[0]}", width - 3) + "..."


def describe_images(manifest: Manifest) -> str:
    """How many images each split has, and how many groups there are."""
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in manifest.splits.items())
    return f"{sizes}; {n:,} groups" if (n := count_groups(manifest)) else sizes


def count_groups(manifest: Manifest) -> int:
    """Groups of images, those of one image among them; 0 where nothing is grouped."""
    numbers = [rows.groups for rows in manifest.splits.values() if rows.groups is not None]
    return len(np.unique(np.concatenate(numbers))) if numbers else 0


def _find_range(manifest: Manifest) -> tuple[float, float]:
    values = np.concatenate([rows.labels for rows in manifest.splits.values()])
    return float(values.min()), float(values.max())

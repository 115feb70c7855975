"""The cached images most alike to others: exact cosines, no index, features in blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.rows import Manifest
from fixgrid.cache.text import escape_markdown, format_records, shorten_names, shorten_paths, show_label, show_path

from .knn import unit_rows

CELLS = 2**22
"""Features of a block, and cosines of it: 32 MiB of float64 each."""


@dataclass(frozen=True)
class Neighbour:
    """A cached image.

    Attributes
    ----------
    split : str
    row : int
        Its row id.
    path : bytes
        Below the data set's root.
    label : str, tuple of str, float or None
        Name of its class, its classes or its number; None without a label.
    similarity : float
        Cosine of its features and the other's, float32.
    """

    split: str
    row: int
    path: bytes
    label: str | tuple[str, ...] | float | None
    similarity: float


@dataclass(frozen=True)
class Alike:
    """An image and the cached ones most alike to it.

    Attributes
    ----------
    path : bytes
        As the user named it.
    status : str
        ``ok``, or why there are no features to compare.
    neighbours : tuple of Neighbour
        The most alike first; of equal ones the first in the data set.
    """

    path: bytes
    status: str
    neighbours: tuple[Neighbour, ...] = ()


Found = tuple[str, int, float]
"""Split, row id and similarity."""


def find_neighbours(
    X: NDArray[np.float32],
    held: Iterable[tuple[str, Iterator[FeatureSet]]],
    top: int,
    itself: Sequence[tuple[str, int] | None],
) -> list[list[Found]]:
    """The ``top`` cached rows of the largest cosine to each row of ``X``, the largest first.

    Computed in float64 and compared as float32, so that equal images are equally alike wherever they stand.

    Parameters
    ----------
    X : float32 array, shape (q, D)
    held : iterable of (split, blocks)
        Cached features of one view, in the order in which equal ones are named; one block is held at a time.
    top : int
    itself : sequence of (split, row id) or None, length q
        The row that each of them is, which is no neighbour of its own.
    """
    wanted = unit_rows(X.astype(np.float64))
    names: list[str] = []
    best: NDArray[Any] = np.zeros((len(X), 0), np.float32)
    split: NDArray[Any] = np.zeros((len(X), 0), np.int64)
    row: NDArray[Any] = split
    for name, blocks in held:
        names.append(name)
        mine = np.array([own[1] if own and own[0] == name else -1 for own in itself], np.int64)
        for block in blocks:
            cosine = (wanted @ unit_rows(block.X[:, 0].astype(np.float64)).T).astype(np.float32)
            cosine[block.row == mine[:, None]] = -np.inf
            best = np.concatenate([best, cosine], 1)
            split = np.concatenate([split, np.full(cosine.shape, len(names) - 1)], 1)
            row = np.concatenate([row, np.broadcast_to(block.row, cosine.shape)], 1)
            order = np.argsort(-best, axis=1, kind="stable")[:, :top]
            best, split, row = (np.take_along_axis(part, order, 1) for part in (best, split, row))
    lists = zip(split.tolist(), row.tolist(), best.tolist(), strict=True)
    return [
        [(names[k], i, value) for k, i, value in zip(*parts, strict=True) if value > -np.inf] for parts in lists
    ]


def name_neighbours(found: Iterable[Found], manifest: Manifest) -> tuple[Neighbour, ...]:
    """What the rows are: path and class of each."""
    neighbours = []
    for split, row, value in found:
        rows = manifest.splits[split]
        named = manifest.name_label(rows.labels[row])
        neighbours.append(Neighbour(split, row, rows.paths[row], None if named == "" else named, value))
    return tuple(neighbours)


def format_alike(found: Sequence[Alike], style: str) -> str:
    """A record for each pair of images in one of `heads.table.FORMATS`, JSON for each image, ending in a newline.

    JSON holds paths and classes as they are; the others escape what a terminal or a table would obey.
    """
    if style == "json":
        return format_records([_describe(one) for one in found], style)
    escape = escape_markdown if style == "md" else str
    records = [record for one in found for record in _list_records(one, style, escape)]
    if len(found) == 1 and style != "csv":
        records = [{name: value for name, value in record.items() if name != "image"} for record in records]
    short = {"image": shorten_paths, "class": shorten_names, "path": shorten_paths}
    return format_records(records, style, shortened=short)


def _describe(one: Alike) -> dict[str, Any]:
    nearest = [
        {
            "path": os.fsdecode(near.path),
            "split": near.split,
            "row": near.row,
            "class": near.label,
            "similarity": near.similarity,
        }
        for near in one.neighbours
    ]
    return {"path": os.fsdecode(one.path), "status": one.status, "nearest": nearest}


def _list_records(one: Alike, style: str, escape: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    image = escape(show_path(one.path))
    for near in one.neighbours:
        value = near.similarity if style == "csv" else f"{near.similarity:.4f}"
        label = None if near.label is None else escape(show_label(near.label))
        shown = {"similarity": value, "split": near.split, "class": label, "path": escape(show_path(near.path))}
        yield {"image": image, **shown}
    if not one.neighbours:
        why = "no other image" if one.status == "ok" else f"skipped: {one.status}"
        yield {"image": image, "similarity": None, "split": "", "class": "", "path": why}

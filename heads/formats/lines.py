"""The lines of a file of features: what each is of, and the features themselves in blocks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.hints import Place
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.sealed import Sealed
from fixgrid.cache.shard import Status
from fixgrid.cache.text import join_names, show_path

FORMAT = "fixgrid-features-1"
_BLOCK_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class Lines:
    """Features of some splits, a line for each view of each image that has features.

    Lines are in the order of splits, images in the order of the manifest, the views of one after another, as
    `fixgrid.open(...).load` gives them.

    Attributes
    ----------
    holdings : Holdings
    places : sequence of (split, view kind, px)
    split : uint8 array, shape (n,)
        Index into ``places``.
    row, view : int64 array, shape (n,)
        Row id of the image in its split, and which of its views.
    label : array of n
        As `Rows` has them: index into the classes (-1 without a label), which classes, or a number.
    skipped : list of dict
        Split, row id, path and status of the images that have no line.
    """

    holdings: Holdings
    places: Sequence[Place]
    split: NDArray[np.uint8]
    row: NDArray[np.int64]
    view: NDArray[np.int64]
    label: NDArray[Any]
    skipped: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return [split for split, _, _ in self.places]

    @property
    def dim(self) -> int:
        """D, the number of features of a line."""
        return self._entries[0].spec.dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """As they are stored: float32 or float16, little endian."""
        return np.dtype(self._entries[0].spec.dtype).newbyteorder("<")

    @property
    def _entries(self) -> list[Sealed]:
        return [self.holdings.entry(*place) for place in self.places]

    def read(self) -> Iterator[NDArray[Any]]:
        """The features in blocks (m, D) of at most 16 MiB, in the order of the lines and as they are stored."""
        for (split, _, _), entry in zip(self.places, self._entries, strict=True):
            rows = self.holdings.manifest.splits[split]
            for block in entry.read_blocks(rows, self._block_rows, checked=True):
                yield block.X.reshape(-1, self.dim).astype(self.dtype, copy=False)

    @property
    def _block_rows(self) -> int:
        widest = max(entry.spec.views * entry.spec.dim for entry in self._entries)
        return max(1, _BLOCK_BYTES // (4 * widest))

    def list_paths(self, part: slice = slice(None)) -> list[bytes]:
        """Path of each line's image below the root."""
        rows = [self.holdings.manifest.splits[split].paths for split in self.splits]
        return [rows[k][i] for k, i in zip(self.split[part].tolist(), self.row[part].tolist(), strict=True)]

    def list_labels(self, part: slice = slice(None)) -> list[str | float | None]:
        """Each line's class by name, its classes as `join_names` has them, or its number; None without a label."""
        named = map(self.holdings.manifest.name_label, self.label[part])
        joined = [join_names(label) if isinstance(label, tuple) else label for label in named]
        return [None if label == "" else label for label in joined]

    def list_splits(self, part: slice = slice(None)) -> list[str]:
        """Name of each line's split."""
        return [self.splits[k] for k in self.split[part].tolist()]

    def describe(self) -> str:
        """What they are of, as JSON in ASCII: data set, trunk, views and keys by split, classes, skipped images."""
        manifest, entries = self.holdings.manifest, dict(zip(self.splits, self._entries, strict=True))
        spec = self._entries[0].spec
        facts = {
            "format": FORMAT,
            "data": manifest.source,
            "root": manifest.root,
            "trunk": self.holdings.trunk,
            "architecture": spec.trunk["architecture"],
            "weights_sha256": spec.trunk["weights_sha256"],
            "features": self.holdings.features,
            "precision": spec.precision,
            "dtype": spec.dtype,
            "splits": self.splits,
            "views": {split: dict(entry.spec.view) for split, entry in entries.items()},
            "keys": {split: entry.spec.key for split, entry in entries.items()},
            "versions": {split: entry.provenance.get("versions") for split, entry in entries.items()},
            "task": manifest.task,
            "classes": list(manifest.classes),
            "skipped": self.skipped,
        }
        return json.dumps(facts)

    def expect_text(self, suffix: str) -> None:
        """Refuse paths and classes that a format of UTF-8 text cannot hold.

        Raises
        ------
        UsageError
        """
        for name in {*self.list_paths(), *map(os.fsencode, self.holdings.manifest.classes)}:
            try:
                name.decode()
            except UnicodeDecodeError:
                raise UsageError(
                    f"found the name {show_path(name)}, which is not UTF-8; {suffix} holds nothing else: name an "
                    "--out that ends in .npz or .safetensors."
                ) from None


def gather_lines(holdings: Holdings, places: Sequence[Place]) -> Lines:
    """The lines of some splits, all seen in the same way; every byte of theirs is hashed first.

    Raises
    ------
    CacheError
        If features cannot be trusted.
    UsageError
        If no image has any.
    """
    parts: list[tuple[NDArray[Any], ...]] = []
    skipped: list[dict[str, Any]] = []
    for k, place in enumerate(places):
        entry, rows = holdings.entry(*place), holdings.manifest.splits[place[0]]
        entry.check_digest()
        status, views = entry.read_status(), entry.spec.views
        ok = np.flatnonzero(status == Status.OK)
        row = ok.repeat(views)
        parts.append((np.full(len(row), k), row, np.tile(np.arange(views), len(ok)), rows.labels[row]))
        for i in np.flatnonzero(status != Status.OK).tolist():
            facts = {"path": os.fsdecode(rows.paths[i]), "status": Status(int(status[i])).name.lower()}
            skipped.append({"split": place[0], "row": i, **facts})
    split, row, view, label = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if not len(split):
        raise UsageError(f"found no image with features among {len(skipped)}; expected some to write.")
    return Lines(holdings, places, split.astype(np.uint8), row, view, label, skipped)

"""Which images a kept head has met: those that it was trained on, and those that it was chosen on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixgrid.cache.errors import CacheError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import list_manifests, read_rows
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.text import show_path

from .artifact import SavedHead

Contents = frozenset[bytes]
"""Digests of files."""


@dataclass(frozen=True)
class Learnt:
    """Contents of the images that a head learnt from, and of those that it was chosen on."""

    trained: Contents
    chosen: Contents


@dataclass(frozen=True)
class Met:
    """How many of some images a head was trained on, and chosen on, and the path of one of them."""

    trained: int = 0
    chosen: int = 0
    example: bytes = b""

    def describe(self, n: int) -> str:
        """What that means for the figures of ``n`` images; empty if there is no such image."""
        counts = {"trained": self.trained, "chosen": self.chosen}
        said = " and ".join(f"{how} on {count:,}" for how, count in counts.items() if count)
        example = f", such as {show_path(self.example)}" * (self.trained + self.chosen < n)
        met = f"Leak: the head was {said} of these {n:,} images{example}: others may be harder for it."
        return met if said else ""


def recall_learnt(saved: SavedHead, store: FeatureStore) -> Learnt | None:
    """The images that a head has met, by the records of a cache; None if these do not tell.

    Training images that were dropped, since val or test have them, too, are not among them.

    Parameters
    ----------
    saved : SavedHead
    store : FeatureStore
        Of the cache that it may have been fitted from.
    """
    facts: Mapping[str, Any] = saved.data.get("splits", {})
    met = [split for split in ("train", "val") if split in facts or split in saved.keys]
    dropped = bool(saved.trained_on.get("train", {}).get("dropped"))
    records, found = [manifest for _, manifest in list_manifests(store.folder / "data")], dict[str, Contents]()
    for split in [*met, *["test"] * dropped]:
        rows = _find_rows(saved, split, records, store)
        if rows is None:
            return None
        found[split] = frozenset(digest.tobytes() for digest in rows.sha256)
    if dropped:
        found["train"] -= found.get("val", frozenset()) | found["test"]
    trained = [split for split in met if split == "train" or split in saved.trained_on]
    chosen = [split for split in met if split not in trained]
    return Learnt(*(frozenset().union(*(found[split] for split in part)) for part in (trained, chosen)))


def _find_rows(saved: SavedHead, split: str, records: Sequence[Manifest], store: FeatureStore) -> Rows | None:
    """The rows of a split as they were, from the record of the data set, else from that of their features."""
    digest = saved.data.get("splits", {}).get(split, {}).get("rows_sha256")
    for manifest in records:
        if split in manifest.splits and manifest.splits[split].digest == digest:
            return manifest.splits[split]
    for key in saved.keys.get(split, ()):
        with suppress(OSError, CacheError):
            return read_rows(store.folder / str(key)[:2] / str(key) / "rows.h5")
    return None


def count_met(learnt: Learnt, rows: Rows) -> Met:
    """How many of the images a head has met; those that it was trained on count as that alone."""
    digests = [digest.tobytes() for digest in rows.sha256]
    trained = np.array([digest in learnt.trained for digest in digests], np.bool_)
    chosen = np.array([digest in learnt.chosen for digest in digests], np.bool_) & ~trained
    either = np.flatnonzero(trained | chosen)
    return Met(int(trained.sum()), int(chosen.sum()), rows.paths[int(either[0])] if len(either) else b"")

"""A data set whose training split lacks some images: another source of features, its row ids unchanged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.view import View

from .source import Source


@dataclass(frozen=True, eq=False)
class TrainSubset:
    """A source with some of its training images; val and test are whole.

    Its identity holds the rows kept, so whatever is remembered under it is never taken for another subset's.

    Attributes
    ----------
    source : Source
    rows : int64 array
        Row ids of the training images that are kept, each with all of its views.
    """

    source: Source
    rows: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        """As the source."""
        return self.source.n_classes

    def view(self, split: str, kind: str, res: int) -> View:
        """As the source."""
        return self.source.view(split, kind, res)

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        """As the source, without the training images left out."""
        whole = self.source.load(split, kind, res)
        return keep_rows(whole, self.rows) if split == "train" else whole

    def identify(self, split: str, kind: str, res: int) -> str:
        """As the source, and for train the rows kept."""
        whole = self.source.identify(split, kind, res)
        if split != "train":
            return whole
        return f"{whole}:{name_rows(self.rows)}"


def name_rows(rows: NDArray[np.int64]) -> str:
    """Hex sha256 that tells sets of row ids apart, whatever their order."""
    return hashlib.sha256(np.unique(rows).astype("<i8").tobytes()).hexdigest()


def keep_rows(features: FeatureSet, rows: NDArray[np.int64]) -> FeatureSet:
    """The images of ``features`` whose row ids are among ``rows``; the same object where all are."""
    kept = np.isin(features.row, rows)
    if kept.all():
        return features
    parts = {name: getattr(features, name) for name in ("X", "y", "row", "sha256", "group")}
    return replace(features, **{name: part[kept] for name, part in parts.items() if part is not None})

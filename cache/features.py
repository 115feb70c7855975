"""Features as heads and notebooks take them: arrays with their labels, whatever cache they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features of one split, seen one way; rows that could not be computed are already left out.

    Attributes
    ----------
    X : float32 array, shape (n, V, D)
        V views (crops or draws) of each image; `fixgrid.cache.blocks.Blocks` of them, where they stay on disk.
    y : array, shape (n,) or (n, K)
        Labels, as `fixgrid.cache.rows.Rows` has them.
    row : int64 array, shape (n,)
        Row ids in the manifest's split, ascending.
    sha256 : uint8 array, shape (n, 32)
        Digest of each image file, for finding duplicates.
    group : int64 array, shape (n,), optional
        Images of one number belong together.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]
    row: NDArray[np.int64]
    sha256: NDArray[np.uint8]
    group: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Skipped:
    """An image of a split without features: its path below the root, its row id, and what became of it."""

    path: str
    row: int
    status: str


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of one split as scikit-learn takes them: a line for each view of each image, and what each line is.

    Attributes
    ----------
    X : float32 array, shape (n * V, D)
        The V views of an image one after another, images in the order of the manifest.
    y : array, shape (n * V,) or (n * V, K)
        Labels, as `fixgrid.cache.rows.Rows` has them: indices into ``classes``, or which of them, or numbers.
    paths : tuple of str, length n * V
        Image of each line, relative to ``root``; undecodable bytes as `os.fsdecode` gives them.
    row : int64 array, shape (n * V,)
        Row id of the image in its split: equal for the views of one, so the groups of a cross-validation.
    view : int64 array, shape (n * V,)
        Which view of the image, 0 to V - 1.
    classes : tuple of str
        Names of the labels.
    root : str
        Folder of the images when they were extracted.
    skipped : tuple of Skipped
        Images of the split that have no line.

    Raises
    ------
    UsageError
        If the parts are not of one length.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]
    paths: tuple[str, ...]
    row: NDArray[np.int64]
    view: NDArray[np.int64]
    classes: tuple[str, ...]
    root: str
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        for name in ("y", "paths", "row", "view"):
            if len(getattr(self, name)) != len(self.X):
                raise UsageError(
                    f"found {len(getattr(self, name))} lines of {name}, expected {len(self.X)} as of X: "
                    "choose lines of all of them at once with take."
                )

    def __len__(self) -> int:
        return len(self.X)

    @property
    def labels(self) -> NDArray[Any]:
        """Label of each line, shape (n * V,): its class, ``""`` for none; a tuple of its classes; its number."""
        if self.y.dtype.kind == "f":
            return self.y
        if self.y.ndim == 1:
            return np.asarray(np.array([*self.classes, ""], np.str_)[self.y])  # -1, which is none, is the last
        named = np.empty(len(self), object)
        for line, has in enumerate(self.y):
            named[line] = tuple(self.classes[number] for number in np.flatnonzero(has))
        return named

    def take(self, lines: NDArray[np.bool_] | NDArray[np.integer]) -> FeatureTable:
        """Some lines, by a mask or in the order of their indices; ``skipped`` stays."""
        chosen = np.arange(len(self))[lines]
        return replace(
            self,
            X=self.X[chosen],
            y=self.y[chosen],
            paths=tuple(self.paths[line] for line in chosen.tolist()),
            row=self.row[chosen],
            view=self.view[chosen],
        )

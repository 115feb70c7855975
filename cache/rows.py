"""The rows of a data set: which image files, in which order, with which content and label."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
DEALT_2020 = ":2020"
"""Behind the name of Stanford Dogs, or of a folder that has them: their images dealt anew, as in the 2020 study."""


def split_variant(source: str) -> tuple[str, str]:
    """A data set's name without `DEALT_2020`, and that, or nothing where it is not there or part of a path."""
    if source.endswith(DEALT_2020) and not os.path.lexists(os.path.expanduser(source)):
        return source.removesuffix(DEALT_2020), DEALT_2020
    return source, ""


@dataclass(frozen=True, eq=False)
class Rows:
    """One split's images in manifest order. The position in this order is the row id.

    Attributes
    ----------
    paths : tuple of bytes
        Relative to the manifest's root, ``/`` separated, as ``os.fsencode`` gives them.
    sizes : int64 array, shape (n,)
        Bytes of each file.
    sha256 : uint8 array, shape (n, 32)
        Digest of each file's bytes.
    labels : int64 array, shape (n,)
        Index into the manifest's classes. Not part of the digest: labels do not change features.
    """

    paths: tuple[bytes, ...]
    sizes: NDArray[np.int64]
    sha256: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, index: NDArray[np.int64]) -> Rows:
        """Some of the rows, by their row ids, in that order."""
        paths = tuple(self.paths[row] for row in index.tolist())
        return Rows(paths, self.sizes[index], self.sha256[index], self.labels[index])

    @cached_property
    def digest(self) -> str:
        """Hex sha256 over every row's path, size and content, in order."""
        total = hashlib.sha256()
        for path, size, content in zip(self.paths, self.sizes.tolist(), self.sha256, strict=True):
            total.update(b"%d:%s %d " % (len(path), path, size) + content.tobytes())
        return total.hexdigest()


@dataclass(frozen=True, eq=False)
class Manifest:
    """A labelled data set: where its files are, its classes, and the rows of each split.

    Attributes
    ----------
    source : str
        What the user typed to name it, e.g. ``sample`` or a folder.
    root : str
        What every path is relative to: an absolute folder, or ``NAME:rest`` where the data source NAME keeps its
        images otherwise than as files.
    classes : tuple of str
        Class names; a label is an index into it.
    splits : dict of str to Rows
        Keys from `SPLITS`, in that order; none is empty.
    options : tuple of str
        What else ``extract`` was told of the data set, as typed: ``("--seed", "5")``.
    """

    source: str
    root: str
    classes: tuple[str, ...]
    splits: dict[str, Rows]
    options: tuple[str, ...] = ()

"""The rows of a data set: which image files, in which order, with which content and label."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .strings import Strings

SPLITS = ("train", "val", "test")
End = tuple[str, int]
"""Split and row id of an image."""
TASKS = ("multiclass", "ordinal", "multilabel", "regression", "unlabelled")
"""What labels are: a class of each image; a class of an order; any number of classes; a number; nothing."""
CONTAINED = "archive"
"""What the root of a data set begins with, before a colon, whose images lie in containers below a folder or URL."""
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
    paths : Strings
        Relative to the manifest's root, ``/`` separated, as ``os.fsencode`` gives them. Made of any iterable.
    sizes : int64 array, shape (n,)
        Bytes of each file.
    sha256 : uint8 array, shape (n, 32)
        Digest of each file's bytes.
    labels : array
        By the manifest's task. One class: its index, int64 (n,), -1 without labels. Several: whether each image
        is of each class, bool (n, K). Numbers: float64 (n,). Not part of the digest: labels do not change features.
    groups : int64 array, shape (n,), optional
        Images of one number, in whatever split, belong together (those of one patient or one clip), and no deal
        parts them.
    """

    paths: Strings
    sizes: NDArray[np.int64]
    sha256: NDArray[np.uint8]
    labels: NDArray[Any]
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", Strings.gather(self.paths))

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, index: NDArray[np.int64]) -> Rows:
        """Some of the rows, by their row ids, in that order."""
        groups = None if self.groups is None else self.groups[index]
        return Rows(self.paths.take(index), self.sizes[index], self.sha256[index], self.labels[index], groups)

    @cached_property
    def digest(self) -> str:
        """Hex sha256 over every row's path, size and content, in order."""
        total, start = hashlib.sha256(), 0
        for paths in self.paths.cut():
            part = slice(start, start := start + len(paths))
            rows = zip(paths, self.sizes[part].tolist(), Strings.of_width(self.sha256[part]), strict=True)
            total.update(b"".join([b"%d:%s %d %s" % (len(path), path, size, sha) for path, size, sha in rows]))
        return total.hexdigest()


def find_strata(labels: NDArray[Any]) -> NDArray[np.int64]:
    """What images are dealt by, so that each part has its share of it: int64, shape (n,).

    The class; of several the one that fewest images have, which would be the first that a part lacks (as the
    iterative stratification of Sechidis et al. 2011 begins), and after the last for none; of numbers the tenth.

    Parameters
    ----------
    labels : array
        As `Rows` has them.
    """
    if labels.dtype.kind == "f":
        cuts = np.quantile(labels, np.arange(1, 10) / 10)
        return np.asarray(np.searchsorted(cuts, labels, side="right"), np.int64)
    if labels.ndim == 1:
        return np.asarray(labels, np.int64)
    turn = np.argsort(labels.sum(0), kind="stable")
    none = ~labels.any(1)
    return np.asarray(np.where(none, labels.shape[1], turn[labels[:, turn].argmax(1)]), np.int64)


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
        Class names; a label is an index into it. Of numbers what they are, one name; empty without labels.
    splits : dict of str to Rows
        Keys from `SPLITS`, in that order; none is empty.
    options : tuple of str
        What else ``extract`` was told of the data set, as typed: ``("--seed", "5")``.
    task : str
        One of `TASKS`.
    """

    source: str
    root: str
    classes: tuple[str, ...]
    splits: dict[str, Rows]
    options: tuple[str, ...] = ()
    task: str = "multiclass"

    @property
    def place(self) -> str:
        """The folder below which all of it lies, be it in containers; a root of another kind as it is."""
        return self.root.removeprefix(f"{CONTAINED}:")

    def name_labels(self, split: str) -> list[str | tuple[str, ...] | float]:
        """The label of every row of a split: its class, ``""`` for none; its classes; its number."""
        return [self.name_label(label) for label in self.splits[split].labels]

    def name_label(self, label: Any) -> str | tuple[str, ...] | float:
        """One of the labels that `Rows` has, as `name_labels` gives it."""
        if self.task == "regression":
            return float(label)
        if self.task == "multilabel":
            return tuple(self.classes[number] for number in np.flatnonzero(label))
        return self.classes[label] if label >= 0 else ""

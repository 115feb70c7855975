"""Images that occur twice, within a split or across splits: listed, or left out of the training images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fixgrid.cache.errors import CacheError, DataError, say_command
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.rows import SPLITS, End, Rows
from fixgrid.cache.text import show_text

from .knn import unit_rows
from .source import Source
from .subset import TrainSubset

# Of the centre features of efficientnet_lite0 at 224 px: no two of 2,047 distinct photographs of dogs or flowers
# come nearer than .922, and 99 % of copies of 30 kinds, down to .5, are their original's nearest or the reverse.
_NEAR_COSINE = 0.95
_NEIGHBOURS = 5
_ALIKE = 0.9  # small, grey and whole: 12 of 4.2 million pairs of these photographs, mirrored or not
_MEASURED_RES = 224
_MOST_ALIKE = 0.05  # pairs per image; the digits of the sample have more than one, the photographs of dogs none
_CELLS = 2**22  # entries of a block of cosines: 16 MiB
_UNPROVEN = ("near", "scene")

Names = NDArray[np.int64]


class Likeness(Protocol):
    """What two images have in common by their pixels; see `fixgrid.embed.copies.Likeness`."""

    @property
    def how(self) -> str:
        """As `Twin.how`; empty if they are different pictures."""

    @property
    def correlation(self) -> float:
        """Of their grey pixels."""


class Comparer(Protocol):
    """The images of a data set, to compare."""

    def sketch(self, ends: Sequence[End]) -> NDArray[np.float32]:
        """Each image small and grey, and mirrored: shape (n, 2, D), of length 1, or 0 where nothing can be told."""

    def compare(self, pairs: Mapping[tuple[End, End], float]) -> Sequence[Likeness | None]:
        """What each pair has in common, whose features have such a cosine; None where that cannot be told."""


OpenCopies = Callable[[Holdings], Comparer]


@dataclass(frozen=True)
class Twin:
    """Two images that are one.

    Attributes
    ----------
    how : {"bytes", "pixels", "copy", "mirrored", "cropped", "scene", "near"}
        Equal bytes; other bytes but equal features, which equal crops have on a CPU; one picture by its pixels,
        saved again, resized or recoloured; the same mirrored, and perhaps cropped; one a part of the other; the
        same scene with details that differ; or features nearly alike, where pixels could not be compared.
    first, second : tuple of (str, int)
        Split and row id.
    cosine : float
        Of their features.
    conflict : bool
        Their labels differ.
    correlation : float or None
        Of their grey pixels, laid over each other; None where they were not compared.
    """

    how: str
    first: End
    second: End
    cosine: float
    conflict: bool
    correlation: float | None = None

    @property
    def is_proven(self) -> bool:
        """Whether it is one picture, and not only much alike."""
        return self.how not in _UNPROVEN

    @property
    def leaks(self) -> bool:
        """Whether a training image is a val or test image too."""
        return self.first[0] == "train" and self.second[0] != "train"


class Twins(NamedTuple):
    """Pairs of images that are one, in the order of splits and rows, and what could not be compared.

    Attributes
    ----------
    pairs : list of Twin
    unseen : int
        Images compared by their features alone: gone, changed, too small or too plain to tell.
    """

    pairs: list[Twin]
    unseen: int = 0


def choose_res(holdings: Holdings) -> int:
    """The resolution, px, to compare images at: of those cached in centre views of every split, nearest 224.

    Raises
    ------
    CacheError
        If there is none.
    DataError
        See `fixgrid.cache.holdings.Holdings.expect`.
    """
    cached = (set(holdings.resolutions(split, "center")) for split in holdings.manifest.splits)
    common = set.intersection(*cached)
    if not common:
        splits = ", ".join(holdings.manifest.splits)
        raise CacheError(f"found no resolution with center views of {splits}: run extract at one for all of them.")
    res = min(common, key=lambda res: abs(res - _MEASURED_RES))
    holdings.expect((split, "center", res) for split in holdings.manifest.splits)
    return res


def find_twins(source: Source, res: int, splits: Collection[str] = SPLITS, images: Comparer | None = None) -> Twins:
    """Equal images, and of each image's nearest those that its pixels prove to be copies.

    The nearest are five by features, and up to five more that are much like it as a whole, small and grey, and as
    many mirrored. Of equal ones each is listed with the next in its own split and in each later one. Where pixels
    cannot be compared a cosine of .95 counts. Memory: the features of all splits, blocks of 4 Mi cosines, and 15 kB
    for each image that is compared by its pixels.

    Parameters
    ----------
    source : Source
    res : int
        px; centre views of every split are compared.
    splits : collection of str
        That the data set has.
    images : Comparer, optional
        Without them features alone are compared.
    """
    sets = {split: source.load(split, "center", res) for split in splits}
    ends = [(split, row) for split, part in sets.items() for row in part.row.tolist()]
    labels = [label for part in sets.values() for label in part.y]
    names = [np.concatenate([_name(part, of) for part in sets.values()]) for of in ("sha256", "X")]
    X = unit_rows(np.concatenate([part.X[:, 0] for part in sets.values()]))
    equal = _list_equal([split for split, _ in ends], *names)
    near = _list_nearest(X, X, names)
    if images:
        whole, mirrored = images.sketch(ends).transpose(1, 0, 2)
        for other in (whole, mirrored):
            for i, j in _list_nearest(whole, other, names, _ALIKE):
                near.setdefault((i, j), min(float(X[i] @ X[j]), 1.0))
    asked = {(ends[i], ends[j]): cosine for (i, j), cosine in near.items()}
    found = images.compare(asked) if images else [None] * len(near)
    said: dict[tuple[int, int], tuple[str, float, float | None]]
    said = {pair: (how, 1.0, None) for pair, how in equal.items()}
    for (pair, cosine), likeness in zip(near.items(), found, strict=True):
        if likeness is None and cosine >= _NEAR_COSINE:
            said[pair] = "near", cosine, None
        elif likeness is not None and likeness.how:
            said[pair] = likeness.how, cosine, likeness.correlation
    pairs = [
        Twin(how, ends[i], ends[j], cosine, bool(np.any(labels[i] != labels[j])), correlation)
        for (i, j), (how, cosine, correlation) in sorted(said.items())
    ]
    seen = {end for pair, likeness in zip(near, found, strict=True) if likeness is not None for end in pair}
    return Twins(pairs, len({end for pair in near for end in pair} - seen))


def looks_alike(twins: Sequence[Twin], images: int) -> bool:
    """Whether so many are nearly alike that similar images, as of digits, are taken for copies."""
    return sum(not twin.is_proven for twin in twins) > _MOST_ALIKE * images


def keep_copies(twins: Sequence[Twin], images: int) -> list[Twin]:
    """The twins that are surely copies: without those that are not proven where `looks_alike`."""
    alike = looks_alike(twins, images)
    return [twin for twin in twins if twin.is_proven or not alike]


def drop_twins(source: Source, res: int, twins: Sequence[Twin]) -> TrainSubset:
    """The source without the training images that val or test holds; val and test are whole.

    A copy of a copy is one, too, if both are proven: only the nearest of many copies are pairs.
    """
    number: dict[End, int] = {}
    pairs = [[number.setdefault(end, len(number)) for end in (twin.first, twin.second)] for twin in twins]
    proven = np.array([pair for pair, twin in zip(pairs, twins, strict=True) if twin.is_proven], np.int64)
    first, second = proven.reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(number),) * 2)
    picture = connected_components(graph, directed=False)[1]
    held = {picture[i] for end, i in number.items() if end[0] != "train"}
    leaked = {end[1] for end, i in number.items() if end[0] == "train" and picture[i] in held}
    leaked |= {twin.first[1] for twin in twins if twin.leaks}
    row = source.load("train", "center", res).row
    return TrainSubset(source, row[~np.isin(row, sorted(leaked))])


def expect_classes(rows: Rows, before: NDArray[np.int64], after: NDArray[np.int64], names: Sequence[str]) -> None:
    """Refuse to go on with fewer training images if none, or none of a class, is left.

    Parameters
    ----------
    rows : Rows
        Of the training images.
    before, after : int64 array
        Row ids of them.
    names : sequence of str
        Of the classes.

    Raises
    ------
    DataError
        Naming the first class.
    """
    was, left = rows.labels[before], rows.labels[after]
    lost = np.flatnonzero(was.any(0) > left.any(0)) if was.ndim == 2 else np.setdiff1d(was, left)
    if len(after) and (was.dtype.kind == "f" or not len(lost)):
        return
    what = f" of {show_text(names[int(lost[0])])}" * (len(after) > 0)
    raise DataError(
        f"found no training image{what} that val and test have not, too; expected some: leave --drop-duplicates "
        f"out, or mend the splits: {say_command('duplicates')} lists the copies."
    )


def _list_equal(splits: Sequence[str], files: Names, features: Names) -> dict[tuple[int, int], str]:
    """For each image the next one equal to it in its own split and in each later one, and how it is equal."""
    found: dict[tuple[int, int], str] = {}
    for how, names in (("pixels", features), ("bytes", files)):
        groups: dict[int, list[int]] = {}
        for i, name in enumerate(names.tolist()):
            groups.setdefault(name, []).append(i)
        for group in groups.values():
            later: dict[str, int] = {}
            for i in reversed(group):
                found.update({(i, j): how for j in later.values()})
                later[splits[i]] = i
    return found


def _list_nearest(
    X: NDArray[np.float32], Y: NDArray[np.float32], names: Sequence[Names], least: float = -1.5
) -> dict[tuple[int, int], float]:
    """Cosine of each row of X with the five of Y nearest to it that are not equal to it and have ``least``."""
    k = min(_NEIGHBOURS, len(X))
    step = max(1, _CELLS // len(X))
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(X), step):
        near = X[start : start + step] @ Y.T
        for name in names:
            near[name[start : start + step, None] == name] = -2
        rows = np.flatnonzero(near.max(1) >= least)
        near = near[rows] if len(rows) < len(near) else near
        places = np.argpartition(near, len(X) - k, 1)[:, len(X) - k :]
        cosines = np.take_along_axis(near, places, 1)
        for i, row, values in zip((rows + start).tolist(), places.tolist(), cosines.tolist(), strict=True):
            for j, cosine in zip(row, values, strict=True):
                if cosine >= least:
                    found.setdefault((min(i, j), max(i, j)), min(cosine, 1.0))
    return found


def _name(features: FeatureSet, of: str) -> NDArray[np.int64]:
    """A number for each image, equal where its digest or its features are equal bit for bit."""
    parts = getattr(features, of)
    digests = [hashlib.blake2b(part.tobytes(), digest_size=8).digest() for part in parts]
    return np.frombuffer(b"".join(digests), np.int64)

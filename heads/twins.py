"""Images that occur twice, within a split or across splits: listed, or left out of the training images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import CacheError, DataError, say_command
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.rows import SPLITS, Rows
from fixgrid.cache.text import escape_markdown, format_records, shorten_paths, show_path, show_text

from .knn import unit_rows
from .source import Source
from .subset import TrainSubset

# Of the centre features of efficientnet_lite0 at 224 px: no two of 2,047 distinct photographs of dogs or flowers
# come nearer than .922; copies saved again at JPEG quality 60, mirrored or shrunk to 80 % stay at .953 or above.
# Copies cropped by a tenth, in grey, or at half size (.75 to .95) are found in part or not at all.
_NEAR_COSINE = 0.95
_MEASURED_RES = 224
_MOST_NEAR = 0.05  # near pairs per image; the digits of the sample have 1.8, the photographs of dogs 0
_CELLS = 2**22  # entries of a block of cosines: 16 MiB


@dataclass(frozen=True)
class Twin:
    """Two images that are one.

    Attributes
    ----------
    how : {"bytes", "pixels", "near"}
        Equal bytes; other bytes but equal features, which equal crops have on a CPU; or features nearly alike.
    first, second : tuple of (str, int)
        Split and row id.
    cosine : float
        Of their features.
    conflict : bool
        Their labels differ.
    """

    how: str
    first: tuple[str, int]
    second: tuple[str, int]
    cosine: float
    conflict: bool


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


def find_twins(source: Source, res: int, splits: Collection[str] = SPLITS) -> list[Twin]:
    """For every image its nearest twin in its own split and in each later one, in the order of splits.

    A list of at most three for each image, however often one occurs. Memory: the features of all splits and
    blocks of 4 Mi cosines.

    Parameters
    ----------
    source : Source
    res : int
        px; centre views of every split are compared.
    splits : collection of str
        That the data set has.
    """
    sets = {split: source.load(split, "center", res) for split in splits}
    return [
        twin for a, b in combinations_with_replacement(sets, 2) for twin in _pair_splits(a, sets[a], b, sets[b])
    ]


def looks_alike(twins: Sequence[Twin], images: int) -> bool:
    """Whether so many are nearly alike that the trunk takes similar images, as of digits, for copies."""
    return sum(twin.how == "near" for twin in twins) > _MOST_NEAR * images


def keep_copies(twins: Sequence[Twin], images: int) -> list[Twin]:
    """The twins that are surely copies: without the near ones where `looks_alike`."""
    alike = looks_alike(twins, images)
    return [twin for twin in twins if twin.how != "near" or not alike]


def drop_twins(source: Source, res: int, twins: Sequence[Twin]) -> TrainSubset:
    """The source without the training images that have a twin in val or test; val and test are whole."""
    leaked = {twin.first[1] for twin in twins if twin.first[0] == "train" and twin.second[0] != "train"}
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


def format_twins(twins: Sequence[Twin], splits: Mapping[str, Rows], style: str) -> str:
    """One record per pair in one of `heads.table.FORMATS`, ending in a newline.

    JSON holds paths as they are; the others escape what a terminal or a table would obey.

    Parameters
    ----------
    twins : sequence of Twin
    splits : mapping of str to Rows
        Of the data set that the row ids are from.
    style : str
    """
    records = [_describe_twin(twin, splits, style) for twin in twins]
    short = dict.fromkeys(("path", "other path"), shorten_paths)
    return format_records(records, style, shortened=short, spare=["cosine"])


def _describe_twin(twin: Twin, splits: Mapping[str, Rows], style: str) -> dict[str, object]:
    paths = [splits[split].paths[row] for split, row in (twin.first, twin.second)]
    if style == "json":
        shown = [os.fsdecode(path) for path in paths]
    else:
        shown = [escape_markdown(show_path(path)) if style == "md" else show_path(path) for path in paths]
    return {
        "split": twin.first[0],
        "path": shown[0],
        "other split": twin.second[0],
        "other path": shown[1],
        "how": twin.how,
        "cosine": round(twin.cosine, 4),
        "labels differ": twin.conflict if style in ("json", "csv") else "yes" if twin.conflict else "",
    }


def _pair_splits(a: str, A: FeatureSet, b: str, B: FeatureSet) -> Iterator[Twin]:
    here, there = (unit_rows(part.X[:, 0]) for part in (A, B))
    files, pixels = ((_name(A, of), _name(B, of)) for of in ("sha256", "X"))
    step = max(1, _CELLS // len(there))
    for start in range(0, len(here), step):
        part = slice(start, min(start + step, len(here)))
        near = here[part] @ there.T
        near[pixels[0][part, None] == pixels[1]] = 2
        near[files[0][part, None] == files[1]] = 3
        if a == b:
            near[np.arange(part.start, part.stop)[:, None] >= np.arange(len(there))] = -2
        for i, j in enumerate(near.argmax(1).tolist(), start):
            value = float(near[i - start, j])
            if value >= _NEAR_COSINE:
                how = {2.0: "pixels", 3.0: "bytes"}.get(value, "near")
                ends = (a, int(A.row[i])), (b, int(B.row[j]))
                yield Twin(how, *ends, min(value, 1.0), bool(np.any(A.y[i] != B.y[j])))


def _name(features: FeatureSet, of: str) -> NDArray[np.int64]:
    """A number for each image, equal where its digest or its features are equal bit for bit."""
    parts = getattr(features, of)
    digests = [hashlib.blake2b(part.tobytes(), digest_size=8).digest() for part in parts]
    return np.frombuffer(b"".join(digests), np.int64)

"""Splits that were dealt, kept as CSV, so that the same images are found in the same split again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from fixgrid.cache.address import say_place
from fixgrid.cache.disk import commit_stream, is_refused, read_file
from fixgrid.cache.errors import DataError, DiskError
from fixgrid.cache.rows import SPLITS

from .dealing import deal_images, find_parted

_PART = 1 << 14  # lines that are text at a time
_MOST_MOVED = 0.2  # of a split's images: labels that it was not dealt for have about half of them elsewhere


def recall_split(
    labels: Mapping[bytes, str],
    shares: Mapping[str, int],
    *,
    seed: int,
    root: bytes,
    folder: Path,
    groups: Mapping[bytes, str] | None = None,
    loose: bool = False,
) -> tuple[dict[bytes, str], Path]:
    """The saved split of these images, or a new one, saved; and the CSV that holds it.

    The CSV's name tells which images, shares and seed it is for, then which root, then which images share a class:
    two labellings of the same images have files of their own. The same images are found again wherever they were
    moved to; a root whose images changed keeps its latest split for those that stayed. What was dealt for other
    labels or groups is used only if it suits these, see `suits`; where labels are ``loose``, strata that move with
    every image, if it parts no group.

    Raises
    ------
    DataError
        If a saved CSV was edited into something that is no split, or one that parts a group.
    DiskError
        If the CSV cannot be written.
    """
    key = f"{seed} {sorted(shares.items())}".encode()
    members, place = _shorten([key], sorted(labels)), _shorten([key, root])
    deal = partial(deal_images, labels, shares, seed=seed, groups=groups)
    partition = name_partition(labels)
    if groups:
        partition = _shorten([partition.encode(), name_partition({p: groups.get(p, "") for p in labels}).encode()])
    file = folder / f"{members}-{place}-{partition}.csv"
    before = folder / f"{members}-{place}.csv"  # as files were called when they told nothing of labels
    own = [file] * file.exists() or sorted(folder.glob(f"{members}-*{file.name[33:]}"))
    if own:
        dealt = deal(kept=read_split(own[0], shares))
        if parted := find_parted(dealt, groups or {}):
            raise DataError(
                f"found the group {parted} in several splits of {say_place(own[0])}; expected all of it in one: "
                "mend the file, or delete it to split anew."
            )
        return _copy(dealt, labels, file, own[0])
    same_images = [before] * before.exists() + sorted(folder.glob(f"{members}-*.csv"))
    same_root = sorted(folder.glob(f"*-{place}*.csv"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for found in dict.fromkeys(same_images + same_root):
        kept = read_split(found, shares)
        dealt = deal(kept=kept)
        if find_parted(dealt, groups or {}):
            continue
        if loose or suits(kept, _read_labels(found), labels, shares, seed=seed, groups=groups):
            return (dealt, before) if found == before else _copy(dealt, labels, file, found)
    return _save(deal(), labels, file)


def suits(
    kept: Mapping[bytes, str],
    dealt_for: Mapping[bytes, str],
    labels: Mapping[bytes, str],
    shares: Mapping[str, int],
    *,
    seed: int,
    groups: Mapping[bytes, str] | None = None,
) -> bool:
    """Whether images with these labels may go on with a split that was kept.

    They may if it was dealt for them: the same images share a class, whatever the classes are called. Or if it,
    completed, is as stratified as one dealt anew. A file of earlier versions tells no labels: it is for these if
    images are gone since, or if most are where dealing anew puts them, and few were moved by hand.

    Parameters
    ----------
    kept : mapping of bytes to str
        The split.
    dealt_for : mapping of bytes to str
        Labels that it was dealt for; empty if it does not tell.
    labels, shares, seed, groups
        As `deal_images` takes them.
    """
    if is_stratified(deal_images(labels, shares, seed=seed, kept=kept, groups=groups), labels, shares):
        return True
    if dealt_for:
        return has_same_classes(dealt_for, labels)
    common = {path: labels[path] for path in kept if path in labels}
    again = deal_images(common, shares, seed=seed)
    moved = sum(again[path] != kept[path] for path in common)
    return len(common) < len(kept) or moved <= _MOST_MOVED * len(common)


def is_stratified(splits: Mapping[bytes, str], labels: Mapping[bytes, str], shares: Mapping[str, int]) -> bool:
    """Whether every split of every class is less than one image off its share, and every class can be trained."""
    total, count = Counter(labels.values()), Counter((labels[path], split) for path, split in splits.items())
    return all(
        count[label, "train"] and abs(100 * count[label, split] - n * share) < 100
        for label, n in total.items()
        for split, share in shares.items()
    )


def has_same_classes(one: Mapping[bytes, str], other: Mapping[bytes, str]) -> bool:
    """Whether two labellings put the images that both have into the same classes, whatever these are called."""
    pairs = {(one[path], other[path]) for path in one.keys() & other.keys()}
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


def name_partition(labels: Mapping[bytes, str]) -> str:
    """Equal for labellings that put the same images into the same classes; 16 hex digits."""
    numbers: dict[str, int] = {}
    return _shorten(b"%d" % numbers.setdefault(labels[path], len(numbers)) for path in sorted(labels))


def _shorten(*parts: Iterable[bytes]) -> str:
    """Of all parts with a zero byte between two, one after another."""
    total, between = hashlib.sha256(), b""
    for part in chain.from_iterable(parts):
        total.update(between + part)
        between = b"\0"
    return total.hexdigest()[:16]


def write_split(file: Path, splits: Mapping[bytes, str]) -> None:
    """Save a split as CSV with the columns ``path,split``, sorted by path.

    Every path is written with ``./`` before it, so that no spreadsheet takes a file called ``=cmd()`` for a
    formula.
    """

    def write(stream: BinaryIO) -> None:
        order = sorted(splits)
        stream.write(b"path,split\r\n")
        for start in range(0, len(order), _PART):
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerows(["./" + os.fsdecode(path), splits[path]] for path in order[start : start + _PART])
            stream.write(text.getvalue().encode("utf-8", "surrogateescape"))

    commit_stream(file, write)


def read_split(file: Path, allowed: Collection[str] = SPLITS) -> dict[bytes, str]:
    """The split that `write_split` saved, or that someone edited since.

    Raises
    ------
    DataError
        If a line is not a path and one of the `allowed` splits.
    """
    with open(file, newline="", encoding="utf-8", errors="surrogateescape") as stream:
        lines = csv.reader(stream)
        next(lines, None)
        splits = {}
        for line in lines:
            if len(line) != 2 or line[1] not in allowed:
                raise DataError(
                    f"found {line} at line {lines.line_num} of {say_place(file)}; expected a path and one of "
                    f"{', '.join(allowed)}: mend the line, or delete the file to split anew."
                )
            splits[os.fsencode(line[0].removeprefix("./"))] = line[1]
    return splits


def _save(splits: dict[bytes, str], labels: Mapping[bytes, str], file: Path) -> tuple[dict[bytes, str], Path]:
    """Save a split, and beside it, first, the labels that it was dealt for."""

    def write(stream: BinaryIO) -> None:
        order = sorted(labels)
        for start in range(0, len(order), _PART):
            named = {os.fsdecode(path): labels[path] for path in order[start : start + _PART]}
            text = json.dumps(named, indent=0)[1:-2]
            stream.write((("," if start else "{") + text).encode("ascii"))
        stream.write(b"\n}" if order else b"{}")

    commit_stream(_name_labels(file), write)
    write_split(file, splits)
    return splits, file


def _copy(
    splits: dict[bytes, str], labels: Mapping[bytes, str], file: Path, found: Path
) -> tuple[dict[bytes, str], Path]:
    """Save a split that another file holds; where nothing may be written, that file serves if it lacks no image."""
    if found == file:
        return splits, file
    try:
        return _save(splits, labels, file)
    except DiskError as error:
        if not is_refused(error) or not splits.keys() <= read_split(found).keys():
            raise
        return splits, found


def _read_labels(file: Path) -> dict[bytes, str]:
    """The labels that a saved split was dealt for; none if it does not tell, as those of earlier versions."""
    with suppress(OSError, ValueError, AttributeError):
        found = json.loads(read_file(_name_labels(file)))
        return {os.fsencode(path): str(label) for path, label in found.items()}
    return {}


def _name_labels(file: Path) -> Path:
    return file.with_suffix(".labels.json")

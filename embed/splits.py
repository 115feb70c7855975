"""Which images train, choose and test: seeded, stratified, and stable when images are added.

A split is dealt class by class. A class's images are put in the order of sha256(seed, path), which no one chose,
and each goes to the split that is furthest below its share. So every split stays within one image of its share
in every class, and dealing the images that came later to the counts that are already there is the same
operation: images dealt before never move.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from fixgrid.cache.disk import commit_bytes
from fixgrid.cache.errors import DataError
from fixgrid.cache.rows import SPLITS

SHARES = {"train": 70, "val": 15, "test": 15}
STANFORD_2020 = {"train": 102, "val": 35}


def choose_shares(given: Collection[str]) -> dict[str, int]:
    """Percent of each split that the training images must be dealt to, so that none of the three is missing.

    >>> choose_shares([])
    {'train': 70, 'val': 15, 'test': 15}
    >>> choose_shares(["train", "test"])
    {'train': 85, 'val': 15}
    """
    missing = {split: SHARES[split] for split in ("val", "test") if split not in given}
    return {"train": 100 - sum(missing.values()), **missing}


def deal_images(
    labels: Mapping[bytes, str],
    shares: Mapping[str, int],
    *,
    seed: int,
    kept: Mapping[bytes, str] | None = None,
) -> dict[bytes, str]:
    """The split of every image, stratified by label.

    Parameters
    ----------
    labels : mapping of bytes to str
        Class name of every path.
    shares : mapping of str to int
        Percent of each split; they sum to 100. Ties within a class go to the split that is furthest below its
        share of all images.
    seed : int
        Another seed, another order.
    kept : mapping of bytes to str, optional
        Splits dealt earlier; these paths stay where they are. Paths no longer in `labels` are forgotten.

    Returns
    -------
    dict of bytes to str
        With at most three splits and without `kept`, every split of every class of n images holds
        n * share / 100 images, give or take less than one.
    """
    kept = kept or {}
    dealt = {path: kept[path] for path in labels if path in kept}
    count_of: dict[str, Counter[str]] = defaultdict(Counter)
    for path, split in dealt.items():
        count_of[labels[path]][split] += 1
    total = sum(count_of.values(), Counter[str]())
    for path in order_by_seed([path for path in labels if path not in dealt], seed):
        count = count_of[labels[path]]
        dealt[path] = max(shares, key=lambda split: (_lack(count, shares, split), _lack(total, shares, split)))
        count[dealt[path]] += 1
        total[dealt[path]] += 1
    return dealt


def _lack(count: Counter[str], shares: Mapping[str, int], split: str) -> int:
    """Hundredths of an image that a split will lack once there is one image more."""
    return shares[split] * (sum(count.values()) + 1) - 100 * count[split]


def deal_counts(
    labels: Mapping[bytes, str], counts: Mapping[str, int], rest: str, *, seed: int
) -> dict[bytes, str]:
    """The split of every image when each class gives fixed counts, in `counts`' order, and the others to `rest`."""
    slots = [split for split, n in counts.items() for _ in range(n)]
    seen: dict[str, int] = defaultdict(int)
    dealt = {}
    for path in order_by_seed(labels, seed):
        place = seen[labels[path]]
        dealt[path] = slots[place] if place < len(slots) else rest
        seen[labels[path]] += 1
    return dealt


def order_by_seed(paths: Collection[bytes], seed: int) -> list[bytes]:
    """The paths in an order that depends on the seed and each path alone, not on which others there are."""
    return sorted(paths, key=lambda path: hashlib.sha256(b"%d:%s" % (seed, path)).digest())


def recall_split(
    labels: Mapping[bytes, str], shares: Mapping[str, int], *, seed: int, root: bytes, folder: Path
) -> tuple[dict[bytes, str], Path]:
    """The saved split of these images, or a new one, saved; and the CSV that holds it.

    The CSV's name tells which images, shares and seed it is for, then which root. The same images are found again
    wherever they were moved to; a root whose images changed keeps its latest split for those that stayed.

    Raises
    ------
    DataError
        If a saved CSV was edited into something that is no split.
    DiskError
        If the CSV cannot be written.
    """
    key = f"{seed} {sorted(shares.items())}".encode()
    members = _shorten(key, *sorted(labels))
    place = _shorten(key, root)
    file = folder / f"{members}-{place}.csv"
    same_images = sorted(folder.glob(f"{members}-*.csv"))
    same_root = sorted(folder.glob(f"*-{place}.csv"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    found = file if file.exists() else next(iter(same_images + same_root), None)
    dealt = deal_images(labels, shares, seed=seed, kept=read_split(found, shares) if found else None)
    if found != file:
        write_split(file, dealt)
    return dealt, file


def _shorten(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def write_split(file: Path, splits: Mapping[bytes, str]) -> None:
    """Save a split as CSV with the columns ``path,split``, sorted by path.

    Every path is written with ``./`` before it, so that no spreadsheet takes a file called ``=cmd()`` for a
    formula.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["path", "split"])
    writer.writerows(["./" + os.fsdecode(path), splits[path]] for path in sorted(splits))
    commit_bytes(file, text.getvalue().encode("utf-8", "surrogateescape"))


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
                    f"found {line} at line {lines.line_num} of {file}; expected a path and one of "
                    f"{', '.join(allowed)}: mend the line, or delete the file to split anew."
                )
            splits[os.fsencode(line[0].removeprefix("./"))] = line[1]
    return splits

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
import json
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from fixgrid.cache.disk import commit_bytes, is_refused, read_file
from fixgrid.cache.errors import DataError, DiskError
from fixgrid.cache.rows import SPLITS

SHARES = {"train": 70, "val": 15, "test": 15}
STANFORD_2020 = {"train": 102, "val": 35}
_MOST_MOVED = 0.2  # of a split's images: labels that it was not dealt for have about half of them elsewhere


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

    The CSV's name tells which images, shares and seed it is for, then which root, then which images share a class:
    two labellings of the same images have files of their own. The same images are found again wherever they were
    moved to; a root whose images changed keeps its latest split for those that stayed. What was dealt for other
    labels is used only if it suits these, see `suits`.

    Raises
    ------
    DataError
        If a saved CSV was edited into something that is no split.
    DiskError
        If the CSV cannot be written.
    """
    key = f"{seed} {sorted(shares.items())}".encode()
    members, place = _shorten(key, *sorted(labels)), _shorten(key, root)
    file = folder / f"{members}-{place}-{name_partition(labels)}.csv"
    before = folder / f"{members}-{place}.csv"  # as files were called when they told nothing of labels
    own = [file] * file.exists() or sorted(folder.glob(f"{members}-*{file.name[33:]}"))
    if own:
        dealt = deal_images(labels, shares, seed=seed, kept=read_split(own[0], shares))
        return _copy(dealt, labels, file, own[0])
    same_images = [before] * before.exists() + sorted(folder.glob(f"{members}-*.csv"))
    same_root = sorted(folder.glob(f"*-{place}*.csv"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for found in dict.fromkeys(same_images + same_root):
        kept = read_split(found, shares)
        if suits(kept, _read_labels(found), labels, shares, seed=seed):
            dealt = deal_images(labels, shares, seed=seed, kept=kept)
            return (dealt, before) if found == before else _copy(dealt, labels, file, found)
    return _save(deal_images(labels, shares, seed=seed), labels, file)


def suits(
    kept: Mapping[bytes, str],
    dealt_for: Mapping[bytes, str],
    labels: Mapping[bytes, str],
    shares: Mapping[str, int],
    *,
    seed: int,
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
    labels, shares, seed
        As `deal_images` takes them.
    """
    if is_stratified(deal_images(labels, shares, seed=seed, kept=kept), labels, shares):
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
    order = [numbers.setdefault(labels[path], len(numbers)) for path in sorted(labels)]
    return _shorten(*(b"%d" % number for number in order))


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


def _save(splits: dict[bytes, str], labels: Mapping[bytes, str], file: Path) -> tuple[dict[bytes, str], Path]:
    """Save a split, and beside it, first, the labels that it was dealt for."""
    named = {os.fsdecode(path): labels[path] for path in sorted(labels)}
    commit_bytes(_name_labels(file), json.dumps(named, indent=0).encode("ascii"))
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

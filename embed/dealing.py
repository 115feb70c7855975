"""Who trains, chooses and tests: seeded, stratified, and stable when images are added.

A split is dealt class by class. A class's images are put in the order of sha256(seed, path), which no one chose,
and each goes to the split that is furthest below its share. So every split stays within one image of its share
in every class, and dealing the images that came later to the counts that are already there is the same
operation: images dealt before never move. Groups are dealt whole, the largest first, by the same rule.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from fixgrid.cache.errors import DataError
from fixgrid.cache.strings import Strings

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
    groups: Mapping[bytes, str] | None = None,
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
    groups : mapping of bytes to str, optional
        Groups of paths: none is parted, and what comes to one that was dealt goes where that is.

    Returns
    -------
    dict of bytes to str
        With at most three splits and without `kept` and `groups`, every split of every class of n images holds
        n * share / 100 images, give or take less than one.

    Raises
    ------
    DataError
        If there are fewer groups than splits.
    """
    kept, groups = kept or {}, groups or {}
    if 0 < len({groups.get(path, path) for path in labels}) < len(shares) and groups:
        raise DataError(
            f"found {len(set(groups.values()))} groups to deal to {', '.join(shares)}; expected one for each at "
            "least: give the splits, or name no groups with --group-col none."
        )
    dealt = {path: kept[path] for path in labels if path in kept}
    hands = _Hands(shares)
    for path, split in dealt.items():
        hands.take({labels[path]: 1}, split)
    side_of = {groups[path]: split for path, split in dealt.items() if path in groups}
    for paths in _list_units([path for path in labels if path not in dealt], groups, seed):
        count = Counter(map(labels.__getitem__, paths)) if len(paths) > 1 else {labels[paths[0]]: 1}
        split = side_of.get(groups.get(paths[0], "")) or hands.choose(count)
        for path in paths:
            dealt[path] = split
        hands.take(count, split)
    return dealt


class _Hands:
    """How many images, of each class and of all, every split has."""

    def __init__(self, shares: Mapping[str, int]) -> None:
        self._shares = shares
        self._of_class: dict[str, Counter[str]] = defaultdict(Counter)
        self._of_all, self._sizes, self._size = Counter[str](), Counter[str](), 0

    def take(self, count: Mapping[str, int], split: str) -> None:
        """Give a split so many images of each class."""
        for label, n in count.items():
            self._of_class[label][split] += n
            self._of_all[split] += n
            self._sizes[label] += n
            self._size += n

    def choose(self, count: Mapping[str, int]) -> str:
        """The split that will lack most of these classes, in hundredths of an image; of equals, most of all."""
        classes = [(n, self._of_class[label], self._sizes[label] + n) for label, n in count.items()]
        size = self._size + sum(count.values())

        def lack(split: str) -> tuple[int, int]:
            share = self._shares[split]
            mine = sum(n * (share * whole - 100 * held[split]) for n, held, whole in classes)
            return mine, share * size - 100 * self._of_all[split]

        return max(self._shares, key=lack)


def _list_units(paths: Collection[bytes], groups: Mapping[bytes, str], seed: int) -> Iterable[Sequence[bytes]]:
    """What is dealt whole, each path by itself or with its group; the largest first, else by the seed."""
    order = order_by_seed(paths, seed)
    if not groups:
        return ((path,) for path in order)
    units: dict[str | bytes, list[bytes]] = defaultdict(list)
    for path in order:
        units[groups.get(path, path)].append(path)
    return sorted(units.values(), key=len, reverse=True)


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
    known = [*paths]
    keys = Strings.gather(hashlib.sha256(b"%d:%s" % (seed, path)).digest() for path in known)
    return [known[place] for place in keys.argsort().tolist()]


def find_parted(splits: Mapping[bytes, str], groups: Mapping[bytes, str]) -> str:
    """The first group that has images in several splits; empty if none has."""
    side: dict[str, str] = {}
    return next(
        (group for path, group in groups.items() if side.setdefault(group, splits[path]) != splits[path]), ""
    )

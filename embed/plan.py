"""What is still to be computed: pure decisions on row ranges, made before an image is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.entry import Entry
from fixgrid.cache.rows import Rows
from fixgrid.cache.scale import Scale
from fixgrid.cache.strings import Strings
from fixgrid.cache.view import View

from .job import ShardJob, Target
from .sources.catalogue import find_opener

MIN_SHARD_ROWS, MAX_SHARD_ROWS = 128, 2048
SHARDS_PER_SPLIT, SHARDS_PER_WORKER = 64, 16
# The end of a run is handed out in ever smaller pieces, so that no worker waits long for another's last one.
# A piece is whole batches on a CPU: batches do not depend on the cuts.
PIECES_PER_WORKER, MIN_PIECE_ROWS = 2, 8


@dataclass(frozen=True, eq=False)
class Goal:
    """One key's need: a split's rows, seen one way.

    Attributes
    ----------
    split : str
    rows : Rows
    view : View
    entry : Entry
        Where its shards go.
    missing : bool array, shape (n,)
        Rows that the cache does not hold.
    start, trunk : int
        See `Target`.
    """

    split: str
    rows: Rows
    view: View
    entry: Entry
    missing: NDArray[np.bool_]
    start: int = 0
    trunk: int = 0

    @property
    def target(self) -> Target:
        """The part of it that a shard job carries."""
        spec = self.entry.spec
        return Target(self.entry.shards_folder, spec.key, self.view, spec.dtype, spec.dim, self.start, self.trunk)


def shard_rows(n: int, workers: int) -> int:
    """Rows per shard: a power of two near n / 64, less for more than four workers, from 128 to 2,048.

    Shards only bound what a crash loses and share the work out; their size changes no number.
    """
    shards = max(SHARDS_PER_SPLIT, SHARDS_PER_WORKER * workers)
    return int(np.clip(2 ** round(np.log2(max(n, 1) / shards)), MIN_SHARD_ROWS, MAX_SHARD_ROWS))


def plan_jobs(goals: Sequence[Goal], root: str, workers: int = 1) -> list[ShardJob]:
    """Shard jobs that fill every missing row of every goal, each image in one job: it is decoded once.

    Parameters
    ----------
    goals : sequence of Goal
        Goals of one split share its rows and its scale, whichever trunk they are of.
    root : str
        Of the manifest.
    workers : int
        Processes that share the jobs; 1 if batches are longer than a piece (accelerators).

    Returns
    -------
    list of ShardJob, in row order within each split
    """
    splits = dict.fromkeys(goal.split for goal in goals)
    missing = {split: np.stack([goal.missing for goal in goals if goal.split == split]) for split in splits}
    later = sum(int(np.any(lacks, axis=0).sum()) for lacks in missing.values())
    jobs, opener = [], find_opener(root)
    for split in splits:
        mine = [goal for goal in goals if goal.split == split]
        rows, scale = mine[0].rows, Scale.from_decode(mine[0].entry.spec.decode)
        later -= int(np.any(missing[split], axis=0).sum())
        for start, stop in _cut_rows(missing[split], workers, later):
            wanting = [goal.target for goal, lacks in zip(mine, missing[split][:, start], strict=True) if lacks]
            if wanting:
                content = Strings.of_width(rows.sha256[start:stop])
                what = split, root, start, rows.paths[start:stop], content, tuple(wanting)
                jobs.append(ShardJob(*what, opener=opener, scale=scale))
    return jobs


def _cut_rows(missing: NDArray[np.bool_], workers: int, later: int) -> list[tuple[int, int]]:
    """[start, stop) ranges within which the same goals miss all rows or none; `later` more are missing after."""
    n = missing.shape[1]
    size = shard_rows(n, workers)
    changes = np.flatnonzero((missing[:, 1:] != missing[:, :-1]).any(axis=0)) + 1
    wanted: NDArray[np.bool_] = np.any(missing, axis=0)
    left = later + np.cumsum(wanted[::-1])[::-1]
    cuts, start = {*changes.tolist(), n}, 0
    while start < n:
        cuts.add(start)
        start += _piece_rows(int(left[start]), workers, size)
    return list(pairwise(sorted(cuts)))


def _piece_rows(left: int, workers: int, size: int) -> int:
    """Rows of the next piece: a worker's half share of what is left, in whole `MIN_PIECE_ROWS`, a shard at most."""
    share = left // (PIECES_PER_WORKER * workers)
    return size if workers == 1 else min(size, max(1, share // MIN_PIECE_ROWS) * MIN_PIECE_ROWS)


def count_crops(goals: Sequence[Goal]) -> Counter[int]:
    """Crops to run through trunks, by resolution (px): once for all kinds of features that lack them."""
    lacking: dict[tuple[int, str, View], NDArray[np.bool_]] = {}
    for goal in goals:
        place = goal.trunk, goal.split, goal.view
        lacking[place] = goal.missing | lacking.get(place, False)
    crops: Counter[int] = Counter()
    for (_, _, view), missing in lacking.items():
        crops[view.res] += int(missing.sum()) * view.count
    return crops


def count_bytes(goals: Sequence[Goal]) -> int:
    """Bytes that the missing rows take: in shards, and again in the sealed files while the shards are there."""
    specs = [(goal.entry.spec, int(goal.missing.sum()), len(goal.rows)) for goal in goals if goal.missing.any()]
    return sum(spec.views * spec.dim * np.dtype(spec.dtype).itemsize * (new + n) for spec, new, n in specs)

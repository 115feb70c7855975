"""What is still to be computed: pure decisions on row ranges, made before an image is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cache.rows import Rows
from cache.store import Entry

from .job import ShardJob, Target
from .views import View

MIN_SHARD_ROWS, MAX_SHARD_ROWS = 128, 2048
SHARDS_PER_SPLIT, SHARDS_PER_WORKER = 64, 16
# The last shards of a split are cut into eight, so that no worker waits long for another's last one: at 770 images
# and two workers, waiting was 3 % of the run.
PIECES, MIN_PIECE_ROWS = 8, 16


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
    """

    split: str
    rows: Rows
    view: View
    entry: Entry
    missing: NDArray[np.bool_]

    @property
    def target(self) -> Target:
        """The part of it that a shard job carries."""
        spec = self.entry.spec
        return Target(self.entry.shards_folder, spec.key, self.view, spec.dtype, spec.dim)


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
        Goals of one split share its rows.
    root : str
        Folder of the manifest.
    workers : int
        Processes that share the jobs; 1 if batches are longer than a piece (accelerators).

    Returns
    -------
    list of ShardJob, in row order within each split
    """
    jobs = []
    for split in dict.fromkeys(goal.split for goal in goals):
        mine = [goal for goal in goals if goal.split == split]
        rows = mine[0].rows
        missing = np.stack([goal.missing for goal in mine])
        for start, stop in _cut_rows(missing, workers):
            wanting = [goal.target for goal, lacks in zip(mine, missing[:, start], strict=True) if lacks]
            if wanting:
                content = tuple(digest.tobytes() for digest in rows.sha256[start:stop])
                jobs.append(ShardJob(split, root, start, rows.paths[start:stop], content, tuple(wanting)))
    return jobs


def _cut_rows(missing: NDArray[np.bool_], workers: int) -> list[tuple[int, int]]:
    """[start, stop) ranges within which the same goals miss all rows, cut at multiples of the shard size.

    With several workers, the last shards (one for every two) are cut into pieces: however far the others are then,
    that fills their time.
    """
    n = missing.shape[1]
    size = shard_rows(n, workers)
    changes = np.flatnonzero((missing[:, 1:] != missing[:, :-1]).any(axis=0)) + 1
    tail = max(0, -(-n // size) - -(-workers // 2)) * size if workers > 1 else n
    pieces = range(tail, n, max(MIN_PIECE_ROWS, size // PIECES))
    return list(pairwise(sorted({*changes.tolist(), *range(0, n, size), *pieces, n})))


def count_bytes(goals: Sequence[Goal]) -> int:
    """Bytes that the missing rows take: in shards, and again in the sealed files while the shards are there."""
    specs = [(goal.entry.spec, int(goal.missing.sum()), len(goal.rows)) for goal in goals if goal.missing.any()]
    return sum(spec.views * spec.dim * np.dtype(spec.dtype).itemsize * (new + n) for spec, new, n in specs)

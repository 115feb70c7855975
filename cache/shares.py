"""Parts of a data set: which images come first, so that a smaller part lies within every larger one."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def rank_images(sha256: NDArray[np.uint8], seed: int) -> NDArray[np.int64]:
    """Places of images in a seeded order, of the digests of their files (n, 32): int64, shape (n,).

    Drawn from each file's content, not from its place, so that a renamed or re-listed image keeps its turn.
    """
    turns = [hashlib.sha256(b"%d:%s" % (seed, digest.tobytes())).digest() for digest in sha256]
    return np.array(sorted(range(len(turns)), key=turns.__getitem__), np.int64)


def take_share(y: NDArray[np.int64], order: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Places of the first images of every class in ``order``: ``share`` rounded, at least one; ascending."""
    taken = []
    for label in np.unique(y):
        mine = order[y[order] == label]
        taken.append(mine[: max(1, int(share * len(mine) + 0.5))])
    return np.sort(np.concatenate(taken))


def take_first(y: NDArray[np.int64], order: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Places of n images, those of some `take_share` or between two of them; ascending.

    The first of every class come first, then whichever class is furthest below its share, so that a larger n holds
    every image of a smaller one.
    """
    turn, quantile = np.zeros(len(y), np.int64), np.zeros(len(y))
    for label in np.unique(y):
        mine = order[y[order] == label]
        turn[mine] = np.arange(len(mine))
        quantile[mine] = (turn[mine] + 0.5) / len(mine)
    place = np.argsort(order)
    return np.sort(np.lexsort((place, quantile, turn > 0))[:n])

"""How a head does class by class, and which classes it takes for one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .figures import ClassRow, Confusion
from .judging import estimate_rate, settle_interval
from .measures import share_precision
from .metrics import Estimate, draw_weights


def rate_classes(
    y: NDArray[np.int64], guess: NDArray[np.int64], classes: Sequence[str], group: NDArray[np.int64] | None
) -> tuple[ClassRow, ...]:
    """A row for each class, of images of one class each.

    Parameters
    ----------
    y, guess : int64 arrays, shape (n,)
        What each image is, and what the head says.
    classes : sequence of str
    group : int64 array, shape (n,), or None
        Images of one number belong together.
    """
    k, right = len(classes), guess == y
    order = np.argsort(y, kind="stable")  # of each class its images, without a pass over all for each
    images = np.split(order, np.cumsum(np.bincount(y, minlength=k))[:-1])
    called, hits = (np.bincount(of, minlength=k).tolist() for of in (guess, y[right]))
    return tuple(
        ClassRow(
            name,
            len(mine),
            estimate_rate(right[mine], None if group is None else group[mine]) if len(mine) else None,
            hits[number] / called[number] if called[number] else None,
        )
        for number, (name, mine) in enumerate(zip(classes, images, strict=True))
    )


def rate_labels(
    scores: NDArray[np.float32],
    y: NDArray[np.bool_],
    said: NDArray[np.bool_],
    classes: Sequence[str],
    group: NDArray[np.int64] | None,
) -> tuple[ClassRow, ...]:
    """A row for each class, of images that may have several.

    Parameters
    ----------
    scores : float32 array, shape (n, K)
    y, said : bool arrays, shape (n, K)
        Which classes each image has, and which it is given.
    classes : sequence of str
    group : int64 array, shape (n,), or None
    """
    ranked = _estimate_rankings(scores, y, group)
    rows = []
    for k, name in enumerate(classes):
        has, given = y[:, k], said[:, k]
        recall = estimate_rate(given[has], None if group is None else group[has]) if has.any() else None
        precision = float(has[given].mean()) if given.any() else None
        rows.append(ClassRow(name, int(has.sum()), recall, precision, ranked[k]))
    return tuple(rows)


def _estimate_rankings(
    scores: NDArray[np.float32], y: NDArray[np.bool_], group: NDArray[np.int64] | None
) -> list[Estimate | None]:
    """Average precision of each label, with percentiles of the resamples that all of them share.

    Where these do not differ, see `settle_interval`: only images that have the label are counted, or their groups.
    """
    n, k = y.shape
    shares = np.stack([share_precision(scores[:, [one]], y[:, [one]]) for one in range(k)], 1)
    draws = np.stack([weight @ shares / n for weight in draw_weights(n, group)])
    ends = np.percentile(draws, [2.5, 97.5], axis=0)
    estimates = [Estimate(*map(float, each)) for each in zip(shares.mean(0), *ends, strict=True)]
    image = np.arange(n) if group is None else group
    return [
        settle_interval(one, len(np.unique(image[has]))) if 0 < has.sum() < n else None
        for one, has in zip(estimates, y.T, strict=True)
    ]


def list_confused(
    y: NDArray[np.int64], guess: NDArray[np.int64], classes: Sequence[str], length: int
) -> tuple[Confusion, ...]:
    """The pairs of classes most often taken for one another, most often first, at most ``length`` of them.

    Counts only the pairs seen, none for each of the K * K: 3.8 GB at 21,843 classes.
    """
    y, guess = y[y != guess], guess[y != guess]
    codes, pair = np.unique(np.minimum(y, guess) * len(classes) + np.maximum(y, guess), return_inverse=True)
    first, second = np.divmod(codes, len(classes))
    there = np.bincount(pair[y < guess], minlength=len(codes))
    back = np.bincount(pair[y > guess], minlength=len(codes))
    order = np.argsort(-(there + back), kind="stable")[:length]
    return tuple(Confusion(classes[first[i]], classes[second[i]], int(there[i]), int(back[i])) for i in order)

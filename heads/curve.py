"""The learning curve: what the head would be worth with fewer training images, hence what more may be worth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.features import FeatureSet

from .fit import choose_best
from .memo import Memo
from .metrics import Estimate
from .recipe import GridOptions, Pair, list_recipes
from .select import score_head
from .subset import Source, TrainSubset
from .views import TestRes


@dataclass(frozen=True)
class CurvePoint:
    """What one share of the training images gives.

    Attributes
    ----------
    share : float
        Asked for, in (0, 1].
    images : int
        Training images used: each class gives its share, rounded, and at least one.
    train_res : int
        px, chosen on val for this share.
    test_res : int or str
        px, likewise; see `heads.views.TestRes`.
    family, correction : str
    strength : float
        Chosen on val for this share.
    val, test : Estimate
        Top-1 with its Wilson interval.
    """

    share: float
    images: int
    train_res: int
    test_res: TestRes
    family: str
    correction: str
    strength: float
    val: Estimate
    test: Estimate


def fit_curve(
    source: Source,
    pairs: Sequence[Pair],
    n_classes: int,
    shares: Sequence[float],
    options: GridOptions | None = None,
    memo: Memo | None = None,
) -> list[CurvePoint]:
    """One point for each share, ascending: chosen on val among all pairs and options, scored on test once.

    Subsets are nested: a larger share holds every image of a smaller one. ``fit_curve(holdings,
    [(224, 224)], len(holdings.manifest.classes), [.01, .02, .05, .1, .25, .5, 1])`` is the curve of one pair;
    with several pairs each share chooses its own.

    Parameters
    ----------
    source : Source
        `cache.holdings.Holdings`, or a `TrainSubset` of it.
    pairs : sequence of (train_res, test_res), px
    n_classes : int
    shares : sequence of float
        In (0, 1].
    options : GridOptions, optional
    memo : Memo, optional
        Points of earlier curves; only its folder is used, for a subset has an identity of its own.

    Raises
    ------
    UsageError
        If there is no pair or no share, or a share is not in (0, 1].
    """
    options = options or GridOptions()
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong or not shares or not pairs:
        found = f"the share {wrong[0]}" if wrong else f"{len(shares)} shares and {len(pairs)} pairs"
        raise UsageError(f"found {found} for a learning curve, expected shares above 0 and at most 1, and a pair.")
    train = source.load("train", options.train_kinds[0], pairs[0][0])
    order = rank_images(train)
    points = []
    for share in sorted(set(shares)):
        subset = TrainSubset(source, train.row[take_share(train.y, order, share)])
        points.append(_recall_point(subset, pairs, n_classes, share, options, memo))
    return points


def rank_images(features: FeatureSet) -> NDArray[np.int64]:
    """Places of the images in one shuffled order: int64, shape (n,).

    Drawn from each file's content, not from its place, so that a renamed or re-listed image keeps its turn.
    """
    turns = [hashlib.sha256(b"0:" + digest.tobytes()).digest() for digest in features.sha256]
    return np.array(sorted(range(len(turns)), key=turns.__getitem__), np.int64)


def take_share(y: NDArray[np.int64], order: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Places of the first images of every class in ``order``: ``share`` rounded, at least one; ascending."""
    taken = []
    for label in np.unique(y):
        mine = order[y[order] == label]
        taken.append(mine[: max(1, int(share * len(mine) + 0.5))])
    return np.sort(np.concatenate(taken))


def _recall_point(
    subset: TrainSubset,
    pairs: Sequence[Pair],
    n_classes: int,
    share: float,
    options: GridOptions,
    memo: Memo | None,
) -> CurvePoint:
    if memo is None:
        return _fit_point(subset, pairs, n_classes, share, options)
    memo = Memo(memo.folder, subset.identify)
    recipes = list(list_recipes(subset.load, pairs, n_classes, options))
    facts = {"curve": [recipe.facts for recipe in recipes], "options": asdict(options)}
    name = memo.name(facts, dict.fromkeys(place for recipe in recipes for place in recipe.places))
    record = memo.recall(name)
    if record is None:
        point = _fit_point(subset, pairs, n_classes, share, options)
        memo.keep(name, asdict(point))
        return point
    return _from_record(record, share)


def _fit_point(
    subset: TrainSubset, pairs: Sequence[Pair], n_classes: int, share: float, options: GridOptions
) -> CurvePoint:
    recipe, choice, head = choose_best(subset.load, pairs, n_classes, options)
    test = recipe.load("test")
    return CurvePoint(
        share,
        len(subset.rows),
        recipe.train_res,
        recipe.test_res,
        recipe.family,
        recipe.correction,
        float(choice.strength),
        choice.val,
        score_head(head, recipe.see(test), test.y).accuracy,
    )


def _from_record(record: dict[str, Any], share: float) -> CurvePoint:
    estimates = {name: Estimate(*record[name]) for name in ("val", "test")}
    return CurvePoint(**{**record, **estimates, "share": share})

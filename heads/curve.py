"""The learning curve: what the head would be worth with fewer training images, hence what more may be worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.rows import find_strata
from fixgrid.cache.shares import rank_images, take_share

from .cell import Cell
from .fit import choose_best
from .measures import MEASURES, Measure
from .metrics import Estimate, t_interval
from .question import Ask
from .recipe import list_recipes
from .select import score_head
from .subset import TrainSubset
from .views import TestRes

_KEPT = ("images", "train_res", "test_res", "family", "correction", "strength", "val", "test")


@dataclass(frozen=True)
class CurvePoint:
    """What one share of the training images gives.

    Attributes
    ----------
    share : float
        Asked for, in (0, 1].
    images : int
        Training images used: each class, or whatever else `find_strata` deals by, gives its share, rounded, and at
        least one.
    train_res : int
        px, chosen on val for this share.
    test_res : int or str
        px, likewise; see `heads.views.TestRes`.
    family, correction : str
    strength : float
        Chosen on val for this share.
    val, test : Estimate
        Its figure, see ``metric``, with its interval.
    seeds : int
        Draws of so many images; all else is of the first of them.
    mean_test : Estimate or None
        Mean of ``test`` over the draws, with its 95 % t-interval: how much it matters which images are drawn, where
        that of ``test`` says how much it matters which are tested. None of one draw.
    metric, units : str
        See `heads.cell.Trial`.
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
    seeds: int = 1
    mean_test: Estimate | None = None
    metric: str = "accuracy"
    units: str = "images"

    @property
    def measure(self) -> Measure:
        """What its figures are."""
        return MEASURES[self.metric]


def read_shares(asked: str | Sequence[float]) -> list[float]:
    """Shares of 1 from percentages in a text, or as they are.

    Raises
    ------
    UsageError
        If one is not above 0 and at most the whole.
    """
    if not isinstance(asked, str):
        return list(asked)
    parts = [part.strip().rstrip("%") for part in asked.split(",")]
    if not all(part.replace(".", "", 1).isdecimal() and 0 < float(part) <= 100 for part in parts):
        raise UsageError(f"found --curve {asked!r}; expected percentages above 0 and up to 100, as in 1,5,10,50%.")
    return [float(part) / 100 for part in parts]


def fit_curve(ask: Ask, shares: Sequence[float], *, seed: int = 0, repeats: int = 1) -> list[CurvePoint]:
    """One point for each share, ascending: chosen on val among all pairs and options, scored on test once.

    Subsets are nested: a larger share holds every image of a smaller one. With several pairs each share chooses
    its own.

    Parameters
    ----------
    ask : Ask
        Points of earlier curves are remembered in its folder.
    shares : sequence of float
        In (0, 1].
    seed : int
        Of the subsets.
    repeats : int
        How often each share is drawn, with ``seed`` and those after it; all images are drawn once.

    Raises
    ------
    UsageError
        If there is no pair or no share, a share is not in (0, 1], or there is no repeat.
    """
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong or not shares or not ask.pairs:
        found = f"the share {wrong[0]}" if wrong else f"{len(shares)} shares and {len(ask.pairs)} pairs"
        raise UsageError(f"found {found} for a learning curve, expected shares above 0 and at most 1, and a pair.")
    if repeats < 1:
        raise UsageError(f"found --repeats {repeats} for a learning curve, expected 1 or more.")
    train = ask.source.load("train", ask.options.train_kinds[0], ask.pairs[0][0])
    orders = [rank_images(train.sha256, seed + repeat) for repeat in range(repeats)]
    points = []
    for share in sorted(set(shares)):
        drawn = [train.row[take_share(find_strata(train.y), order, share)] for order in orders]
        drawn = drawn[: 1 if len(drawn[0]) == len(train.row) else repeats]
        each = [_recall_point(_learn_from(ask, train, rows, share), share, len(rows)) for rows in drawn]
        tests, metric = [point.test.value for point in each], ask.options.metric
        mean = MEASURES[metric].clip(t_interval(tests)) if len(tests) > 1 else None
        points.append(replace(each[0], seeds=len(each), mean_test=mean, metric=metric, units=ask.units))
    return points


def _learn_from(ask: Ask, train: FeatureSet, rows: NDArray[np.int64], share: float) -> Ask:
    """The question to some of the training images; folds stay, so all images judge what some of these teach."""
    for held in ask.folds.held if ask.folds else ():
        left = train.y[np.isin(train.row, rows) & ~np.isin(train.row, held)]
        of_class = left.dtype.kind == "i"
        found, what = (len(np.unique(left)), "class") if of_class else (len(left), "image")
        if found < 2:
            raise UsageError(
                f"found a share of {100 * share:g} % that is {len(rows)} images, of which a fold leaves "
                f"{found} {what} to learn from; expected 2: ask for larger shares, or leave --folds out."
            )
    return replace(ask, source=TrainSubset(ask.source, rows))


def _recall_point(ask: Ask, share: float, images: int) -> CurvePoint:
    memo = ask.memo
    if memo is None:
        return _fit_point(ask, share, images)
    recipes = list(list_recipes(ask))
    facts = {"curve": [recipe.facts for recipe in recipes], "options": asdict(ask.options)}
    name = memo.name(facts, dict.fromkeys(place for recipe in recipes for place in recipe.places))
    record = memo.recall(name)
    if record is None:
        point = _fit_point(ask, share, images)
        memo.keep(name, {field: asdict(point)[field] for field in _KEPT})
        return point
    return _from_record(record, share)


def _fit_point(ask: Ask, share: float, images: int) -> CurvePoint:
    best = choose_best([ask])
    recipe, choice, head = best.recipe, best.chosen.choice, best.chosen.head
    test = recipe.load("test")
    return CurvePoint(
        share,
        images,
        recipe.train_res,
        recipe.test_res,
        recipe.family,
        recipe.correction,
        float(choice.strength),
        choice.val,
        score_head(head, recipe.see(test), test, recipe.options.measure).figure,
    )


def point_of(cell: Cell, images: int) -> CurvePoint:
    """The end of a curve, where all training images are used: a cell that the grid has made already."""
    return CurvePoint(
        1.0,
        images,
        cell.train_res,
        cell.test_res,
        cell.family,
        cell.correction,
        cell.strength,
        cell.val,
        cell.test,
        metric=cell.metric,
        units=cell.units,
    )


def _from_record(record: dict[str, Any], share: float) -> CurvePoint:
    estimates = {name: Estimate(*record[name]) for name in ("val", "test")}
    return CurvePoint(**{**record, **estimates, "share": share})

"""All that a report tells of features and heads: the cells, the chosen head's answers, twins."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from fixgrid.cache.errors import FixgridError, UsageError
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.phase import Phase, keep_silent
from fixgrid.cache.sealed import Sealed
from fixgrid.cache.text import tell_apart

from .answers import Answers, answer_test
from .cell import Cell
from .curve import CurvePoint, fit_curve, point_of
from .grid import BestMade, run_grids
from .question import Asked
from .recipe import FITTING, find_recipe, list_recipes
from .twins import OpenCopies, Twins, choose_res, find_twins
from .verdict import Verdict, judge_cells

CURVE_SHARES = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5)  # all of them is the chosen cell
MOST_COMPARED = 60_000  # images; every pair of them is a product of 1,280 numbers: 2 minutes on two cores


@dataclass(frozen=True, eq=False)
class Findings:
    """What one run found.

    Attributes
    ----------
    asked : Asked
        The question whose cell val chose, of several.
    verdict : Verdict
        Over the cells of all of them.
    answers : Answers
        Of the chosen cell; classes are called as they are shown.
    used : dict of str to list of Sealed
        By split, the features that the chosen cell depends on; of val and test one for each test resolution.
    curve : list of CurvePoint
        At the chosen pair of resolutions.
    twins : Twins or None
        None where the images were not compared.
    """

    asked: Asked
    verdict: Verdict[Cell]
    answers: Answers
    used: dict[str, list[Sealed]]
    curve: list[CurvePoint]
    twins: Twins | None

    @property
    def cells(self) -> list[Cell]:
        """All of them."""
        return self.verdict.cells

    @property
    def best(self) -> Cell:
        """The chosen cell."""
        return self.verdict.best

    @property
    def alike(self) -> list[Cell]:
        """The cells that differ from the chosen one in nothing but resolutions."""
        best = self.best
        own = best.axes, best.family, best.correction
        return [cell for cell in self.cells if (cell.axes, cell.family, cell.correction) == own]


def find_all(asks: Sequence[Asked], phase: Phase = keep_silent, open_copies: OpenCopies | None = None) -> Findings:
    """The grid, then what val's choice is worth and leaves wrong.

    Parameters
    ----------
    asks : sequence of Asked
        One for each trunk, kind of features and so on that are compared.
    phase : callable
        Is told how far the grid and the curve are.
    open_copies : callable, optional
        What compares images by their pixels.
    """
    made, total = BestMade(), sum(1 for ask in asks for _ in list_recipes(ask))
    cells: list[Cell] = []
    for cell in run_grids(asks, made):
        cells.append(cell)
        phase(FITTING, len(cells), total, "cells")
    verdict = judge_cells(cells)
    best = verdict.best
    asked = next(asked for asked in asks if asked.axes == best.axes)
    holdings = asked.holdings
    answers = answer_test(asked, best, tell_apart(holdings.manifest.classes), made.find(best))
    pair = replace(asked, pairs=((best.train_res, best.test_res),))
    n_train = len(asked.source.load("train", asked.options.train_kinds[0], best.train_res).row)
    curve = []
    for number, share in enumerate(CURVE_SHARES):
        phase("fitting heads on shares", number, len(CURVE_SHARES), "shares")
        with suppress(UsageError):  # folds may leave too little of a small share to learn from
            curve += fit_curve(pair, [share])
    curve.append(point_of(best, n_train))
    phase("comparing images")
    return Findings(asked, verdict, answers, _list_used(asked, best), curve, compare_images(holdings, open_copies))


def compare_images(holdings: Holdings, open_copies: OpenCopies | None = None) -> Twins | None:
    """Images that occur twice; None if a split's centre views are not cached or there are too many to compare."""
    if sum(len(rows) for rows in holdings.manifest.splits.values()) > MOST_COMPARED:
        return None
    try:
        return find_twins(holdings, choose_res(holdings), images=open_copies(holdings) if open_copies else None)
    except FixgridError:
        return None


def _list_used(asked: Asked, best: Cell) -> dict[str, list[Sealed]]:
    used: dict[str, list[Sealed]] = {}
    recipe = find_recipe(asked, (best.train_res, best.test_res), best.family, best.correction)
    for place in asked.list_passes(recipe.places):
        used.setdefault(place[0], []).append(asked.holdings.entry(*place))
    return used

"""All that a report tells of features and heads: the cells, the chosen head's answers, rival trunks, twins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from fixgrid.cache.errors import FixgridError, UsageError
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.sealed import Sealed

from .answers import Answers, answer_test
from .cell import Cell
from .curve import CurvePoint, fit_curve, point_of
from .grid import BestMade, run_grids
from .question import Asked
from .recipe import find_recipe
from .twins import Twin, choose_res, find_twins
from .verdict import judge_cells
from .views import TestRes, list_resolutions

CURVE_SHARES = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5)  # all of them is the chosen cell
MOST_COMPARED = 60_000  # images; every pair of them is a product of 1,280 numbers: 2 minutes on two cores

# From an architecture and resolutions, px, to its parameters and its multiply-adds at each.
CountCosts = Callable[[str, Sequence[int]], tuple[int, dict[int, int]]]


@dataclass(frozen=True)
class Rival:
    """The best cell of one trunk, chosen on val, and what it costs.

    Attributes
    ----------
    trunk : str
    parameters : int
    macs : int
        Multiply-adds per test image.
    cell : Cell
    """

    trunk: str
    parameters: int
    macs: int
    cell: Cell


@dataclass(frozen=True, eq=False)
class Findings:
    """What one run found.

    Attributes
    ----------
    cells : list of Cell
        One of them chosen.
    answers : Answers
        Of the chosen cell.
    used : dict of str to list of Sealed
        By split, the features that the chosen cell depends on; of val and test one for each test resolution.
    macs : dict of test_res to int
        Multiply-adds per test image.
    curve : list of CurvePoint
        At the chosen pair of resolutions.
    rivals : list of Rival
        The trunk itself first, then the others that the cache holds for this data set.
    twins : list of Twin or None
        None where the images were not compared.
    """

    cells: list[Cell]
    answers: Answers
    used: dict[str, list[Sealed]]
    macs: dict[TestRes, int]
    curve: list[CurvePoint]
    rivals: list[Rival]
    twins: list[Twin] | None

    @property
    def best(self) -> Cell:
        """The chosen cell."""
        return next(cell for cell in self.cells if cell.chosen)

    @property
    def alike(self) -> list[Cell]:
        """The cells of the chosen one's family and correction, one for each pair of resolutions."""
        best = self.best
        return [c for c in self.cells if (c.family, c.correction) == (best.family, best.correction)]


def find_all(asked: Asked, others: Sequence[Asked], count: CountCosts) -> Findings:
    """The grid, then what val's choice is worth, costs and leaves wrong.

    Parameters
    ----------
    asked : Asked
    others : sequence of Asked
        The same for other trunks; one whose features do not suffice is left out.
    count : callable
        See `CountCosts`.
    """
    holdings, made = asked.holdings, BestMade()
    cells = judge_cells(list(run_grids([asked], made))).cells
    best = next(cell for cell in cells if cell.chosen)
    answers = answer_test(asked, best, holdings.manifest.classes, made.find(best))
    pair = replace(asked, pairs=((best.train_res, best.test_res),))
    n_train = len(asked.source.load("train", asked.options.train_kinds[0], best.train_res).row)
    curve = []
    for share in CURVE_SHARES:
        with suppress(UsageError):  # folds may leave too little of a small share to learn from
            curve += fit_curve(pair, [share])
    curve.append(point_of(best, n_train))
    rivals = [weigh_trunk(asked, best, count), *_find_rivals(others, count)]
    used = _list_used(asked, best)
    return Findings(cells, answers, used, _count_macs(asked, cells, count), curve, rivals, compare_images(holdings))


def weigh_trunk(asked: Asked, best: Cell, count: CountCosts) -> Rival:
    """A trunk's chosen cell with the trunk's parameters and its multiply-adds there."""
    each = list_resolutions(best.test_res)
    parameters, macs = count(_name_architecture(asked.holdings), each)
    return Rival(asked.holdings.trunk, parameters, sum(macs[res] for res in each), best)


def compare_images(holdings: Holdings) -> list[Twin] | None:
    """Images that occur twice; None if a split's centre views are not cached or there are too many to compare."""
    if sum(len(rows) for rows in holdings.manifest.splits.values()) > MOST_COMPARED:
        return None
    try:
        return find_twins(holdings, choose_res(holdings))
    except FixgridError:
        return None


def _list_used(asked: Asked, best: Cell) -> dict[str, list[Sealed]]:
    used: dict[str, list[Sealed]] = {}
    recipe = find_recipe(asked, (best.train_res, best.test_res), best.family, best.correction)
    for place in asked.list_passes(recipe.places):
        used.setdefault(place[0], []).append(asked.holdings.entry(*place))
    return used


def _find_rivals(others: Sequence[Asked], count: CountCosts) -> list[Rival]:
    found = []
    for other in others:
        try:
            best = next(cell for cell in judge_cells(list(run_grids([other]))).cells if cell.chosen)
            found.append(weigh_trunk(other, best, count))
        except FixgridError:
            continue
    return found


def _count_macs(asked: Asked, cells: Sequence[Cell], count: CountCosts) -> dict[TestRes, int]:
    sees: Mapping[TestRes, tuple[int, ...]] = {cell.test_res: list_resolutions(cell.test_res) for cell in cells}
    _, macs = count(_name_architecture(asked.holdings), sorted({res for seen in sees.values() for res in seen}))
    return {test_res: sum(macs[res] for res in seen) for test_res, seen in sees.items()}


def _name_architecture(holdings: Holdings) -> str:
    return str(next(iter(holdings.entries.values())).spec.trunk["architecture"])

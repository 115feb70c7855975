"""The train x test grid: one path of heads per train_res, one cell per test_res, chosen on val."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ask import Ask, Asked
from .memo import Memo
from .metrics import Estimate, compare_paired
from .recipe import Recipe, list_recipes
from .select import Choice, Head, score_head
from .views import TestRes

_TIE = 0.05


@dataclass(frozen=True, eq=False)
class Cell:
    """One train_res x test_res entry.

    Attributes
    ----------
    train_res : int
        px.
    test_res : int or str
        px; see `heads.views.TestRes`.
    apparent : float
        Size of an object in a test view over its size in a training view; FixRes wants 1. Of several test
        resolutions the mean.
    val, test : Estimate
        Top-1 with its Wilson interval.
    strength : float
        Chosen on val at ``test_res``: C of a logistic head.
    note : str
        How the search for C ended.
    row : int64 array, shape (n,)
        Row ids of the test images.
    correct : bool array, shape (n,)
        Whether each is right.
    family, correction : str
        Kind of head, and how the resolution gap was corrected.
    features : str
        Kind of features.
    chosen : bool
        Best cell on val.
    tie : bool
        Not distinguishable from the chosen cell on test.
    """

    train_res: int
    test_res: TestRes
    apparent: float
    val: Estimate
    test: Estimate
    strength: float
    note: str
    row: NDArray[np.int64]
    correct: NDArray[np.bool_]
    family: str = "logistic"
    correction: str = "none"
    features: str = "pooled"
    chosen: bool = False
    tie: bool = False


@dataclass(frozen=True, eq=False)
class Made:
    """A cell's heads as they came out of its fit: what val chose, and the one to keep."""

    cell: Cell
    choice: Choice
    head: Head


@dataclass(eq=False)
class BestMade:
    """Keeps the heads of the best cell on val that a grid fitted; none of cells that were remembered."""

    made: Made | None = None

    def offer(self, made: Made) -> None:
        """Keep a cell's heads if no cell before was as good on val."""
        if self.made is None or made.cell.val.value > self.made.cell.val.value:
            self.made = made

    def find(self, cell: Cell) -> Made | None:
        """The heads of ``cell``, if they were kept."""
        return self.made if self.made is not None and _same_place(self.made.cell, cell) else None


def run_grid(ask: Ask, best: BestMade | None = None) -> Iterator[Cell]:
    """Cells as they finish: those of one train_res together, so that they share one path of heads.

    Parameters
    ----------
    ask : Ask
        Cells that its memo knows are neither loaded for nor fitted again.
    best : BestMade, optional
        Is offered every cell that is fitted.
    """
    memo = ask.memo
    refits: dict[tuple[str, TestRes], Cell] = {}
    for recipe in list_recipes(ask):
        place = recipe.family, recipe.test_res
        if recipe.is_refit and place in refits:
            # Its training images are those of test_res, so every train_res has the same cell.
            yield replace(refits[place], train_res=recipe.train_res)
            continue
        cell = None if memo is None else _recall_cell(recipe, memo)
        if cell is None:
            made = _make_cell(recipe)
            cell = made.cell
            if best is not None:
                best.offer(made)
            if memo is not None:
                memo.keep(memo.name(recipe.facts, recipe.places), _to_record(cell))
        if recipe.is_refit:
            refits[place] = cell
        yield cell


def _make_cell(recipe: Recipe) -> Made:
    choice, head = recipe.choose()
    test = recipe.load("test")
    score = score_head(head, recipe.see(test), test.y)
    cell = Cell(
        train_res=recipe.train_res,
        test_res=recipe.test_res,
        apparent=recipe.apparent,
        val=choice.val,
        test=score.accuracy,
        strength=float(choice.strength),
        note=choice.note,
        row=test.row,
        correct=score.correct,
        family=recipe.family,
        correction=recipe.correction,
    )
    return Made(cell, choice, head)


def _recall_cell(recipe: Recipe, memo: Memo) -> Cell | None:
    record = memo.recall(memo.name(recipe.facts, recipe.places))
    # The ratio of sizes is a fact of the views, not of the fit: cells of earlier versions have it for other crops.
    return None if record is None else replace(_from_record(record), apparent=recipe.apparent)


def _to_record(cell: Cell) -> dict[str, Any]:
    lists = {"row": cell.row.tolist(), "correct": cell.correct.tolist()}
    return {**vars(cell), **lists}


def _from_record(record: dict[str, Any]) -> Cell:
    typed = {
        "val": Estimate(*record["val"]),
        "test": Estimate(*record["test"]),
        "row": np.array(record["row"], np.int64),
        "correct": np.array(record["correct"], np.bool_),
    }
    return Cell(**{**record, **typed})


def run_grids(asks: Sequence[Asked]) -> Iterator[Cell]:
    """The cells of `run_grid`, of one kind of features after the other."""
    for ask in asks:
        for cell in run_grid(ask):
            yield replace(cell, features=ask.holdings.features)


def choose_cell(cells: Sequence[Cell]) -> list[Cell]:
    """The same cells, with the one best on val marked, and those that test cannot tell from it.

    The choice looks at val alone; of cells equal there, the first wins. The marks called tie are a statement
    for the reader, made after it: McNemar's test on the test images that both cells have, at 5 %.
    """
    if not cells:
        return []
    best = max(cells, key=lambda cell: cell.val.value)
    return [replace(cell, chosen=cell is best, tie=cell is not best and _is_tie(cell, best)) for cell in cells]


def _same_place(a: Cell, b: Cell) -> bool:
    places = [(cell.train_res, cell.test_res, cell.family, cell.correction, cell.features) for cell in (a, b)]
    return places[0] == places[1]


def _is_tie(cell: Cell, best: Cell) -> bool:
    _, mine, its = np.intersect1d(cell.row, best.row, assume_unique=True, return_indices=True)
    return compare_paired(cell.correct[mine], best.correct[its]) >= _TIE

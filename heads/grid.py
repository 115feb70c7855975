"""The train x test grid: one path of heads per train_res, one cell per test_res, chosen on val."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memo import Memo
from .metrics import Estimate, compare_paired
from .recipe import GridOptions as GridOptions
from .recipe import Load, Pair, Recipe, list_recipes
from .select import score_head
from .views import TestRes

# The rows of the 2020 table this product starts from: train_res, test_res.
SEED_PAIRS: tuple[Pair, ...] = (
    (128, 224),
    (224, 128),
    (224, 224),
    (224, 320),
    (224, 400),
    (320, 224),
    (320, 320),
    (320, 380),
)

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
    chosen: bool = False
    tie: bool = False


def run_grid(
    load: Load,
    pairs: Sequence[Pair],
    n_classes: int,
    options: GridOptions | None = None,
    memo: Memo | None = None,
) -> Iterator[Cell]:
    """Cells as they finish: those of one train_res together, so that they share one path of heads.

    Parameters
    ----------
    load : callable
        See `heads.recipe.Load`.
    pairs : sequence of (train_res, test_res), px
    n_classes : int
    options : GridOptions, optional
    memo : Memo, optional
        Cells of earlier grids: one that is there is neither loaded for nor fitted again.
    """
    refits: dict[tuple[str, TestRes], Cell] = {}
    for recipe in list_recipes(load, pairs, n_classes, options or GridOptions()):
        place = recipe.family, recipe.test_res
        if recipe.is_refit and place in refits:
            # Its training images are those of test_res, so every train_res has the same cell.
            yield replace(refits[place], train_res=recipe.train_res)
            continue
        cell = _fill_cell(recipe) if memo is None else _recall_cell(recipe, memo)
        if recipe.is_refit:
            refits[place] = cell
        yield cell


def _fill_cell(recipe: Recipe) -> Cell:
    choice, head = recipe.choose()
    test = recipe.load("test")
    score = score_head(head, recipe.see(test), test.y)
    return Cell(
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


def _recall_cell(recipe: Recipe, memo: Memo) -> Cell:
    name = memo.name(recipe.facts, recipe.places)
    record = memo.recall(name)
    if record is None:
        cell = _fill_cell(recipe)
        memo.keep(name, _to_record(cell))
        return cell
    return _from_record(record)


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


def choose_cell(cells: Sequence[Cell]) -> list[Cell]:
    """The same cells, with the one best on val marked, and those that test cannot tell from it.

    The choice looks at val alone; of cells equal there, the first wins. The marks called tie are a statement
    for the reader, made after it: McNemar's test on the test images that both cells have, at 5 %.
    """
    if not cells:
        return []
    best = max(cells, key=lambda cell: cell.val.value)
    return [replace(cell, chosen=cell is best, tie=cell is not best and _is_tie(cell, best)) for cell in cells]


def _is_tie(cell: Cell, best: Cell) -> bool:
    _, mine, its = np.intersect1d(cell.row, best.row, assume_unique=True, return_indices=True)
    return compare_paired(cell.correct[mine], best.correct[its]) >= _TIE

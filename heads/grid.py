"""The train x test grid: one path of heads per train_res, one cell per test_res, chosen on val."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from .cell import Cell, Trial
from .memo import Memo
from .metrics import Estimate
from .question import Ask
from .recipe import Chosen, Recipe, list_recipes
from .select import score_head
from .views import TestRes

Tried = TypeVar("Tried", bound=Trial)


@dataclass(frozen=True, eq=False)
class Made:
    """A cell, and what came out of its fit."""

    cell: Cell
    chosen: Chosen


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
        return self.made if self.made is not None and self.made.cell.place == cell.place else None


def run_grid(ask: Ask, best: BestMade | None = None) -> Iterator[Cell]:
    """Cells as they finish: those of one train_res together, so that they share one path of heads.

    Parameters
    ----------
    ask : Ask
        Cells that its memo knows are neither loaded for nor fitted again.
    best : BestMade, optional
        Is offered every cell that is fitted.
    """
    refits: dict[tuple[str, TestRes], Cell] = {}
    for recipe in list_recipes(ask):
        place = recipe.family, recipe.test_res
        if recipe.is_refit and place in refits:
            # Its training images are those of test_res, so every train_res has the same cell.
            yield replace(refits[place], train_res=recipe.train_res)
            continue
        cell = recall_cell(recipe, ask.memo)
        if cell is None:
            made = _make_cell(recipe)
            cell = made.cell
            if memo := ask.memo:
                memo.keep(memo.name(recipe.facts, recipe.places), _to_record(cell))
            if best is not None:
                best.offer(replace(made, cell=weigh_trial(cell, ask)))
        cell = weigh_trial(cell, ask)
        if recipe.is_refit:
            refits[place] = cell
        yield cell


def _make_cell(recipe: Recipe) -> Made:
    chosen, test = recipe.choose(), recipe.load("test")
    score = score_head(chosen.head, recipe.see(test), test, recipe.options.measure)
    known = vars(note_trial(recipe, chosen))
    return Made(Cell(**known, test=score.figure, row=score.unit, correct=score.share), chosen)


def note_trial(recipe: Recipe, chosen: Chosen) -> Trial:
    """What val knows of a recipe once it has chosen."""
    return Trial(
        train_res=recipe.train_res,
        test_res=recipe.test_res,
        apparent=recipe.apparent,
        val=chosen.choice.val,
        strength=float(chosen.choice.strength),
        note=chosen.choice.note,
        val_row=chosen.choice.row,
        val_correct=chosen.choice.correct,
        family=recipe.family,
        correction=recipe.correction,
    )


def recall_cell(recipe: Recipe, memo: Memo | None) -> Cell | None:
    """A recipe's cell, if an earlier grid made it."""
    if memo is None:
        return None
    record = memo.recall(memo.name(recipe.facts, recipe.places))
    # The ratio of sizes is a fact of the views, not of the fit: cells of earlier versions have it for other crops.
    return None if record is None else replace(_from_record(record), apparent=recipe.apparent)


# As JSON has them: whether images are right, or their shares.
_LISTS = {"row": np.int64, "correct": None, "val_row": np.int64, "val_correct": None}
_FACTS = ("train_res", "test_res", "apparent", "val", "test", "strength", "note", "family", "correction")


def _to_record(cell: Cell) -> dict[str, Any]:
    """What its fit gave, as JSON values; what it is compared with, and costs here, is not of it."""
    return {name: getattr(cell, name) for name in _FACTS} | {name: getattr(cell, name).tolist() for name in _LISTS}


def _from_record(record: dict[str, Any]) -> Cell:
    typed = {name: Estimate(*record[name]) for name in ("val", "test")}
    arrays: dict[str, Any] = {name: np.array(record[name], dtype) for name, dtype in _LISTS.items()}
    return Cell(**{**record, **typed, **arrays})


def run_grids(asks: Sequence[Ask], best: BestMade | None = None) -> Iterator[Cell]:
    """The cells of `run_grid`, of one question after the other."""
    for ask in asks:
        yield from run_grid(ask, best)


def weigh_trial(trial: Tried, ask: Ask) -> Tried:
    """A trial with what the question that it answers says of its axes and cost."""
    cost = ask.weigh(trial.test_res)
    return replace(trial, axes=ask.axes, cost=cost, metric=ask.options.metric, units=ask.units)

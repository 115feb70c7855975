"""What a grid's cells say together: the best on val, what cannot be told from it, and what is as good for less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from .cell import LEVEL, Cell, Trial
from .contest import compare_with, estimate_optimism, find_resolution
from .measures import Shares

PREFERENCES = ("accurate", "cheap")


Tried = TypeVar("Tried", bound=Trial)


@dataclass(frozen=True, eq=False)
class Verdict(Generic[Tried]):
    """Trials or cells with their marks, and how far val can be trusted with the choice among them.

    Attributes
    ----------
    cells : list
        In their order; see `Trial` for the marks.
    n_val : int
        Images that all of them were judged on.
    optimism : float
        See `heads.contest.estimate_optimism`.
    resolution : float
        See `heads.contest.find_resolution`.
    """

    cells: list[Tried]
    n_val: int
    optimism: float
    resolution: float

    @property
    def best(self) -> Tried:
        """The one that val chose."""
        return next(cell for cell in self.cells if cell.chosen)

    @property
    def cheapest(self) -> Tried | None:
        """The cheapest that val cannot tell from it, which may be itself; None if costs are not known."""
        return next((cell for cell in self.cells if cell.cheap), None)

    @property
    def decides(self) -> bool:
        """Whether val tells the best from at least half of the others."""
        return 2 * sum(cell.val_tie for cell in self.cells) < len(self.cells)

    def choose(self, prefer: str) -> Tried:
        """The best on val, or the cheapest that val cannot tell from it."""
        return (self.cheapest or self.best) if prefer == "cheap" else self.best


def judge_trials(trials: Sequence[Tried]) -> Verdict[Tried]:
    """The same trials, marked. Val alone decides; of trials equal there the cheapest wins, then the first.

    What val cannot tell from the chosen one is found by `heads.contest.compare_with`, at 5 % for all comparisons
    together.

    Parameters
    ----------
    trials : sequence of Trial
    """
    if not trials:
        return Verdict([], 0, 0.0, 0.0)
    best = max(range(len(trials)), key=lambda i: (trials[i].val.value, -_cost(trials[i])))
    correct = _line_up([(trial.val_row, trial.val_correct) for trial in trials])
    p = compare_with(correct, best, chosen_here=True).tolist()
    rivals = [i for i in range(len(trials)) if p[i] >= LEVEL and trials[best].cost]
    cheap = min(rivals, key=lambda i: (_cost(trials[i]), -trials[i].val.value), default=None)
    front = _find_front(trials)
    marked = [
        replace(trial, chosen=i == best, val_p=p[i], front=i in front, cheap=i == cheap)
        for i, trial in enumerate(trials)
    ]
    return Verdict(marked, len(correct), estimate_optimism(correct), find_resolution(correct, best))


def judge_cells(cells: Sequence[Cell]) -> Verdict[Cell]:
    """As `judge_trials`; then those that test cannot tell from the chosen one are marked, for the reader."""
    verdict = judge_trials(cells)
    if not cells:
        return verdict
    best = next(i for i, cell in enumerate(verdict.cells) if cell.chosen)
    correct = _line_up([(cell.row, cell.correct) for cell in cells])
    p = compare_with(correct, best, chosen_here=False).tolist()
    marked = [replace(cell, test_p=p[i]) for i, cell in enumerate(verdict.cells)]
    return replace(verdict, cells=marked)


def _cost(trial: Trial) -> float:
    return trial.cost.gmac if trial.cost else float("inf")


def _find_front(trials: Sequence[Trial]) -> set[int]:
    """Places of those that none of the same cost or less equals or exceeds on val."""
    front, height = set(), -float("inf")
    for i in sorted(range(len(trials)), key=lambda i: (_cost(trials[i]), -trials[i].val.value)):
        if trials[i].cost and trials[i].val.value > height:
            front.add(i)
            height = trials[i].val.value
    return front


def _line_up(answers: Sequence[tuple[NDArray[np.int64], Shares]]) -> Shares:
    """The share of each of k in each image or group that all have, of their ids and answers: shape (n, k)."""
    rows = reduce(np.intersect1d, (row for row, _ in answers))
    columns: list[Any] = []
    for row, correct in answers:
        order = np.argsort(row)
        columns.append(correct[order[np.searchsorted(row, rows, sorter=order)]])
    return np.stack(columns, axis=1)

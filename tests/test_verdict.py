"""Val alone chooses; ties, costs and the front are marks that test has no say in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fixgrid.heads.cell import Axes, Cell, Cost
from fixgrid.heads.metrics import wilson_interval
from fixgrid.heads.verdict import judge_cells, judge_trials

N = 400


def make(
    hits: int, gmac: float | None, *, test: int = 300, trunk: str = "a", rows: NDArray[np.int64] | None = None
) -> Cell:
    """A cell that is right on the first val and test images."""
    row = np.arange(N) if rows is None else rows
    return Cell(
        train_res=128,
        test_res=128,
        apparent=1.0,
        val=wilson_interval(hits, N),
        strength=1.0,
        note="",
        val_row=row,
        val_correct=row < hits,
        axes=Axes(trunk=trunk),
        cost=None if gmac is None else Cost(gmac, None, 1),
        test=wilson_interval(test, N),
        row=np.arange(N),
        correct=np.arange(N) < test,
    )


def test_the_best_on_val_is_chosen_whatever_test_says() -> None:
    cells = [make(300, 1.0, test=390), make(380, 2.0, test=10), make(340, 0.5, test=200)]
    assert judge_cells(cells).best.val == cells[1].val
    assert [cell.chosen for cell in judge_cells(cells).cells] == [False, True, False]
    assert [cell.chosen for cell in judge_trials(cells).cells] == [False, True, False]


def test_of_cells_equal_on_val_the_cheapest_wins_then_the_first() -> None:
    assert judge_trials([make(380, 2.0), make(380, 1.0), make(380, 3.0)]).best.cost == Cost(1.0, None, 1)
    assert judge_trials([make(380, None, trunk="a"), make(380, None, trunk="b")]).best.axes.trunk == "a"


def test_ties_on_val_and_on_test_are_told_apart() -> None:
    cells = judge_cells([make(380, 1, test=380), make(378, 1, test=200), make(250, 1, test=379)]).cells
    assert [(cell.val_tie, cell.tie) for cell in cells] == [(False, False), (True, False), (False, True)]
    assert cells[2].val_p < 0.05 <= cells[2].test_p


def test_the_cheapest_that_val_cannot_tell_from_the_best_is_named() -> None:
    verdict = judge_cells([make(380, 4.0), make(378, 2.0), make(379, 3.0), make(200, 0.1)])
    assert verdict.cheapest is not None
    assert verdict.cheapest.cost == Cost(2.0, None, 1)
    assert verdict.choose("cheap") is verdict.cheapest
    assert verdict.choose("accurate") is verdict.best
    assert judge_cells([make(380, None), make(378, None)]).cheapest is None


def test_the_front_is_decided_on_val_alone() -> None:
    cells = [make(200, 0.1), make(300, 1.0), make(290, 2.0), make(380, 3.0), make(380, 4.0)]
    front = [cell.front for cell in judge_cells(cells).cells]
    assert front == [True, True, False, True, False]
    assert front == [
        cell.front for cell in judge_cells([replace(cell, test=wilson_interval(1, N)) for cell in cells]).cells
    ]


def test_cells_are_compared_on_the_images_that_all_have() -> None:
    some = np.random.default_rng(0).permutation(N)[:350]
    whole, part = make(380, 1.0), make(380, 1.0, rows=some)
    verdict = judge_trials([whole, part])
    assert verdict.n_val == 350
    assert verdict.cells[1].val_p == 1


def test_val_that_cannot_tell_most_cells_apart_says_so() -> None:
    assert not judge_trials([make(380, 1.0), make(379, 1.0), make(378, 1.0)]).decides
    assert judge_trials([make(380, 1.0), make(200, 1.0), make(180, 1.0)]).decides


def test_no_cells_have_no_verdict() -> None:
    assert judge_cells([]).cells == []

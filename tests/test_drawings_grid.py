"""Figures of the grid hold the cells' own numbers, for any number of cells and several test resolutions in one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, Cache, Source, ask
from shown import expect_shown

from fixgrid.heads.cell import Axes, Cost
from fixgrid.heads.curve import fit_curve
from fixgrid.heads.drawings_grid import draw_curve, draw_front, draw_grid
from fixgrid.heads.grid import run_grid
from fixgrid.heads.verdict import judge_cells

GMAC = {128: 0.1, 224: 0.3, 320: 0.6, "128+224": 0.4}


@pytest.fixture(scope="module")
def cells():
    made = run_grid(ask(Cache(), [*PAIRS, (224, "128+224")], FEW))
    return judge_cells([replace(cell, cost=Cost(GMAC[cell.test_res], None, 1)) for cell in made]).cells


def test_the_grid_holds_every_cell_and_names_the_chosen(cells):
    drawing = draw_grid(cells)
    expect_shown(drawing)
    found = {(r["train_res"], r["test_res"]): (r["test"], r["test_low"], r["test_high"]) for r in drawing.records}
    assert found == {(c.train_res, c.test_res): c.test for c in cells}
    best = next(cell for cell in cells if cell.chosen)
    assert f"Chosen: train {best.train_res} px, test {best.test_res} px, {best.test.value:.1%}" in drawing.alt
    assert f"★ {100 * best.test.value:.1f}" in drawing.svg
    assert drawing.svg.count("★") == 1
    assert drawing.svg.count("= ") == sum(cell.tie for cell in cells)
    assert "128+224" in drawing.svg


def test_one_cell_and_many_are_shown(cells):
    best = next(cell for cell in cells if cell.chosen)
    expect_shown(draw_grid([best]))
    expect_shown(draw_front([best]))
    many = [
        replace(best, train_res=a, test_res=b, chosen=a == b == 64) for a in (64, 96) for b in range(64, 704, 32)
    ]
    wide = draw_grid(many)
    expect_shown(wide)
    assert wide.width_pt > 1200


def test_compute_is_in_gmac_and_the_front_is_named(cells):
    drawing = draw_front(cells)
    expect_shown(drawing)
    assert [r["gmac"] for r in drawing.records] == [GMAC[cell.test_res] for cell in cells]
    front = [cell for cell in cells if cell.front]
    assert sum(r["front"] for r in drawing.records) == len(front) > 1
    for cell in front:
        assert f"{cell.train_res}→{cell.test_res} px {cell.test.value:.1%}" in drawing.alt
        assert f"{cell.train_res}→{cell.test_res}" in drawing.svg


def test_cells_of_several_trunks_are_numbered_and_named_below(cells):
    more = [replace(cell, axes=Axes(trunk=name)) for name in ("mine", "<small>") for cell in cells]
    drawing = draw_front(judge_cells(more).cells)
    expect_shown(drawing)
    assert "1  mine, " in drawing.svg
    many = draw_front(judge_cells(more * 8).cells)
    expect_shown(many)
    assert len(many.records) == 16 * len(cells)


def test_the_curve_holds_its_points():
    points = fit_curve(ask(Source(), [(224, 224)], FEW), (0.1, 0.5, 1.0))
    drawing = draw_curve(points)
    expect_shown(drawing)
    assert [(r["images"], r["test"]) for r in drawing.records] == [(p.images, p.test.value) for p in points]
    assert f"{points[-1].images} images {points[-1].test.value:.1%}" in drawing.alt
    assert np.all(np.diff([r["images"] for r in drawing.records]) > 0)

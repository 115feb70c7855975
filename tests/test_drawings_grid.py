"""Figures of the grid hold the cells' own numbers, for any number of cells and several test resolutions in one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, Cache, Source, ask
from shown import expect_shown

from fixgrid.heads.curve import fit_curve
from fixgrid.heads.drawings_grid import draw_compute, draw_curve, draw_grid, find_front
from fixgrid.heads.grid import run_grid
from fixgrid.heads.verdict import judge_cells

MACS = {128: 10**8, 224: 3 * 10**8, 320: 6 * 10**8, "128+224": 4 * 10**8}


@pytest.fixture(scope="module")
def cells():
    return judge_cells(list(run_grid(ask(Cache(), [*PAIRS, (224, "128+224")], FEW)))).cells


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
    expect_shown(draw_compute([best], MACS))
    many = [
        replace(best, train_res=a, test_res=b, chosen=a == b == 64) for a in (64, 96) for b in range(64, 704, 32)
    ]
    wide = draw_grid(many)
    expect_shown(wide)
    assert wide.width_pt > 1200


def test_the_front_is_decided_on_val_alone(cells):
    worse = [replace(cell, test=cell.test._replace(value=0.0)) for cell in cells]
    front = find_front(cells, MACS)
    places = [(cell.train_res, cell.test_res) for cell in front]
    assert places == [(cell.train_res, cell.test_res) for cell in find_front(worse, MACS)]
    assert [cell.val.value for cell in front] == sorted({cell.val.value for cell in front})
    assert max(cell.val.value for cell in cells) == front[-1].val.value


def test_compute_is_in_gmac_and_the_front_is_named(cells):
    drawing = draw_compute(cells, MACS)
    expect_shown(drawing)
    assert [r["gmac"] for r in drawing.records] == [MACS[cell.test_res] / 1e9 for cell in cells]
    front = find_front(cells, MACS)
    assert sum(r["front"] for r in drawing.records) == len(front)
    for cell in front:
        assert f"{cell.train_res} to {cell.test_res} px {cell.test.value:.1%}" in drawing.alt
        assert f"{cell.train_res}→{cell.test_res}" in drawing.svg


def test_the_curve_holds_its_points():
    points = fit_curve(ask(Source(), [(224, 224)], FEW), (0.1, 0.5, 1.0))
    drawing = draw_curve(points)
    expect_shown(drawing)
    assert [(r["images"], r["test"]) for r in drawing.records] == [(p.images, p.test.value) for p in points]
    assert f"{points[-1].images} images {points[-1].test.value:.1%}" in drawing.alt
    assert np.all(np.diff([r["images"] for r in drawing.records]) > 0)

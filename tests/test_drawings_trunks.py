"""Trunks by size: each with its own numbers, named in full beside the figure."""

from __future__ import annotations

from drawn import FEW, PAIRS, Cache, ask
from shown import expect_shown

from fixgrid.heads.drawings_trunks import draw_trunks
from fixgrid.heads.findings import Rival
from fixgrid.heads.grid import run_grid
from fixgrid.heads.verdict import judge_cells


def test_every_trunk_has_its_parameters_its_cost_and_its_interval():
    cells = judge_cells(list(run_grid(ask(Cache(), PAIRS, FEW)))).cells
    rivals = [Rival("mine", 4_100_000, 6 * 10**8, cells[0]), Rival("<small>", 3_400_000, 4 * 10**8, cells[1])]
    drawing = draw_trunks(rivals)
    expect_shown(drawing)
    assert [r["trunk"] for r in drawing.records] == ["<small>", "mine"]
    assert [r["parameters"] for r in drawing.records] == [3_400_000, 4_100_000]
    assert [r["gmac"] for r in drawing.records] == [0.4, 0.6]
    assert drawing.records[1]["test_low"] == cells[0].test.low
    assert f"mine 4.1 million parameters {cells[0].test.value:.1%}" in drawing.alt
    assert "&lt;small&gt;" in drawing.svg
    assert drawing.svg.count("<text") > 0

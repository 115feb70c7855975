"""What a report tells: the chosen cell is val's, of one trunk or several; twins are looked for."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import FEW, PAIRS, SIZES, Source, ask
from entries import make_rows

from fixgrid.cache.rows import Manifest
from fixgrid.cache.shard import Status
from fixgrid.heads import findings
from fixgrid.heads.ask import ask_cache
from fixgrid.heads.findings import compare_images, find_all
from fixgrid.heads.grid import run_grid
from fixgrid.heads.question import Asked
from fixgrid.heads.recipe import Recipe
from fixgrid.heads.verdict import judge_cells


class Held(Source):
    """Generated features that look like `cache.holdings.Holdings`."""

    features = "pooled"

    def __init__(self, trunk: str = "mine") -> None:
        super().__init__()
        self.trunk = trunk
        self.manifest = Manifest("dogs", "/gone", tuple("abcd"), {s: make_rows(n) for s, n in SIZES.items()})
        self.entries = {0: self.entry("test", "center", 224)}

    def identify(self, split: str, kind: str, res: int) -> str:
        return f"{self.trunk} {(split, kind, res)}"

    def resolutions(self, split: str, kind: str) -> list[int]:
        return [128, 224, 320]

    def expect(self, places: object) -> None:
        """It has everything."""

    def entry(self, split: str, kind: str, res: int) -> SimpleNamespace:
        view = {"kind": kind, "res": res, "crop_ratio": "0.875"}
        trunk = {"architecture": self.trunk, "weights_sha256": "f" * 64}
        spec = SimpleNamespace(view=view, trunk=trunk, key=f"{split}-{res}", precision="fp32", dtype="float32")
        status = np.full(len(self.manifest.splits[split]), Status.OK, np.uint8)
        made = {"trunk": self.trunk, "versions": {"torch": "2"}, "host": "h"}
        return SimpleNamespace(spec=spec, provenance=made, read_status=lambda: status)


def asked(folder: Path, holdings: Held | None = None, pairs: tuple = tuple(PAIRS)) -> Asked:
    """As the command line asks."""
    holdings = holdings or Held()
    return Asked(holdings, pairs, FEW, folder, holdings=holdings)


def test_the_cells_are_the_grids(tmp_path):
    found = find_all([asked(tmp_path)])
    plain = judge_cells(list(run_grid(ask(Source().load, PAIRS, FEW)))).cells
    assert [(c.train_res, c.test_res, c.test, c.chosen) for c in found.cells] == [
        (c.train_res, c.test_res, c.test, c.chosen) for c in plain
    ]
    assert found.answers.figures.top1 == found.best.test
    assert [point.images for point in found.curve][-1] == SIZES["train"]
    assert [one.spec.view["res"] for one in found.used["test"]] == [found.best.test_res]
    assert found.used["train"][0].spec.view["res"] == found.best.train_res


def test_several_test_resolutions_use_both(tmp_path):
    found = find_all([asked(tmp_path, pairs=((224, "128+224"),))])
    assert [one.spec.view["res"] for one in found.used["test"]] == [128, 224]


def test_of_several_trunks_the_answers_are_those_of_the_one_that_val_chose(tmp_path):
    class Blind(Held):
        """Whose features say nothing."""

        def load(self, split, kind, res):
            seen = super().load(split, kind, res)
            return replace(seen, X=np.zeros_like(seen.X))

    blind, good = asked(tmp_path, Blind("blind")), asked(tmp_path, Held("good"))
    found = find_all([blind, good])
    assert len(found.cells) == 2 * len(PAIRS)
    assert (found.best.axes.trunk, found.asked) == ("good", good)
    assert found.answers.figures.top1 == found.best.test
    assert {cell.axes.trunk for cell in found.alike} == {"good"}


def test_images_are_compared_unless_there_are_too_many_or_views_are_missing(monkeypatch):
    held = Held()
    assert compare_images(held) is not None
    bare = copy.copy(held)
    bare.resolutions = lambda split, kind: []
    assert compare_images(bare) is None
    monkeypatch.setattr(findings, "MOST_COMPARED", sum(SIZES.values()) - 1)
    assert compare_images(held) is None


def test_the_chosen_cell_is_fitted_once_for_grid_answers_and_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, choose = Counter(), Recipe.choose
    question = asked(tmp_path)

    def count_choices(recipe: Recipe, *more: object) -> object:
        if recipe.training.source is question.source:  # a curve's other points are of fewer images
            fitted[recipe.train_res, recipe.test_res] += 1
        return choose(recipe, *more)

    monkeypatch.setattr(Recipe, "choose", count_choices)
    found = find_all([question])
    assert fitted == dict.fromkeys(PAIRS, 1)
    assert (found.curve[-1].share, found.curve[-1].test) == (1.0, found.best.test)
    fitted.clear()
    again = find_all([question])  # its cells are remembered, its heads are not
    assert fitted == {(found.best.train_res, found.best.test_res): 1}
    assert again.answers.figures == found.answers.figures


def test_a_report_of_folds_has_the_shares_that_leave_enough_to_learn_from(tmp_path):
    question = ask_cache(Held(), tmp_path, pairs=[(224, 224)], folds=3, heads="ridge")
    found = find_all([question])
    assert found.curve[-1].images == SIZES["train"] + SIZES["val"] == len(found.best.val_row)
    assert {split: len(used) for split, used in found.used.items()} == {"train": 2, "val": 2, "test": 1}

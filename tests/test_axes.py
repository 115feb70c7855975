"""Trunks, crop ratios and views compete in one table, and whoever names them in a grid can keep the head."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_searching import QUICK, SIDES, trunks
from zoo import write_splits

import fixgrid
from fixgrid.cache.errors import UsageError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trunks, two crop ratios, center and five views, at two resolutions."""
    folder = tmp_path_factory.mktemp("axes")
    write_splits(folder / "data")
    for ratio in (0.8, 1.0):
        how = {"res": SIDES[:2], "crop_ratio": ratio, "views": "five" if ratio < 1 else "", **QUICK}
        fixgrid.extract(folder / "data", trunk=trunks(), cache=folder / "cache", **how)
    return folder / "cache"


def test_every_combination_has_its_cells_and_one_is_chosen(cache: Path) -> None:
    found = fixgrid.grid(cache=cache, trunk="all", crop_ratio="all")
    assert {(cell.axes.trunk, cell.axes.crop_ratio) for cell in found.cells} == {
        (name, ratio) for name in ("tones2", "tones24") for ratio in ("0.8", "1.0")
    }
    assert len(found.cells) == 2 * 2 * 4
    assert sum(cell.chosen for cell in found.cells) == 1
    assert found.best.val.value == max(cell.val.value for cell in found.cells)
    lines = found.format().splitlines()
    assert {"trunk", "crop_ratio"} <= set(lines[0].split())
    assert max(map(len, lines)) <= 80
    assert {cell["crop_ratio"] for cell in json.loads(found.format("json"))["cells"]} == {"0.8", "1.0"}


def test_views_are_an_axis_too(cache: Path) -> None:
    found = fixgrid.grid(cache=cache, trunk="tones24", crop_ratio=0.8, test_view="center,five")
    costs = {cell.axes.test_view: cell.cost.gmac for cell in found.cells if cell.cost and cell.test_res == SIDES[0]}
    assert costs["five"] == pytest.approx(5 * costs["center"])


def test_the_kept_head_is_of_the_cell_that_the_grid_chose(cache: Path, tmp_path: Path) -> None:
    asked = {"cache": cache, "trunk": ["tones2", "tones24"], "crop_ratio": "0.8,1.0"}
    best = fixgrid.grid(**asked).best
    kept = fixgrid.fit_head(**asked, out=tmp_path / "head")
    assert (kept.fitted.train_res, kept.fitted.test_res) == (best.train_res, best.test_res)
    assert kept.fitted.ask.axes == best.axes
    assert kept.record["val"] == best.val._asdict()
    cheap = fixgrid.grid(**asked).cheapest
    again = fixgrid.fit_head(**asked, prefer="cheap", out=tmp_path / "cheap")
    assert (again.fitted.ask.axes, again.fitted.test_res) == (cheap.axes, cheap.test_res)


def test_what_answers_of_one_alone_refuses_several(cache: Path) -> None:
    with pytest.raises(UsageError, match=r"found --trunk tones2,tones24; expected one"):
        fixgrid.duplicates(cache=cache, trunk="tones2,tones24")
    with pytest.raises(UsageError, match=r"found --prefer 'dear'"):
        fixgrid.fit_head(cache=cache, trunk="tones2", prefer="dear")
    with pytest.raises(UsageError, match=r"found --test-view 'six'"):
        fixgrid.grid(cache=cache, trunk="tones2", crop_ratio=1.0, test_view="six")


def test_of_all_what_lacks_features_is_left_out_with_a_word(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="fixgrid"):
        found = fixgrid.grid(cache=cache, trunk="all", crop_ratio="all", test_view="five")
    assert {cell.axes.crop_ratio for cell in found.cells} == {"0.8"}
    assert "left out" in caplog.text

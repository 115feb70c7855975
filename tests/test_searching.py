"""A search: shares are prefixes, nothing is computed twice, test is seen last, and what was dropped is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_trunks_together import Mean
from zoo import draw_photo, encode

import fixgrid
from fixgrid.cache.datasets import list_sources
from fixgrid.cache.errors import UsageError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.store import FeatureStore
from fixgrid.halving import SHARES, _take
from fixgrid.search_requests import Budget, read_budget

QUICK = {"workers": 1, "engine": "inline", "train_views": 0}
SIDES = [16, 24, 32]


def trunks() -> list[fixgrid.OwnTrunk]:
    return [fixgrid.OwnTrunk(Mean(width), name=f"tones{width}") for width in (2, 24)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "data"
    for i in range(120):  # one class is brighter, by less than photographs differ
        split, name = ("train", "train", "val", "test")[i % 4], "ab"[i // 4 % 2]
        path = folder / split / name / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(draw_photo(40, 36, i), np.float64) * 0.6 + 60 * (name == "b")
        path.write_bytes(encode(Image.fromarray(pixels.clip(0, 255).astype(np.uint8))))
    return folder


@pytest.fixture(scope="module")
def full(data: Path) -> fixgrid.search_results.Search:  # type: ignore[name-defined]
    return fixgrid.search(data, trunk=trunks(), res=SIDES, cache=data.parent / "full", **QUICK)


@pytest.fixture(scope="module")
def raced(data: Path) -> fixgrid.search_results.Search:  # type: ignore[name-defined]
    how = {"res": SIDES, "cache": data.parent / "raced", "budget": "450images", **QUICK}
    return fixgrid.search(data, trunk=trunks(), **how)


def test_without_a_budget_it_is_the_grid_of_every_trunk(data: Path, full) -> None:
    assert full.rungs == []
    assert full.gmac == pytest.approx(full.full_gmac)
    found = fixgrid.grid(cache=data.parent / "full", trunk="all")
    assert {cell.place for cell in found.cells} == {cell.place for cell in full.grid.cells}
    assert len(found.cells) == 2 * len(SIDES) ** 2
    assert found.best.place == full.grid.best.place
    assert [cell.cost.ms is not None for cell in found.cells if cell.cost] == [True] * len(found.cells)


def test_a_budget_is_kept_and_what_is_dropped_is_said(raced, full) -> None:
    assert raced.gmac < 0.75 * full.gmac
    assert raced.full_gmac == pytest.approx(full.full_gmac)
    shares = [rung.share for rung in raced.rungs]
    assert shares == sorted(shares)
    assert raced.rungs[0].passes == 2 * len(SIDES)
    dropped = [one.passed for rung in raced.rungs for one in rung.dropped]
    left = {(cell.axes.trunk, res) for cell in raced.grid.cells for res in (cell.train_res, cell.test_res)}
    assert len(dropped) + len(left) == 2 * len(SIDES)
    text = raced.format()
    assert "told apart" in text
    assert max(map(len, text.splitlines())) <= 80
    found = json.loads(raced.format("json"))
    assert [len(rung["dropped"]) for rung in found["rungs"]] == [len(rung.dropped) for rung in raced.rungs]


def test_the_cells_that_are_left_are_those_of_the_full_search(raced, full) -> None:
    whole = {cell.place: cell for cell in full.grid.cells}
    for cell in raced.grid.cells:
        assert (cell.val, cell.test, cell.strength) == tuple(
            getattr(whole[cell.place], name) for name in ("val", "test", "strength")
        )


def test_nothing_is_computed_twice_and_shares_are_no_data_set(data: Path, raced) -> None:
    again = fixgrid.extract(data, trunk=trunks(), res=SIDES, cache=data.parent / "raced", **QUICK)
    seen = sum(cell.train_res == cell.test_res for cell in raced.grid.cells)
    assert again.outcome.passes == 3 * (2 * len(SIDES) - seen)
    with pytest.raises(UsageError, match="more than one trunk"):
        fixgrid.grid(cache=data.parent / "raced")
    assert FeatureStore(data.parent / "raced", SHARES).sealed()
    assert list(list_sources(FeatureStore(data.parent / "raced"))) == [str(data)]


def test_permuted_test_labels_change_no_step(data: Path, raced, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    test = tmp_path / "data" / "test"
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        (test / old).rename(test / new)
    how = {"res": SIDES, "cache": tmp_path / "cache", "budget": "450images", **QUICK}
    found = fixgrid.search(tmp_path / "data", trunk=trunks(), **how)
    assert [rung.dropped for rung in found.rungs] == [rung.dropped for rung in raced.rungs]
    assert found.grid.best.place == raced.grid.best.place
    assert found.grid.best.test.value == pytest.approx(1 - raced.grid.best.test.value)


def test_a_share_holds_every_image_of_a_smaller_one_and_some_of_every_class() -> None:
    rng = np.random.default_rng(0)
    rows = {
        split: Rows(
            tuple(b"%s%d" % (split.encode(), i) for i in range(n)),
            np.ones(n, np.int64),
            rng.integers(0, 256, (n, 32), dtype=np.uint8),
            np.arange(n) % 5,
        )
        for split, n in (("train", 60), ("val", 20), ("test", 20))
    }
    manifest = Manifest("x", "/x", tuple("abcde"), rows)
    small, large = (_take(manifest, share, 0) for share in (0.1, 0.4))
    assert list(small.splits) == ["train", "val"]
    for split in ("train", "val"):
        assert set(small.splits[split].paths) < set(large.splits[split].paths) < set(rows[split].paths)
        assert set(small.splits[split].labels.tolist()) == set(range(5))


@pytest.mark.parametrize("budget", ["5images", "0.0001s", "0.00001GMAC"])
def test_a_budget_too_small_for_the_first_share_is_refused_in_a_line(
    data: Path, tmp_path: Path, budget: str
) -> None:
    with pytest.raises(UsageError, match=rf"found --budget {budget}, but the first .* lets val choose") as refused:
        fixgrid.search(data, trunk=trunks(), res=SIDES, cache=tmp_path, budget=budget, **QUICK)
    assert "\n" not in str(refused.value)
    assert not FeatureStore(tmp_path, SHARES).entries()


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("30m", Budget("s", 1800)),
        ("2h", Budget("s", 7200)),
        ("1.5 h", Budget("s", 5400)),
        ("90s", Budget("s", 90)),
        ("500GMAC", Budget("mac", 500)),
        ("5tmac", Budget("mac", 5000)),
        ("20000images", Budget("images", 20000)),
    ],
)
def test_budgets_are_read(text: str, budget: Budget) -> None:
    assert read_budget(text) == budget


@pytest.mark.parametrize("text", ["", "30", "m", "0m", "5 elephants", "1.2.3m", "-3m"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a time"):
        read_budget(text)

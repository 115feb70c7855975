"""Folds, nested folds, splits dealt anew and repeated curves as functions and as commands; no image is opened."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_cli import run
from zoo import write_splits

import fixgrid
from fixgrid.cache.errors import UsageError


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    run("extract", "--data", "data", "--res", "32", "--train-views", 1, cwd=folder)
    shutil.rmtree(folder / "data")
    return folder


def test_folds_choose_on_train_and_val_and_the_head_says_so(work: Path) -> None:
    cache = work / "features"
    grid = fixgrid.grid(cache=cache, folds=3, train_view="center", heads="ridge")
    assert len(grid.best.val_row) == 24
    assert "--folds 5" not in grid.format()
    kept = fixgrid.fit_head(cache=cache, folds=3, train_view="center", heads="ridge", out=work / "kept")
    assert kept.record["val"]["value"] == grid.best.val.value
    record = json.loads((work / "kept.json").read_text())
    figures = record["figures"]
    assert (figures["folds"]["n"], figures["folds"]["of"]) == (3, ["train", "val"])
    assert {split: part["images"] for split, part in record["trained_on"].items()} == {"train": 12, "val": 12}


def test_a_choice_is_cross_validated_on_all_images(work: Path) -> None:
    words = ("--train-view", "center", "--heads", "ridge,mean", "--format", "json")
    found = json.loads(run("grid", "--folds", 4, "--nested", *words, cwd=work).stdout)
    assert (found["n"], len(found["folds"]), found["splits"]) == (36, 4, ["train", "val", "test"])
    both = run("grid", "--nested", "--resplit", 2, cwd=work, code=2)
    assert "--nested with --resplit" in both.stderr


def test_splits_are_dealt_anew_and_random_crops_leave_val_and_test_out(work: Path) -> None:
    cache = work / "features"
    found = fixgrid.choose_again(cache=cache, splits=3, train_view="center", heads="ridge").found
    assert (found.test.shape, sum(found.sizes.values())) == ((3, 1), 36)
    done = run("grid", "--resplit", 2, "--heads", "ridge", "--pairs", "32:32", cwd=work)
    assert "without val and test" in done.stderr
    assert "chosen by, of 2" in done.stdout
    with pytest.raises(UsageError, match="found --folds 3 with --resplit"):
        fixgrid.choose_again(cache=cache, folds=3)


def test_a_curve_is_repeated(work: Path) -> None:
    points = fixgrid.curve(cache=work / "features", shares="50,100%", repeats=2, heads="ridge").points
    assert [point.seeds for point in points] == [2, 1]
    with pytest.raises(UsageError, match="found --repeats 2 without --folds"):
        fixgrid.grid(cache=work / "features", repeats=2)

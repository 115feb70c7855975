"""One head is kept: that of the best cell on val, seen as the grid sees it, on raw features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, Cache, ask

from fixgrid.cache.errors import UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.heads.families import FAMILIES
from fixgrid.heads.fit import fit_best
from fixgrid.heads.grid import run_grid
from fixgrid.heads.metrics import fit_temperature
from fixgrid.heads.select import score_views
from fixgrid.heads.verdict import judge_cells
from fixgrid.heads.views import join_views, list_resolutions, see_views

LINEAR = tuple(name for name in FAMILIES if name != "knn")


def five(split, kind, res):
    """Five views of each image, unequal in how sure they are."""
    single = Cache()(split, "center", res)
    rng = np.random.default_rng([res, len(split)])
    X = np.repeat(single.X, 5, axis=1) * np.array([4, 1, 1, 0.5, 0.2])[:, None]
    X += 2 * rng.standard_normal(X.shape)
    return FeatureSet(X.astype(np.float32), single.y, single.row, single.sha256)


@pytest.mark.parametrize(
    "options",
    [
        FEW,
        replace(FEW, families=LINEAR),
        replace(FEW, corrections=("none", "standardize", "frechet", "refit")),
        replace(FEW, refit=True),
    ],
)
def test_the_head_is_that_of_the_grids_chosen_cell(options):
    fitted = fit_best([ask(Cache(), PAIRS, options)])
    (cell,) = (c for c in judge_cells(list(run_grid(ask(Cache(), PAIRS, options)))).cells if c.chosen)
    for name in ("train_res", "test_res", "apparent", "family", "correction"):
        assert getattr(fitted, name) == getattr(cell, name)
    assert (fitted.choice.strength, fitted.choice.val) == (cell.strength, cell.val)
    assert fitted.score.figure == cell.test
    test = Cache()("test", "center", fitted.test_res)
    np.testing.assert_array_equal(fitted.head.scores(test.X[:, 0]).argmax(1) == test.y, cell.correct)


def test_a_correction_is_folded_into_the_kept_head():
    options = replace(FEW, corrections=("frechet",))
    fitted = fit_best([ask(Cache(), [(320, 128)], options)])
    test = Cache()("test", "center", 128)
    plain = fitted.choice.heads[0].scores(test.X[:, 0]).argmax(1)
    assert (plain != fitted.head.scores(test.X[:, 0]).argmax(1)).any()


@pytest.mark.parametrize("mean_of", ["features", "probabilities"])
def test_several_views_count_as_the_grid_counts_them(mean_of):
    options = replace(FEW, test_kind="five", mean_of=mean_of)
    fitted = fit_best([ask(five, [(224, 224)], options)])
    (cell,) = run_grid(ask(five, [(224, 224)], options))
    np.testing.assert_array_equal(fitted.score.share, cell.correct)
    val = five("val", "five", 224)
    seen = val.X if mean_of == "probabilities" else val.X.mean(1)
    assert fitted.temperature == fit_temperature(score_views(fitted.head, seen), val.y)


def test_test_images_are_loaded_once_and_last():
    cache, order = Cache(), []

    def load(split, kind, res):
        order.append(split)
        return cache(split, kind, res)

    fit_best([ask(load, PAIRS, FEW)])
    assert order.count("test") == 1
    assert order[-1] == "test"


def test_a_fit_of_few_cells_tells_the_strengths_of_all_their_walks():
    every = [(train, test) for train in (128, 224, 320, 448) for test in (128, 224, 320)]
    for n_cells, total, units in ((1, 3, "strengths"), (2, 6, "strengths"), (12, 12, "cells")):
        told = []
        fit_best([ask(Cache(), every[:n_cells], FEW)], phase=lambda *said, told=told: told.append(said))
        assert {(name, *of) for name, _, *of in told} == {("fitting heads", total, units)}
        done = [done for _, done, *_ in told]
        assert done == sorted(done)
        assert set(range(2 if units == "strengths" else 12)) <= set(done) <= set(range(total))


def test_neighbours_cannot_be_kept():
    with pytest.raises(UsageError, match="knn"):
        fit_best([ask(Cache(), PAIRS[:1], replace(FEW, families=("knn",)))])


def test_no_pair_is_refused():
    with pytest.raises(UsageError, match="--pairs"):
        fit_best([ask(Cache(), [], FEW)])


SEVERAL = [(224, "128+224"), (320, "128+224+320")]


@pytest.mark.parametrize("mean_of", ["features", "probabilities"])
@pytest.mark.parametrize("correction", ["none", "standardize", "frechet", "refit"])
def test_a_head_of_several_test_resolutions_is_that_of_its_cell(correction, mean_of):
    options = replace(FEW, corrections=(correction,), mean_of=mean_of)
    fitted = fit_best([ask(Cache(), SEVERAL, options)])
    (cell,) = (c for c in judge_cells(list(run_grid(ask(Cache(), SEVERAL, options)))).cells if c.chosen)
    assert (fitted.train_res, fitted.test_res, fitted.apparent) == (cell.train_res, cell.test_res, cell.apparent)
    np.testing.assert_array_equal(fitted.score.share, cell.correct)
    seen = [place for place in fitted.places if place[0] == "test"]
    assert seen == [("test", "center", res) for res in list_resolutions(cell.test_res)]
    assert len(fitted.corrections) == (len(seen) if correction in ("standardize", "frechet") else 0)
    test = join_views([Cache()(*place) for place in seen])
    scores = score_views(fitted.head, see_views(test.X, fitted.corrections, mean_of))
    np.testing.assert_array_equal(scores, fitted.test_scores)

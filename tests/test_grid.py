"""One path per train_res, choices on val alone, ties named."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, Cache, D, K, ask, draw_view

from fixgrid.cache.view import apparent_ratio
from fixgrid.heads import families, grid
from fixgrid.heads.ask import SEED_PAIRS
from fixgrid.heads.families import FAMILIES
from fixgrid.heads.grid import run_grid
from fixgrid.heads.memo import Memo
from fixgrid.heads.metrics import log_softmax
from fixgrid.heads.question import GridOptions
from fixgrid.heads.verdict import judge_cells
from fixgrid.heads.views import view_rows


def test_one_path_serves_all_test_resolutions(monkeypatch):
    made = Counter()
    fit = families.rotate_features

    def counted(X, *more):
        made[X.shape] += 1
        return fit(X, *more)

    monkeypatch.setattr(families, "rotate_features", counted)
    cache = Cache()
    cells = list(run_grid(ask(cache, PAIRS, FEW)))
    assert made.total() == 3
    assert sorted((c.train_res, c.test_res) for c in cells) == sorted(PAIRS)
    assert all(cache.loads["train", "train", res] == 1 for res in (128, 224, 320))


def test_all_draws_are_rows_of_the_training_set(monkeypatch):
    shapes = []
    fit = families.rotate_features
    monkeypatch.setattr(families, "rotate_features", lambda X, *more: shapes.append(X.shape) or fit(X, *more))
    for kinds in (("train",), ("center",), ("train", "center")):
        list(run_grid(ask(Cache(), [(128, 128)], GridOptions(kinds, strengths=(1e-2,)))))
    assert shapes == [(320, D), (160, D), (480, D)]


def choices(cells):
    return [(c.train_res, c.test_res, c.strength, c.val, c.chosen) for c in judge_cells(cells).cells]


def test_permuting_test_labels_changes_no_choice():
    honest = list(run_grid(ask(Cache(), PAIRS, FEW)))
    shuffled = list(run_grid(ask(Cache(permute="test"), PAIRS, FEW)))
    assert choices(honest) == choices(shuffled)
    assert [c.test for c in honest] != [c.test for c in shuffled]


def test_permuting_val_labels_does_change_choices():
    assert choices(list(run_grid(ask(Cache(), PAIRS, FEW)))) != choices(
        list(run_grid(ask(Cache(permute="val"), PAIRS, FEW)))
    )


def test_test_features_are_loaded_after_the_choice():
    order = []

    def load(split, kind, res):
        order.append(split)
        return Cache()(split, kind, res)

    list(run_grid(ask(load, [(128, 128)], FEW)))
    assert order == ["train", "val", "test"]


def test_the_best_on_val_is_chosen_and_near_cells_are_ties():
    cells = judge_cells(list(run_grid(ask(Cache(), PAIRS, FEW)))).cells
    best = [c for c in cells if c.chosen]
    assert len(best) == 1
    assert best[0].val.value == max(c.val.value for c in cells)
    assert not best[0].tie
    clearly_worse = min(cells, key=lambda c: c.test.value)
    assert clearly_worse.test.high < best[0].test.low
    assert not clearly_worse.tie


def test_a_cell_with_the_same_predictions_is_a_tie():
    cell = next(iter(run_grid(ask(Cache(), [(128, 128)], FEW))))
    assert [c.tie for c in judge_cells([cell, grid.replace(cell, test_res=130)]).cells] == [False, True]


def test_refitting_on_train_and_val_keeps_the_choice():
    refitted = GridOptions(strengths=FEW.strengths, refit=True)
    plain, more = (list(run_grid(ask(Cache(), PAIRS[:1], o))) for o in (FEW, refitted))
    assert choices(plain) == choices(more)
    assert (plain[0].correct != more[0].correct).any()


@pytest.mark.parametrize(
    ("pair", "ratio"),
    [((224, 128), 0.48), ((224, 224), 0.84), ((320, 320), 0.84), ((224, 320), 1.19), ((320, 224), 0.59)],
)
def test_the_apparent_size_ratio_is_that_of_the_seed_grid(pair, ratio):
    assert round(apparent_ratio([draw_view("train", pair[0])], draw_view("center", pair[1])), 2) == ratio


def test_the_same_view_on_both_sides_has_ratio_one():
    assert apparent_ratio([draw_view("center", 224)], draw_view("center", 224)) == 1


def test_the_seed_grid_has_the_eight_rows():
    assert len(SEED_PAIRS) == len(set(SEED_PAIRS)) == 8


def test_every_head_and_correction_is_a_cell_of_its_own():
    every = GridOptions(
        families=tuple(FAMILIES),
        corrections=("none", "standardize", "frechet", "refit"),
        strengths=FEW.strengths,
    )
    cells = list(run_grid(ask(Cache(), [(320, 224)], every)))
    assert len({(c.family, c.correction) for c in cells}) == len(cells) == 4 * len(FAMILIES)
    assert all(c.test.value > 0.6 for c in cells)


def test_refitting_at_the_test_resolution_is_the_cell_of_center_views():
    corrected = GridOptions(corrections=("refit",), strengths=FEW.strengths)
    plain = GridOptions(train_kinds=("center",), strengths=FEW.strengths)
    (refit,) = run_grid(ask(Cache(), [(224, 128)], corrected))
    (center,) = run_grid(ask(Cache(), [(128, 128)], plain))
    np.testing.assert_array_equal(refit.correct, center.correct)
    assert (refit.strength, refit.val, refit.apparent) == (center.strength, center.val, center.apparent)


SEVERAL = [(224, 128), (224, "128+224"), (320, "128+224+320")]
EVERY = GridOptions(
    families=("logistic", "lda"), corrections=("none", "standardize", "frechet", "refit"), strengths=FEW.strengths
)


def test_a_cell_of_several_test_resolutions_averages_what_its_head_says_at_each():
    single, both = run_grid(ask(Cache(), [(224, 128), (224, "128+224")], replace(FEW, strengths=(1e-2,))))
    cache = Cache()
    head = FAMILIES["logistic"][0](*view_rows([cache("train", "train", 224)]), K).head(1e-2)
    logs = [log_softmax(head.scores(cache("test", "center", res).X[:, 0])) for res in (128, 224)]
    guess = np.mean(np.exp(logs), axis=0).argmax(1)
    np.testing.assert_array_equal(both.correct, guess == cache("test", "center", 128).y)
    assert both.test.value > single.test.value


@pytest.mark.parametrize("mean_of", ["probabilities", "features"])
def test_permuting_test_labels_changes_no_choice_among_several_resolutions(mean_of):
    options = replace(EVERY, mean_of=mean_of, refit=True)
    honest, shuffled = (list(run_grid(ask(Cache(permute), SEVERAL, options))) for permute in (None, "test"))
    assert choices(honest) == choices(shuffled)
    assert [c.test for c in honest] != [c.test for c in shuffled]


def test_a_cell_beside_one_of_several_resolutions_stays_what_it_was():
    (alone,) = run_grid(ask(Cache(), SEVERAL[:1], FEW))
    beside, *_ = run_grid(ask(Cache(), SEVERAL, FEW))
    np.testing.assert_array_equal(alone.correct, beside.correct)
    assert (alone.test_res, alone.val, alone.strength) == (beside.test_res, beside.val, beside.strength)


def test_a_remembered_cell_of_several_resolutions_is_read_and_no_other_pair_takes_it(tmp_path):
    memo = Memo(tmp_path, lambda *place: str(place))
    first, again = Cache(), Cache()
    cold, warm = (list(run_grid(ask(cache, SEVERAL, EVERY, memo))) for cache in (first, again))
    assert again.loads.total() == 0
    for one, other in zip(cold, warm, strict=True):
        np.testing.assert_array_equal(one.correct, other.correct)
        assert (one.test_res, type(one.test_res), one.val) == (other.test_res, type(other.test_res), other.val)
    assert {cell.test_res for cell in cold} == {128, "128+224", "128+224+320"}
    moved = Memo(tmp_path, lambda *place: str(place) + "'" * (place == ("val", "center", 320)))
    more = Cache()
    list(run_grid(ask(more, SEVERAL, EVERY, moved)))
    assert {res for split, _, res in more.loads if split == "test"} == {128, 224, 320}
    assert not any(place == ("train", "train", 224) for place in more.loads)

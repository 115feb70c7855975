"""Folds of train and val choose: nothing that is held out teaches, test stays unseen, cells are remembered."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, SIZES, Cache, Loaded, Source, ask, draw_deck, fold, pool
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from test_findings import Held

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.heads.ask import ask_cache
from fixgrid.heads.contest import compare_with, find_resolution
from fixgrid.heads.curve import fit_curve
from fixgrid.heads.deck import Folds
from fixgrid.heads.families import FAMILIES
from fixgrid.heads.fit import fit_best
from fixgrid.heads.grid import run_grid
from fixgrid.heads.memo import Memo
from fixgrid.heads.metrics import fit_temperature, wilson_interval
from fixgrid.heads.recipe import count_passes, list_recipes
from fixgrid.heads.select import score_views
from fixgrid.heads.subset import keep_rows
from fixgrid.heads.verdict import judge_cells
from fixgrid.heads.views import mean_view, view_rows

ALL = replace(FEW, coarse=1)
EVERY = replace(
    FEW, families=("logistic", "ridge", "lda"), corrections=("none", "standardize", "frechet", "refit"), coarse=1
)
N = SIZES["train"] + SIZES["val"]


class Mislabelled(Source):
    """A source whose labels are moved round among some rows of train and val pooled."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def load(self, split, kind, res):
        found = super().load(split, kind, res)
        mine = np.isin(found.row + (SIZES["train"] if split == "val" else 0), self.rows) & (split != "test")
        y = found.y.copy()
        y[mine] = (y[mine] + 1) % 4
        return replace(found, y=y)


class NoCrops(Held):
    """As a cache has it: random crops of the training images alone."""

    def view(self, split, kind, res):
        if kind == "train" and split != "train":
            raise CacheError("none")
        return super().view(split, kind, res)


def test_the_pool_is_train_and_then_val_with_rows_of_its_own():
    source, pooled = Source(), pool(ask(Source(), PAIRS)).source
    for split in ("train", "val"):
        found = pooled.load(split, "center", 224)
        np.testing.assert_array_equal(found.row, np.arange(N))
        parts = [source.load(name, "center", 224) for name in ("train", "val")]
        np.testing.assert_array_equal(found.X, np.concatenate([part.X for part in parts]))
        np.testing.assert_array_equal(found.y, np.concatenate([part.y for part in parts]))
    np.testing.assert_array_equal(pooled.load("test", "center", 224).X, source.load("test", "center", 224).X)
    assert pooled.view("val", "center", 224) == source.view("val", "center", 224)
    names = {pooled.identify(split, "center", 224) for split in ("train", "test")}
    assert len(names | {source.identify(split, "center", 224) for split in ("train", "val")}) == 4


def test_labels_of_a_fold_change_no_head_that_it_judges():
    honest = fold(ask(Source(), PAIRS, EVERY))
    wrong = replace(fold(ask(Mislabelled(honest.folds.held[1]), PAIRS, EVERY)), folds=honest.folds)
    for mine, its in zip(list_recipes(honest), list_recipes(wrong), strict=True):
        heads = [
            replace(one, training=one.training.parts[1].training)._source.path(one.family).head(one.strengths[2])
            for one in (mine, its)
        ]
        for name in ("coef", "intercept"):
            np.testing.assert_array_equal(getattr(heads[0], name), getattr(heads[1], name))
    others = [next(list_recipes(one)).training.parts[0].training.path("ridge").head(1.0) for one in (honest, wrong)]
    assert (others[0].coef != others[1].coef).any()


def test_permuted_test_labels_change_no_choice_of_folds():
    cells = [list(run_grid(fold(ask(Source(permute), PAIRS, EVERY)))) for permute in (None, "test")]
    for a, b in zip(*(judge_cells(found).cells for found in cells), strict=True):
        assert (a.place, a.strength, a.val, a.chosen, a.note) == (b.place, b.strength, b.val, b.chosen, b.note)
    assert [c.test for c in cells[0]] != [c.test for c in cells[1]]


def test_a_fold_is_judged_as_test_images_are_seen_by_what_learnt_from_crops():
    cache = Cache()
    list(run_grid(fold(ask(Loaded(cache, 4, None), [(224, 128)], FEW))))
    assert set(cache.loads) == {
        ("train", "train", 224), ("val", "train", 224), ("train", "center", 128), ("val", "center", 128),
        ("test", "center", 128), ("train", "center", 224), ("val", "center", 224),
    }  # fmt: skip


@pytest.mark.parametrize("family", ["logistic", "ridge"])
def test_accuracies_are_those_of_a_loop_in_scikit_learn(family):
    strength = {"logistic": 1e-2, "ridge": 10.0}[family]
    options = replace(FEW, families=(family,), train_kinds=("center",), coarse=1)
    question = fold(ask(Source(), [(224, 128)], replace(options, strengths=(1e-2,))), 5, seed=2)
    (recipe,) = list_recipes(question)
    train, val = (
        recipe.training.source.load(split, "center", res) for split, res in (("train", 224), ("val", 128))
    )
    hits = []
    for others, held in StratifiedKFold(5, shuffle=True, random_state=2).split(train.X, train.y):
        scaler = StandardScaler().fit(train.X[others, 0])
        X, y = scaler.transform(train.X[others, 0]), train.y[others]
        if family == "logistic":
            head = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(X, y)
            guess = head.predict(scaler.transform(val.X[held, 0]))
        else:
            head = Ridge(alpha=strength).fit(X, 2.0 * np.eye(4)[y] - 1)
            guess = head.predict(scaler.transform(val.X[held, 0])).argmax(1)
        hits.append(guess == val.y[held])
    choice = recipe.judge(recipe.training.parts)
    assert choice.curve[strength] == pytest.approx(np.concatenate(hits).mean())
    if family == "logistic":  # of its one strength
        np.testing.assert_array_equal(choice.correct, np.concatenate(hits))


def test_the_kept_head_learns_from_the_whole_pool():
    question = fold(ask(Source(), [(224, 128)], FEW))
    fitted = fit_best([question])
    rows = view_rows([question.source.load("train", "train", 224)])
    head = FAMILIES["logistic"][0](*rows, 4).head(fitted.choice.strength)
    np.testing.assert_array_equal(fitted.head.coef, head.coef)
    assert len(rows[1]) == 2 * N
    assert fitted.n_val == N
    assert len(fitted.choice.heads) == 4


def test_the_temperature_is_that_of_all_held_out_answers():
    question = fold(ask(Source(), [(224, 128)], FEW))
    fitted = fit_best([question])
    seen, scores, labels = question.source.load("val", "center", 128), [], []
    for head, rows in zip(fitted.choice.heads, question.folds.held, strict=True):
        held = keep_rows(seen, rows)
        scores.append(score_views(head, mean_view(held)))
        labels.append(held.y)
    assert fitted.temperature == fit_temperature(np.concatenate(scores), np.concatenate(labels))


def test_repeats_count_each_image_once_with_its_share():
    question = ask(Source(), PAIRS[:1], replace(FEW, strengths=(1e-2,)))
    (both,) = run_grid(fold(question, repeats=2))
    single = [next(run_grid(fold(question, seed=seed))) for seed in (0, 1)]
    shares = np.zeros(N)
    for cell in single:
        shares[cell.val_row] += cell.val_correct / 2
    np.testing.assert_array_equal(both.val_correct, shares)
    np.testing.assert_array_equal(both.val_row, np.arange(N))
    assert both.val == wilson_interval(shares.sum(), N)
    np.testing.assert_array_equal(both.correct, single[0].correct)
    assert judge_cells(list(run_grid(fold(replace(question, pairs=tuple(PAIRS)), repeats=2)))).n_val == N


def test_a_second_grid_of_folds_loads_nothing_and_is_the_same(tmp_path):
    memo, sources = Memo(tmp_path, Source().identify), [Source(), Source()]
    deck = draw_deck(Source())
    runs = [
        list(run_grid(fold(ask(source, PAIRS, EVERY, memo), deck=deck, repeats=repeats)))
        for repeats in (1, 2)
        for source in sources
    ]
    assert sources[1].order == []
    for cold, warm in ((runs[0], runs[1]), (runs[2], runs[3])):
        for a, b in zip(cold, warm, strict=True):
            np.testing.assert_array_equal(a.val_correct, b.val_correct)
            assert (a.val, a.test, a.val_correct.dtype) == (b.val, b.test, b.val_correct.dtype)


def test_cells_keep_the_names_they_had_before_folds_and_folds_are_in_theirs(tmp_path):
    memo, plain = Memo(tmp_path, Source().identify), ask(Source(), [(224, 128)], FEW)
    names = []
    for question in (
        plain,
        *(fold(plain, n, seed=seed, repeats=r) for n, seed, r in ((4, 0, 1), (5, 0, 1), (4, 1, 1), (4, 0, 2))),
    ):
        (recipe,) = list_recipes(question)
        names.append(memo.name(recipe.facts, recipe.places))
    assert names[0] == "125a7dc9cc14a788d980c0fc4d8767a109a614403445ce9eee644b9e3ef2fbe6"
    options = replace(FEW, families=("ridge",), corrections=("frechet",))
    (recipe,) = list_recipes(ask(Source(), [(320, "128+224")], options))
    assert memo.name(recipe.facts, recipe.places).startswith("83def4478df7dc52c053b4467cb69248")
    assert len(set(names)) == 5


def test_a_curve_of_folds_learns_from_shares_and_is_judged_by_all():
    question = fold(ask(Source(), PAIRS[:2], FEW))
    few, whole = fit_curve(question, (0.1, 1.0))
    best = fit_best([question])
    assert (whole.strength, whole.val, whole.test) == (best.choice.strength, best.choice.val, best.score.figure)
    assert few.images == N // 10
    assert few.test.value < whole.test.value


def test_options_pool_train_and_val_where_both_were_seen_alike():
    asked = ask_cache(Held(), None, pairs=[(224, 128)], folds=4, train_view="center")
    assert asked.folds.deck.splits == ("train", "val")
    assert isinstance(asked.folds, Folds)
    assert any(f"{N} images of train and val, held out by 4 folds" in note for note in asked.notes)
    alone = ask_cache(NoCrops(), None, pairs=[(224, 128)], folds=4, repeats=2, fold_seed=3)
    assert (alone.folds.deck.splits, alone.folds.repeats, alone.folds.seed) == (("train",), 2, 3)
    assert any("--train-view center has all of them" in note for note in alone.notes)
    assert next(run_grid(alone)).val_row.max() < SIZES["train"]
    assert ask_cache(NoCrops(), None, folds=4, train_view="center").folds.deck.splits == ("train", "val")


def test_passes_and_places_are_those_of_the_data_sets_own_splits():
    asked = ask_cache(Held(), None, pairs=[(224, 128)], folds=4)
    fitted = fit_best([asked])
    assert Counter(split for split, *_ in fitted.places) == {"train": 2, "val": 2, "test": 1}
    assert count_passes([asked]) == (5, 0)


def test_train_not_seen_as_test_images_are_is_refused_before_anything_is_fitted():
    class NoCenter(Held):
        def expect(self, places):
            if any((split, kind) == ("train", "center") for split, kind, _ in places):
                raise CacheError("no center features of train: run extract")

    with pytest.raises(CacheError, match="no center features of train"):
        ask_cache(NoCenter(), None, pairs=[(224, 128)], folds=4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"folds": 4, "refit": True}, "found --refit with --folds"),
        ({"folds": 1}, "expected 2 folds or more"),
        ({"repeats": 3}, "without --folds"),
        ({"folds": 4, "gap": "batchnorm"}, "found --gap batchnorm alone"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        ask_cache(Held(), None, pairs=[(224, 128)], **options)


def test_recalibrated_features_are_left_out_with_a_word():
    asked = ask_cache(Held(), None, pairs=[(224, 128)], folds=4, gap="none,batchnorm")
    assert asked.options.corrections == ("none",)
    assert any("without --gap batchnorm" in note for note in asked.notes)


def test_shares_of_0_and_1_are_judged_as_right_and_wrong_and_halves_differ_less():
    rng = np.random.default_rng(0)
    correct = rng.random((60, 3)) < (0.5, 0.6, 0.8)
    np.testing.assert_array_equal(
        compare_with(correct, 2, chosen_here=True), compare_with(correct.astype(float), 2, chosen_here=True)
    )
    assert find_resolution(correct / 2, 2) < find_resolution(correct, 2)

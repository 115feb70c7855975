"""Nested cross-validation: every image is tested once, by what was chosen without it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, SIZES, Source, ask, draw_deck, pool
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from fixgrid.cache.errors import UsageError
from fixgrid.heads import families
from fixgrid.heads.cell import Cost
from fixgrid.heads.closed import RIDGE_ALPHAS
from fixgrid.heads.deal_table import format_nested
from fixgrid.heads.deck import Folds
from fixgrid.heads.logistic import LogisticPath
from fixgrid.heads.memo import Memo
from fixgrid.heads.nested import cross_validate
from fixgrid.heads.question import Ask
from fixgrid.heads.training import InOrder
from fixgrid.heads.views import view_rows

SPLITS = ("train", "val", "test")
N = sum(SIZES.values())
DECK = draw_deck(Source(), SPLITS)
FOLDS = Folds(DECK, 4)
EVERY = replace(FEW, families=("logistic", "ridge"), corrections=("none", "standardize", "refit"))


class Mislabelled(Source):
    """A source whose labels are moved round among some rows of all splits pooled."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def load(self, split, kind, res):
        found = super().load(split, kind, res)
        start = sum(SIZES[other] for other in SPLITS[: SPLITS.index(split)])
        return replace(found, y=np.where(np.isin(found.row + start, self.rows), (found.y + 1) % 4, found.y))


def all_of(options=FEW, pairs=PAIRS, source=None, memo=None):
    return pool(ask(source or Source(), pairs, options, memo), SPLITS)


def test_every_image_is_tested_once_by_what_learnt_without_it():
    found = cross_validate([all_of()], FOLDS)
    assert found.n == N
    np.testing.assert_array_equal(np.sort(np.concatenate([one.row for one in found.rounds])), np.arange(N))
    for one, held in zip(found.rounds, FOLDS.held, strict=True):
        np.testing.assert_array_equal(one.row, held)
    hits = sum(one.correct.sum() for one in found.rounds)
    assert found.figure.value == hits / N
    assert found.deviation == pytest.approx(np.std([one.test.value for one in found.rounds], ddof=1))
    assert found.chosen.total() == 4


@pytest.mark.parametrize("fold", [0, 3])
def test_labels_of_an_outer_fold_change_nothing_that_is_chosen_for_it(fold):
    honest = cross_validate([all_of(EVERY, PAIRS[:2])], FOLDS).rounds
    wrong = cross_validate([all_of(EVERY, PAIRS[:2], source=Mislabelled(FOLDS.held[fold]))], FOLDS).rounds
    for field in ("contender", "strength", "val", "row"):
        assert np.all(getattr(honest[fold], field) == getattr(wrong[fold], field)), field
    assert honest[fold].test.value > 0.5 > wrong[fold].test.value
    np.testing.assert_array_equal(  # the head, which gave the same answers
        honest[fold].correct & wrong[fold].correct, np.zeros(len(honest[fold].row), bool)
    )
    others = [i for i in range(4) if i != fold]
    assert [honest[i].val for i in others] != [wrong[i].val for i in others]


def test_two_outer_folds_share_the_heads_that_lack_both(monkeypatch):
    made, fit = Counter(), families.rotate_features
    monkeypatch.setattr(families, "rotate_features", lambda X, *rest: made.update([len(X)]) or fit(X, *rest))
    cross_validate([all_of(pairs=[(224, 128), (224, 224)])], FOLDS)
    assert made == {N: 4 * 3 // 2, 2 * N * 3 // 4: 4}  # two crops of a half, and of three quarters


def test_shared_heads_are_the_same_whoever_asked_before():
    design = families.rotate_features(*view_rows([Source().load("train", "train", 128)]), 4)
    orders = FEW.strengths[::-1], FEW.strengths[1::2] + FEW.strengths
    heads = []
    for order in orders:
        path = InOrder(LogisticPath(design), FEW.strengths)
        heads.append({strength: path.head(strength).coef for strength in order})
    for strength in FEW.strengths:
        np.testing.assert_array_equal(heads[0][strength], heads[1][strength])


def test_it_is_what_a_loop_in_scikit_learn_finds(monkeypatch):
    alphas = RIDGE_ALPHAS[::8]
    monkeypatch.setitem(families.FAMILIES, "ridge", (families.fit_ridge, alphas))
    options = replace(FEW, families=("ridge",), train_kinds=("center",), coarse=1)
    pairs = [(128, 128), (224, 224)]
    found = cross_validate([all_of(options, pairs)], FOLDS)
    sets = {res: all_of().source.load("train", "center", res) for res in (128, 224)}

    def hits(res, taught, tested, alpha):
        X, y = sets[res].X[:, 0], sets[res].y
        scaler = StandardScaler().fit(X[taught])
        head = Ridge(alpha=alpha).fit(scaler.transform(X[taught]), 2.0 * np.eye(4)[y[taught]] - 1)
        return int((head.predict(scaler.transform(X[tested])).argmax(1) == y[tested]).sum())

    for j, one in enumerate(found.rounds):
        others = [held for i, held in enumerate(FOLDS.held) if i != j]
        inner = {
            (res, alpha): sum(
                hits(res, DECK.leave_out(np.concatenate([FOLDS.held[j], held])), held, alpha) for held in others
            )
            for res, _ in pairs
            for alpha in alphas
        }
        n = N - len(FOLDS.held[j])
        assert one.val.value == max(inner.values()) / n
        chosen = one.contender.train_res, one.strength
        assert inner[chosen] == max(inner.values())
        assert one.correct.sum() == hits(chosen[0], DECK.leave_out(FOLDS.held[j]), FOLDS.held[j], chosen[1])


def test_several_questions_compete_and_the_cheaper_of_equals_wins():
    class Weighed(Ask):
        def weigh(self, test_res):
            return Cost(self.gmac, None, 1)

    questions = []
    for gmac in (2.0, 1.0):
        question = all_of(pairs=[(224, 224)])
        mine = Weighed(question.source, question.pairs, question.options)
        object.__setattr__(mine, "gmac", gmac)
        questions.append(mine)
    assert {one.contender.gmac for one in cross_validate(questions, FOLDS).rounds} == {1.0}
    small, large = all_of(pairs=[(128, 128)]), all_of(pairs=[(224, 224)])
    both = cross_validate([small, large], FOLDS)
    assert {one.contender.train_res for one in both.rounds} == {224}


def test_a_second_run_fits_nothing(tmp_path):
    memo, sources = Memo(tmp_path, Source().identify), [Source(), Source()]
    cold, warm = (cross_validate([all_of(EVERY, PAIRS[:2], source=source, memo=memo)], FOLDS) for source in sources)
    assert sources[1].order == []
    for a, b in zip(cold.rounds, warm.rounds, strict=True):
        assert (a.contender, a.strength, a.val, a.test) == (b.contender, b.strength, b.val, b.test)
        np.testing.assert_array_equal(a.correct, b.correct)
    other = Source()
    cross_validate([all_of(EVERY, PAIRS[:2], source=other, memo=memo)], Folds(DECK, 4, seed=1))
    assert other.order


@pytest.mark.parametrize(
    ("folds", "options", "said"),
    [
        (Folds(DECK, 2), FEW, "expected --folds 3 or more"),
        (Folds(DECK, 4, repeats=2), FEW, "and no --repeats"),
        (FOLDS, replace(FEW, refit=True), "found --refit with --nested"),
    ],
)
def test_what_cannot_be_nested_is_refused(folds, options, said):
    with pytest.raises(UsageError, match=said):
        cross_validate([all_of(options)], folds)


def test_no_pair_is_refused():
    with pytest.raises(UsageError, match="no pair of resolutions"):
        cross_validate([all_of(pairs=[])], FOLDS)


def test_it_is_printed_in_every_format():
    found = cross_validate([all_of(EVERY, PAIRS[:2])], FOLDS)
    table = format_nested(found, "table", "leak!")
    assert f"Accuracy {100 * found.figure.value:.2f} % [" in table
    assert max(map(len, table.splitlines())) <= 80
    assert "leak!" in table
    assert "| fold |" in format_nested(found, "md")
    assert format_nested(found, "csv").startswith("fold,trunk,")
    whole = json.loads(format_nested(found, "json"))
    assert (whole["accuracy"], whole["n"], len(whole["folds"])) == (found.figure.value, N, 4)
    assert sum(one["folds"] for one in whole["chosen"]) == 4

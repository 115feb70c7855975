"""Splits dealt anew: each chooses on its own val, test has no say, a second look fits nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, PAIRS, SIZES, Source, ask, draw_deck, pool
from test_pool import NoCrops

from fixgrid.cache.errors import UsageError
from fixgrid.heads import families
from fixgrid.heads.ask import ask_cache
from fixgrid.heads.deal_table import format_resplits
from fixgrid.heads.grid import run_grid
from fixgrid.heads.memo import Memo
from fixgrid.heads.pool import Dealt, pool_asks
from fixgrid.heads.resplit import choose_again

SPLITS = ("train", "val", "test")
N = sum(SIZES.values())
DECK = draw_deck(Source(), SPLITS)
SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}
VIEWS = ("center", "train")
EVERY = replace(FEW, families=("logistic", "ridge"), corrections=("none", "standardize", "refit"))


def all_of(options=FEW, pairs=PAIRS, source=None, memo=None):
    return pool(ask(source or Source(), pairs, options, memo), SPLITS)


def test_each_split_is_the_grid_of_its_own_images():
    question = all_of(EVERY)
    found = choose_again([question], DECK, range(2))
    for seed in range(2):
        dealt = replace(question, source=Dealt(question.source, DECK.deal_splits(SHARES, seed)))
        cells = list(run_grid(dealt))
        np.testing.assert_allclose(found.val[seed], [cell.val.value for cell in cells], atol=1.5 / 54)
        np.testing.assert_allclose(found.test[seed], [cell.test.value for cell in cells], atol=1.5 / 54)
        assert found.val[seed, found.winners[seed]] == found.val[seed].max()
    ridge = [i for i, one in enumerate(found.contenders) if one.family == "ridge"]
    cells = [cell for cell in cells if cell.family == "ridge"]
    np.testing.assert_array_equal(found.test[1, ridge], [cell.test.value for cell in cells])
    assert found.chosen.total() == 2
    np.testing.assert_array_equal(found.won, [found.test[i, w] for i, w in enumerate(found.winners)])


def test_labels_of_test_images_change_no_choice():
    class Mislabelled(Source):
        def load(self, split, kind, res):
            got = super().load(split, kind, res)
            start = sum(SIZES[other] for other in SPLITS[: SPLITS.index(split)])
            return replace(got, y=np.where(np.isin(got.row + start, tested), (got.y + 1) % 4, got.y))

    for seed in range(3):
        tested = DECK.deal_splits(SHARES, seed)["test"]
        honest, wrong = (choose_again([all_of(EVERY, source=s)], DECK, [seed]) for s in (Source(), Mislabelled()))
        np.testing.assert_array_equal(honest.val, wrong.val)
        np.testing.assert_array_equal(honest.winners, wrong.winners)
        assert (honest.test != wrong.test).all()


def test_a_deal_costs_one_path_for_all_test_resolutions(monkeypatch):
    made, fit = Counter(), families.rotate_features
    monkeypatch.setattr(families, "rotate_features", lambda *all_of: made.update(["path"]) or fit(*all_of))
    pairs = [(a, b) for a in (128, 224) for b in (128, 224, "128+224")]
    choose_again([all_of(pairs=pairs)], DECK, range(3))
    assert made["path"] == 3 * 2


def test_a_second_look_fits_nothing_and_another_seed_is_another(tmp_path):
    memo, sources = Memo(tmp_path, Source().identify), [Source(), Source(), Source()]
    runs = [
        choose_again([all_of(EVERY, source=source, memo=memo)], DECK, seeds)
        for source, seeds in zip(sources, ([0, 1], [0, 1], [2]), strict=True)
    ]
    assert sources[1].order == []
    assert sources[2].order
    np.testing.assert_array_equal(runs[0].val, runs[1].val)
    np.testing.assert_array_equal(runs[0].test, runs[1].test)


def test_questions_compete_and_shares_can_be_given():
    questions = [all_of(pairs=[(128, 128)]), all_of(pairs=[(224, 224)])]
    found = choose_again(questions, DECK, range(3), {"train": 0.5, "val": 0.25, "test": 0.25})
    assert list(found.sizes.values()) == pytest.approx([N / 2, N / 4, N / 4], abs=4)  # of 4 classes
    assert found.chosen == {1: 3}
    assert found.val.shape == found.test.shape == (3, 2)


@pytest.mark.parametrize(("pairs", "seeds"), [([], [0]), (PAIRS, [])])
def test_nothing_to_choose_from_is_refused(pairs, seeds):
    with pytest.raises(UsageError, match="expected one or more"):
        choose_again([all_of(pairs=pairs)], DECK, seeds)


def test_all_splits_are_pooled_as_far_as_every_question_can_learn_from_them():
    center, crops = (
        ask_cache(NoCrops(), None, pairs=[(224, 128)], train_view=kind) for kind in ("center", "train")
    )
    (pooled,), deck, notes = pool_asks([center])
    assert (deck.splits, notes) == (SPLITS, ())
    assert len(pooled.source.load("train", "center", 128).row) == N == len(deck.row)
    both, deck, notes = pool_asks([center, crops])
    assert deck.splits == ("train",)
    assert {len(one.source.load("train", "center", 128).row) for one in both} == {SIZES["train"]}
    assert any("without val and test" in note for note in notes)


def test_splits_are_printed_in_every_format():
    found = choose_again([all_of(EVERY)], DECK, range(3))
    table = format_resplits(found, "table", "leak!")
    assert "chosen by, of 3" in table
    assert max(map(len, table.splitlines())) <= 80
    assert "leak!" in table
    assert "| cell |" in format_resplits(found, "md")
    assert format_resplits(found, "csv").count("\n") == 1 + len(found.contenders)
    whole = json.loads(format_resplits(found, "json"))
    assert len(whole["splits"]) == 3
    assert sum(cell["chosen"] for cell in whole["cells"]) == 3

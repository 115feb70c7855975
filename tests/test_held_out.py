"""No head judges an image that it learnt from, whatever its split, and answers are remembered as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import Cache, draw_view

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.heads import held_out
from fixgrid.heads.deck import Folds, make_deck
from fixgrid.heads.families import fit_path
from fixgrid.heads.held_out import answer_held_out


class Known:
    """Generated features as `fixgrid.cache.holdings.Holdings`, of given sets of images."""

    def __init__(self, sets: Mapping[str, FeatureSet], task: str = "multiclass", classes: str = "abcd") -> None:
        rows = {
            split: Rows(tuple(b"%s/%d.jpg" % (split.encode(), i) for i in one.row), one.row, one.sha256, one.y)
            for split, one in sets.items()
        }
        self.sets, self.manifest = sets, Manifest("pets", "/gone", tuple(classes), rows, task=task)
        self.n_classes = len(classes)

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        return self.sets[split]

    def identify(self, split: str, kind: str, res: int) -> str:
        return f"{split} {kind} {res} {self.sets[split].y.tobytes().hex()}"

    def view(self, split: str, kind: str, res: int) -> object:
        return draw_view(kind, res)

    def change(self, split: str, **parts: object) -> Known:
        """The same, one split otherwise."""
        sets = {**self.sets, split: replace(self.sets[split], **parts)}
        return Known(sets, self.manifest.task, "".join(self.manifest.classes))


def draw() -> Known:
    return Known({split: Cache()(split, "center", 224) for split in ("train", "val", "test")})


def relabel(known: Known, split: str, places: list[int]) -> Known:
    y = known.sets[split].y.copy()
    y[places] = (y[places] + 1) % 4
    return known.change(split, y=y)


def test_each_image_is_there_once_with_its_split_row_and_label() -> None:
    known = draw()
    held = answer_held_out(known, 224, 4)
    assert [(held.split == split).sum() for split in known.sets] == [160, 80, 120]
    for split, one in known.sets.items():
        mine = held.split == split
        np.testing.assert_array_equal(held.row[mine], one.row)
        np.testing.assert_array_equal(held.y[mine], one.y)
    assert held.learnt.all()
    assert (held.scores.argmax(1) == held.y).mean() > 0.7


def test_scores_are_those_of_a_loop_over_folds() -> None:
    known = draw()
    held = answer_held_out(known, 224, 4)
    X = np.concatenate([one.X[:, 0] for one in known.sets.values()])
    y = np.concatenate([one.y for one in known.sets.values()])
    learns, test = np.arange(240), np.arange(240, 360)
    deck = make_deck({split: known.manifest.splits[split] for split in ("train", "val")})
    for judged in (*Folds(deck, 4).held, test):
        others = np.setdiff1d(learns, judged)
        said = fit_path("logistic", X[others], y[others], 4).head(held.strength).scores(X[judged])
        np.testing.assert_allclose(held.scores[judged], said, atol=0.1)  # one ends a warm start


def test_labels_of_test_change_no_answer() -> None:
    mine, its = (answer_held_out(known, 224, 4) for known in (draw(), relabel(draw(), "test", list(range(120)))))
    np.testing.assert_array_equal(mine.scores, its.scores)
    assert mine.strength == its.strength


def test_no_label_has_a_say_in_the_answers_to_its_own_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    known, fit = draw(), held_out.FAMILIES["logistic"][0]
    folds = Folds(make_deck({split: known.manifest.splits[split] for split in ("train", "val")}), 4)
    monkeypatch.setattr(held_out, "Folds", lambda deck, n: folds)  # which labels move, too
    monkeypatch.setitem(held_out.FAMILIES, "logistic", (fit, (1e-2,)))
    mine, its = (answer_held_out(one, 224, 4) for one in (known, relabel(known, "val", [5])))
    alike = np.flatnonzero((mine.scores == its.scores).all(1))
    (own,) = (held for held in folds.held if 160 + 5 in held)
    np.testing.assert_array_equal(alike, np.sort(own))


def test_a_test_image_that_is_a_training_image_too_is_judged_without_it() -> None:
    known = draw()
    train, test = known.sets["train"], known.sets["test"]
    X, sha256, y = test.X.copy(), test.sha256.copy(), train.y.copy()
    X[0], sha256[0] = train.X[7], train.sha256[7]
    y[7] = (y[7] + 1) % 4
    known = known.change("train", y=y).change("test", X=X, sha256=sha256)
    held = answer_held_out(known, 224, 4)
    copy, original = np.flatnonzero(held.split == "test")[0], 7
    np.testing.assert_allclose(held.scores[copy], held.scores[original], rtol=1e-5)


def test_a_class_of_one_image_is_not_judged() -> None:
    known = draw()
    y = known.sets["train"].y.copy()
    y[3] = 4
    test = known.sets["test"].y.copy()
    test[9] = 5
    known = known.change("train", y=y).change("test", y=test)
    held = answer_held_out(Known(known.sets, classes="abcdef"), 224, 4)
    assert np.flatnonzero(~held.learnt).tolist() == [3, 240 + 9]


def test_numbers_and_several_labels_are_answered_too() -> None:
    known = draw()
    numbers = Known(
        {split: replace(one, y=one.X[:, 0, 0] * 2.0 + 1) for split, one in known.sets.items()}, "regression", "x"
    )
    held = answer_held_out(numbers, 224, 4)
    assert held.scores.shape == (360, 1)
    assert np.corrcoef(held.scores[:, 0], held.y)[0, 1] > 0.99
    several = Known(
        {split: replace(one, y=one.y[:, None] != np.arange(4)) for split, one in known.sets.items()}, "multilabel"
    )
    held = answer_held_out(several, 224, 4)
    assert held.learnt.shape == held.scores.shape == (360, 4)
    assert ((held.scores > 0) == held.y).mean() > 0.85


def test_answers_are_remembered_until_a_label_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = answer_held_out(draw(), 224, 4, tmp_path)
    monkeypatch.setattr(held_out, "Training", None)  # nothing can be fitted any more
    again = answer_held_out(draw(), 224, 4, tmp_path)
    for name in ("split", "row", "y", "scores", "learnt", "strength"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    for changed in (relabel(draw(), "val", [1]), relabel(draw(), "test", [1])):
        with pytest.raises(TypeError):
            answer_held_out(changed, 224, 4, tmp_path)
    with pytest.raises(TypeError):
        answer_held_out(draw(), 224, 5, tmp_path)


def test_a_data_set_without_test_is_judged_by_its_folds() -> None:
    sets = draw().sets
    held = answer_held_out(Known({split: sets[split] for split in ("train", "val")}), 224, 4)
    assert set(held.split.tolist()) == {"train", "val"}
    np.testing.assert_array_equal(held.scores, answer_held_out(draw(), 224, 4).scores[:240])


def test_it_says_what_it_is_at_from_the_first_fold_to_the_head_of_test() -> None:
    said: list[str] = []
    answer_held_out(
        draw(), 224, 4, phase=lambda name, done=0, total=0, units="": said.append(f"{name} {done}/{total}")
    )
    assert said[:4] == [f"preparing the features of folds {done}/4" for done in range(4)]
    assert said[4].startswith("fitting heads on 4 folds 0/")
    assert said[-1] == "fitting the head that judges test 0/0"

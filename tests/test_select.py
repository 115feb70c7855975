"""Choices are made on val alone, coarse to fine, and stop where val has turned."""

from __future__ import annotations

import numpy as np
import pytest

from fixgrid.cache.features import FeatureSet
from fixgrid.heads import select
from fixgrid.heads.linear import LinearHead
from fixgrid.heads.select import Fold, choose_strength, score_head, score_views


class Scripted:
    """A path whose head at each strength is right on a scripted share of 1,000 images of class 0."""

    def __init__(self, accuracies):
        self.accuracies = accuracies
        self.fitted = []

    def head(self, strength):
        self.fitted.append(strength)
        share = self.accuracies[strength]
        c = 500 * share - 0.25
        cut = np.array([[-1], [1]], np.float32), np.array([c, -c], np.float32)
        return LinearHead(*cut, strength)


X = np.arange(1000, dtype=np.float32)[:, None] / 2
Y = np.zeros(1000, np.int64)
STRENGTHS = tuple(float(s) for s in range(33))


def name_images(y):
    n = len(y)
    return FeatureSet(np.zeros((n, 1, 1), np.float32), y, np.arange(n), np.zeros((n, 32), np.uint8))


def peak_at(best):
    return Scripted({s: 0.9 - 0.004 * abs(s - best) ** 1.5 for s in STRENGTHS})


@pytest.mark.parametrize("coarse", [2, 4])
@pytest.mark.parametrize("best", [0, 5, 6, 7])
def test_coarse_to_fine_finds_the_full_paths_best(best, coarse):
    path = peak_at(best)
    choice = choose_strength([Fold(path, X, Y)], STRENGTHS, coarse=coarse)
    assert choice.strength == best
    assert choice.val.value == pytest.approx(0.9, abs=1e-3)
    assert len(choice.curve) < 10


def test_the_search_stops_where_val_has_turned_and_says_so():
    path = peak_at(4)
    choice = choose_strength([Fold(path, X, Y)], STRENGTHS)
    assert max(path.fitted) <= 12
    assert "significantly worse than 4.0e+00" in choice.note


class Stated:
    """A head that is right on a share of the images of `X`, and as sure of each as told."""

    def __init__(self, share, margin):
        self.share, self.margin = share, margin

    def scores(self, X):
        side = np.where(2 * X[:, 0] < self.share * 1000, self.margin, -self.margin)
        return np.stack([side / 2, -side / 2], 1).astype(np.float32)


class StatedPath:
    def __init__(self, *heads):
        self.heads = heads

    def head(self, strength):
        return Stated(*self.heads[min(int(strength) // 2, len(self.heads) - 1)])


@pytest.mark.parametrize(
    ("heads", "end"),
    [
        ([(0.5, 0.1), (0.9, 2), (0.85, 4), (0.95, 4)], "stopped at 4.0e+00: significantly worse than 2.0e+00"),
        ([(0.5, 0.1), (0.9, 0.5), (0.85, 1), (0.95, 2)], "stopped at 1.0e+01: no better since 6.0e+00"),
        ([(0.5, 0.1), (0.9, 0.5), (0.85, 1), (0.85, 1.5)], "stopped at 6.0e+00: significantly worse than 2.0e+00"),
    ],
    ids=["one worse and less likely", "one worse but more likely", "two worse though more likely"],
)
@pytest.mark.parametrize("block", [64, 1024])
def test_val_has_turned_in_blocks_of_any_size(heads, end, block, monkeypatch):
    monkeypatch.setattr(select, "_BLOCK", block)
    assert choose_strength([Fold(StatedPath(*heads), X, Y)], STRENGTHS).note.partition(";")[0] == end


def test_a_flat_curve_stops_and_its_first_value_is_chosen():
    choice = choose_strength([Fold(Scripted(dict.fromkeys(STRENGTHS, 0.5)), X, Y)], STRENGTHS)
    assert choice.strength == 0
    assert choice.note == (
        "stopped at 4.0e+00: no better since 0.0e+00; 4 of 4 are right as often, the likeliest was taken"
    )


def test_a_rising_curve_is_walked_to_its_end():
    choice = choose_strength([Fold(Scripted({s: 0.5 + s / 100 for s in STRENGTHS}), X, Y)], STRENGTHS)
    assert choice.strength == 32
    assert choice.note == "tried up to 3.2e+01"


def test_the_whole_path_tries_every_strength():
    choice = choose_strength([Fold(peak_at(4), X, Y)], STRENGTHS, coarse=1)
    assert tuple(choice.curve) == STRENGTHS
    assert choice.strength == 4


def test_a_score_counts_what_is_right():
    score = score_head(peak_at(3).head(3.0), X, name_images(Y))
    assert score.figure.value == score.share.mean() == pytest.approx(0.9, abs=1e-3)


def test_views_are_averaged_as_probabilities():
    head = LinearHead(np.eye(2, dtype=np.float32), np.zeros(2, np.float32), 1.0)
    views = np.array([[[5, 0], [0, 1], [0, 1]]], np.float32)
    expected = (np.exp(views[0]) / np.exp(views[0]).sum(1, keepdims=True)).mean(0)
    np.testing.assert_allclose(np.exp(score_views(head, views))[0], expected, rtol=1e-6)
    assert score_views(head, views).argmax() == 0
    assert score_views(head, views.mean(1)).argmax() == 0


class Marked:
    """A linear head that notes how many rows it scores at a time."""

    def __init__(self):
        self.head = LinearHead(*(np.random.default_rng(0).standard_normal(shape) for shape in ((5, 3), 5)), 1.0)
        self.blocks = []

    def scores(self, X):
        self.blocks.append(len(X))
        return self.head.scores(X)


@pytest.mark.parametrize("shape", [(2500, 3), (2500, 2, 3)], ids=["one view", "two views"])
def test_many_images_are_scored_block_by_block(shape):
    rng = np.random.default_rng(1)
    views, y, head = rng.standard_normal(shape), rng.integers(0, 5, 2500), Marked()
    right = score_views(Marked(), views).argmax(1) == y
    np.testing.assert_array_equal(score_head(head, views, name_images(y)).share, right)
    assert max(head.blocks) < 1100


def test_of_strengths_that_are_right_as_often_the_likeliest_is_taken():
    heads = {1.0: Stated(1.0, 0.1), 2.0: Stated(1.0, 4.0), 4.0: Stated(1.0, 40.0)}
    path = type("Path", (), {"head": lambda self, strength: heads[strength]})()
    choice = choose_strength([Fold(path, X, Y)], (1.0, 2.0, 4.0), coarse=1)
    # Sure of every image beyond what 1,000 right ones can tell is less likely than sure enough.
    assert choice.strength == 2.0
    assert choice.note.endswith("3 of 3 are right as often, the likeliest was taken")


def test_folds_judge_together():
    paths = peak_at(4), peak_at(6)
    choice = choose_strength([Fold(path, X, Y) for path in paths], STRENGTHS, coarse=1)
    assert choice.strength == 5
    assert len(choice.correct) == 2 * len(Y)
    assert len(choice.heads) == 2

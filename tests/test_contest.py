"""Heads are told apart by the images they share, for all comparisons at once; luck of the best is estimated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fixgrid.heads.contest import compare_with, estimate_optimism, find_resolution


def answer(n: int, shares: NDArray[np.float64], seed: int, alike: float = 0.8) -> NDArray[np.bool_]:
    """Answers of heads that are right on shares of the images, on much the same ones."""
    rng = np.random.default_rng(seed)
    shared, own = rng.random((n, 1)), rng.random((n, len(shares)))
    return np.where(rng.random((n, len(shares))) < alike, shared, own) < shares


def test_equal_heads_are_told_apart_no_more_often_than_the_level_says() -> None:
    found = {True: 0, False: 0}
    for seed in range(60):
        correct = answer(200, np.full(20, 0.8), seed)
        best = int(correct.mean(0).argmax())
        again = answer(200, np.full(20, 0.8), 1000 + seed)
        found[True] += bool((compare_with(correct, best, chosen_here=True) < 0.05).any())
        found[False] += bool((compare_with(again, best, chosen_here=False) < 0.05).any())
    assert max(found.values()) <= 8  # of 60 at 5 %: more in one case of 1,000


def test_a_head_that_is_clearly_worse_is_told_apart_and_a_copy_never() -> None:
    correct = answer(400, np.array([0.9, 0.9, 0.6]), 0)
    correct[:, 1] = correct[:, 0]
    p = compare_with(correct, 0, chosen_here=True)
    assert p[0] == p[1] == 1
    assert p[2] < 0.01


def test_more_comparisons_make_a_difference_less_sure() -> None:
    few = answer(300, np.array([0.85, 0.78, *[0.8] * 2]), 3)
    many = np.concatenate([few, answer(300, np.full(60, 0.8), 4, alike=0)], axis=1)
    assert compare_with(few, 0, chosen_here=True)[1] < compare_with(many, 0, chosen_here=True)[1]
    assert compare_with(few, 0, chosen_here=False)[1] <= compare_with(few, 0, chosen_here=True)[1]


@pytest.mark.parametrize("n", [1, 5])
def test_few_images_tell_nothing(n: int) -> None:
    correct = np.zeros((n, 3), np.bool_)
    correct[:, 0] = True
    assert (compare_with(correct, 0, chosen_here=True) >= 0.05).all()


def test_the_luck_of_being_the_best_is_what_it_is() -> None:
    estimates, truths = [], []
    for seed in range(40):
        correct = answer(150, np.full(30, 0.7), seed)
        estimates.append(estimate_optimism(correct))
        truths.append(correct.mean(0).max() - 0.7)
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.015)
    assert np.mean(truths) > 0.04


def test_one_head_owes_nothing_to_luck() -> None:
    assert estimate_optimism(answer(100, np.array([0.7]), 0)) < 0.003
    assert find_resolution(answer(100, np.array([0.7]), 0), 0) == 0


def test_four_times_the_images_tell_half_the_difference() -> None:
    shares = np.full(10, 0.8)
    few, many = (find_resolution(answer(n, shares, 0), 0) for n in (500, 2000))
    assert many == pytest.approx(few / 2, rel=0.15)

"""The share of labels drawn at random is found where there are some, and none where heads are merely unsure."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from fixgrid.heads.label_noise import doubt_labels, fit_noise, join_shares, read_chances
from fixgrid.heads.metrics import Estimate, log_softmax

K = 5


def draw(n: int, share: float, seed: int = 0, sharpness: float = 4.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (n, K) that are twice too small, labels drawn by them of which a share is another, and which."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, K)) * sharpness
    y = (Z + rng.gumbel(size=Z.shape)).argmax(1)
    wrong = rng.random(n) < share
    y[wrong] = (y[wrong] + rng.integers(1, K, wrong.sum())) % K
    return (Z / 2).astype(np.float32), y, wrong


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_the_share_and_the_temperature_are_found(share: float) -> None:
    scores, y, wrong = draw(4000, share)
    noise = fit_noise(scores, y)
    assert noise.share.low <= wrong.mean() <= noise.share.high
    assert noise.share.high - noise.share.low < 0.04
    assert noise.temperature == pytest.approx(0.5, rel=0.13)  # one step of those tried


def test_what_a_head_is_unsure_of_is_not_called_wrong() -> None:
    scores, y, _ = draw(1500, 0, sharpness=1.5)
    assert (scores.argmax(1) != y).mean() > 0.3
    noise = fit_noise(scores, y)
    assert (noise.share.low, noise.share.value < 0.01) == (0, True)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = 0
    for seed in range(60):
        scores, y, _ = draw(300, 0.05, seed)
        share = fit_noise(scores, y).share
        held += share.low <= 0.05 <= share.high
    assert held >= 52  # of 60 at 95 %, fewer once in 1,000 times


def test_a_head_that_knows_nothing_finds_nothing() -> None:
    y = np.arange(400) % K
    noise = fit_noise(np.zeros((400, K), np.float32), y)
    assert noise.share.value < 1e-3
    assert noise.share.high == pytest.approx((K - 1) / K)


def test_one_label_more_counts_as_right() -> None:
    scores = np.full((1, K), -50, np.float32)
    scores[0, 1] = 50
    assert fit_noise(scores, np.array([0])).share.value == pytest.approx(0.5, abs=1e-3)


def test_the_labels_that_were_drawn_are_the_doubted_ones() -> None:
    scores, y, wrong = draw(4000, 0.05)
    noise = fit_noise(scores, y)
    doubt = doubt_labels(scores, y, noise)
    assert doubt.sum() == pytest.approx(len(y) * noise.share.value, rel=0.02)  # as the likeliest share has it
    for low, high in ((0.2, 0.8), (0.8, 1.01)):
        some = (doubt >= low) & (doubt < high)
        assert wrong[some].mean() == pytest.approx(doubt[some].mean(), abs=0.12)


def test_two_classes_are_one_label() -> None:
    scores, y, _ = draw(800, 0.1)
    two = scores[:, :2]
    y = np.where(np.isin(y, (0, 1)), y, 0)
    one = fit_noise(two, y)
    other = fit_noise(two[:, 1:] - two[:, :1], y[:, None] == 1)
    assert other.share == pytest.approx(one.share, rel=1e-4)
    assert other.temperature == one.temperature


def test_labels_that_are_not_judged_say_nothing() -> None:
    scores, y, wrong = draw(1000, 0.2)
    whole = fit_noise(scores, y, np.ones(len(y), bool))
    assert fit_noise(scores, y) == whole
    assert fit_noise(scores, y, ~wrong).share.value < 0.01
    assert fit_noise(scores, y, np.zeros(len(y), bool)).share == (0, 0, 1)


def test_a_chance_is_that_of_the_label_as_it_is_given() -> None:
    scores = np.array([[2, -1], [0, 800]], np.float32)
    np.testing.assert_allclose(
        read_chances(scores, np.array([1, 0]), 2.0), np.exp(log_softmax(scores, 2.0))[[0, 1], [1, 0]]
    )
    own = read_chances(scores, np.array([[True, True], [False, False]]), 1.0)
    np.testing.assert_allclose(own, [[1 / (1 + np.exp(-2)), 1 / (1 + np.e)], [0.5, 0]], atol=1e-12)


def test_shares_are_fitted_in_little_more_than_the_chances_at_each_temperature() -> None:
    scores = np.random.default_rng(0).standard_normal((4000, 20)).astype(np.float32)
    y = scores > 0
    tracemalloc.start()
    fit_noise(scores, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * y.size  # bytes; 31 chances of 4 bytes are 124


def test_sets_with_shares_of_their_own_have_one_of_all_whose_interval_holds_the_truth() -> None:
    held = 0
    for seed in range(60):
        parts = [draw(n, share, 100 * seed + n) for n, share in ((300, 0.02), (100, 0.2))]
        found = join_shares([fit_noise(scores, y).share for scores, y, _ in parts], [300, 100])
        held += found.low <= 0.065 <= found.high
    assert held >= 52
    one = Estimate(0.1, 0.05, 0.2)
    assert join_shares([one, Estimate(0, 0, 1)], [7, 0]) == pytest.approx(one)

"""Novelty is calibrated on val: known images are called unknown as often as was asked, and shifts are noticed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from fixgrid.cache.errors import UsageError
from fixgrid.heads.gap import Correction
from fixgrid.heads.knn import unit_rows
from fixgrid.heads.novelty import count_alone, expect_level, find_means, find_p, measure_shift, rate_novelty

RNG = np.random.default_rng(0)


def test_p_is_the_share_of_val_that_is_as_strange_the_image_itself_counted() -> None:
    known = np.array([0.1, 0.2, 0.2, 0.5], np.float32)
    found = find_p(known, np.array([0.0, 0.2, 0.3, 0.9], np.float32))
    np.testing.assert_allclose(found, np.array([5, 4, 2, 1]) / 5)


def test_known_images_are_called_unknown_as_often_as_was_asked() -> None:
    called = []
    for _ in range(2000):
        drawn = RNG.random(20).astype(np.float32)
        called.append(find_p(np.sort(drawn[:19]), drawn[19:])[0] <= 0.05)
    assert np.mean(called) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 2000))


def test_a_level_below_what_val_can_tell_is_refused() -> None:
    expect_level(19, 0.05)
    with pytest.raises(UsageError, match=r"--unknown 0.05; expected at least 0.0527, .* the 18 images"):
        expect_level(18, 0.05)
    expect_level(18, 0.0527)


def test_novelty_is_of_the_direction_and_the_mean_of_views() -> None:
    means = unit_rows(RNG.standard_normal((3, 8)).astype(np.float32))
    X = RNG.standard_normal((5, 2, 8)).astype(np.float32)
    found = rate_novelty(means, X)
    np.testing.assert_allclose(found, rate_novelty(means, 7 * X), atol=1e-6)
    np.testing.assert_allclose(found, (rate_novelty(means, X[:, 0]) + rate_novelty(means, X[:, 1])) / 2, atol=1e-6)
    np.testing.assert_allclose(rate_novelty(means, 3 * means), 0, atol=1e-6)


def test_means_are_of_classes_of_labels_or_of_tenths_of_numbers() -> None:
    X = RNG.standard_normal((40, 6)).astype(np.float32)
    y = np.arange(40) % 3
    np.testing.assert_allclose(find_means(X, y, 5), [X[y == k].mean(0) for k in range(3)], rtol=1e-5, atol=1e-6)
    several = RNG.random((40, 4)) < [0.5, 0.3, 0, 0.9]
    wanted = [X[several[:, k]].mean(0) for k in (0, 1, 3)]
    np.testing.assert_allclose(find_means(X, several, 4), wanted, rtol=1e-5, atol=1e-6)
    numbers = RNG.standard_normal(40)
    wanted = [X[part].mean(0) for part in np.split(np.argsort(numbers), 10)]
    np.testing.assert_allclose(find_means(X, numbers, 1), wanted, rtol=1e-5, atol=1e-6)


def test_a_correction_is_inverted_but_where_it_has_forgotten() -> None:
    correct = Correction(*RNG.standard_normal((3, 6)).astype(np.float32))
    X = RNG.standard_normal((4, 6)).astype(np.float32)
    np.testing.assert_allclose(correct.invert(correct(X)), X, atol=1e-4)
    flat = Correction(correct.centre, np.zeros(6, np.float32), correct.target)
    np.testing.assert_allclose(flat.invert(flat(X)), np.tile(correct.centre, (4, 1)))


def test_a_shift_has_the_p_of_a_rank_test() -> None:
    known, new = np.sort(RNG.random(200)).astype(np.float32), (RNG.random(50) + 0.1).astype(np.float32)
    shift = measure_shift(find_p(known, new), 200)
    wanted = mannwhitneyu(new, known, alternative="greater", method="asymptotic", use_continuity=False).pvalue
    assert shift is not None
    assert shift.p == pytest.approx(wanted, rel=1e-6)
    assert shift.stranger.value == np.mean(find_p(known, new) <= 0.05)
    assert shift.half == np.mean(new > np.median(known))


def test_images_like_vals_are_no_shift_and_others_are_said_to_be_unlike() -> None:
    drawn = RNG.standard_normal(400).astype(np.float32)
    known = np.sort(drawn[:200])
    same, other = (measure_shift(find_p(known, new), 200) for new in (drawn[200:], drawn[200:] + 1))
    assert same is not None
    assert other is not None
    assert (same.is_sure, other.is_sure, other.is_strong) == (False, True, True)
    assert "not told from chance at 1 %" in same.describe()
    assert "unlike the images that the head knows (p < .001)" in other.describe()


def test_a_group_is_one_image_to_the_test() -> None:
    known = np.sort(RNG.random(200)).astype(np.float32)
    p = find_p(known, np.repeat(RNG.random(10) + 0.2, 20).astype(np.float32))
    alone, grouped = (measure_shift(p, 200, group) for group in (None, np.repeat(np.arange(10), 20)))
    assert alone is not None
    assert grouped is not None
    assert alone.p < grouped.p
    assert grouped.stranger.high - grouped.stranger.low > alone.stranger.high - alone.stranger.low


def draw_groups(sizes: list[int], rng: np.random.Generator) -> np.ndarray:
    """Novelty of images that are nearly alike in each group."""
    mean = np.repeat(rng.standard_normal(len(sizes)), sizes)
    return (mean + 0.1 * rng.standard_normal(len(mean))).astype(np.float32)


@pytest.mark.parametrize("val", [[1] * 200, [20] * 20, [60, *[4] * 35]])
@pytest.mark.parametrize("new", [[1] * 100, [20] * 20, [60, *[4] * 35]])
def test_groups_alarm_no_more_often_than_images_of_their_own(val: list[int], new: list[int]) -> None:
    rng, alarms = np.random.default_rng(1), 0
    for _ in range(1000):
        known, other = np.sort(draw_groups(val, rng)), draw_groups(new, rng)
        alone, group = (np.repeat(np.arange(len(sizes)), sizes) for sizes in (val, new))
        shift = measure_shift(find_p(known, other), len(known), group, count_alone(alone))
        alarms += shift is not None and shift.is_sure
    assert alarms <= 20  # of 10 expected, more once in 600 times


def test_groups_count_as_many_as_their_sizes_have_the_variance_of() -> None:
    assert count_alone(np.arange(7)) == 7
    assert count_alone(np.repeat(np.arange(5), 20)) == pytest.approx(5)
    assert count_alone(np.repeat([3, 8], [9, 1])) == pytest.approx(100 / 82)


def test_few_images_of_val_tell_of_no_shift() -> None:
    assert measure_shift(np.ones(5), 18) is None
    assert measure_shift(np.ones(5), 19) is not None

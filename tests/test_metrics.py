"""Intervals, paired tests and calibration agree with their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fixgrid.heads.metrics import (
    bootstrap,
    calibration_error,
    compare_paired,
    fit_temperature,
    log_softmax,
    read_likelihoods,
    t_interval,
    top_hits,
    wilson_interval,
)


def test_the_2020_tables_intervals_overlap():
    best, second = wilson_interval(3922, 4140), wilson_interval(3908, 4140)
    assert [round(100 * x, 2) for x in best] == [94.73, 94.01, 95.37]
    assert [round(100 * x, 2) for x in second] == [94.40, 93.65, 95.06]


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (1, 1)])
def test_an_interval_stays_inside_zero_and_one(hits, n):
    value, low, high = wilson_interval(hits, n)
    assert 0 <= low <= value <= high <= 1
    assert high - low > 0.2


def test_no_predictions_have_no_interval():
    with pytest.raises(ValueError, match="no predictions"):
        wilson_interval(0, 0)


def paired(only_first, only_second, both=10):
    first = np.repeat([True, False, True], [only_first, only_second, both])
    second = np.repeat([False, True, True], [only_first, only_second, both])
    return compare_paired(first, second)


@pytest.mark.parametrize(("a", "b"), [(1, 9), (0, 6), (40, 61), (3, 3), (400, 500)])
def test_the_paired_test_is_the_exact_binomial_one(a, b):
    stats = pytest.importorskip("scipy.stats")
    assert paired(a, b) == pytest.approx(stats.binomtest(a, a + b).pvalue, abs=1e-12)


def test_the_paired_test_of_many_images_is_near_the_exact_one():
    stats = pytest.importorskip("scipy.stats")
    assert paired(700, 780) == pytest.approx(stats.binomtest(700, 1480).pvalue, abs=1e-3)


def test_equal_heads_are_a_tie():
    assert paired(0, 0) == 1


def test_constant_scores_are_not_right():
    assert not top_hits(np.zeros((3, 4), np.float32), np.array([0, 1, 2]), 1).any()


def test_top_k_grows_with_k():
    scores = np.array([[3, 2, 1, 0]] * 4, np.float32)
    hits = [top_hits(scores, np.arange(4), k).sum() for k in (1, 2, 3, 4)]
    assert hits == [1, 2, 3, 4]


def test_the_temperature_undoes_a_scaling_of_the_logits():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((20000, 4)).astype(np.float32) * 2
    P = np.exp(log_softmax(Z))
    y = (P.cumsum(1) > rng.random((len(Z), 1))).argmax(1)
    assert fit_temperature(5 * Z, y) == pytest.approx(5, rel=0.05)


def test_a_head_that_makes_no_error_is_as_sure_as_its_images_allow():
    n = 50
    Z = np.tile(np.array([[9, 0, 0]], np.float32), (n, 1))
    y = np.zeros(n, np.int64)
    temperature = fit_temperature(Z, y)
    chance = np.exp(log_softmax(Z, temperature))[0, 0]
    assert chance == pytest.approx((n + 1) / (n + 2), abs=5e-3)  # Laplace's rule of succession


@pytest.mark.parametrize("scores", [np.zeros((20, 3)), np.ones((20, 3))])
def test_scores_that_say_nothing_keep_their_temperature(scores):
    assert fit_temperature(scores.astype(np.float32), np.arange(20) % 3) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("n", [3, 30, 3000])
def test_no_temperature_is_an_end_of_its_range(n):
    rng = np.random.default_rng(n)
    Z = 8 * rng.standard_normal((n, 5)).astype(np.float32)
    for y in (Z.argmax(1), rng.integers(0, 5, n)):
        assert 2e-3 < fit_temperature(Z, y) < 500


def test_likelihoods_are_those_of_the_softmax():
    Z = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)
    y = np.arange(9) % 4
    label, top, others = read_likelihoods(Z, y, 0.5)
    logs = log_softmax(Z, 0.5)
    np.testing.assert_allclose(label, logs[np.arange(9), y], atol=1e-9)
    np.testing.assert_allclose(top, logs.max(1), atol=1e-9)
    np.testing.assert_allclose(np.exp(others), 1 - np.exp(top), atol=1e-9)


def test_calibration_error_is_the_mean_gap_between_confidence_and_accuracy():
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    correct = np.array([True, False, True, True])
    assert calibration_error(confidence, correct, np.ones(4)) == pytest.approx(0.45)
    assert calibration_error(np.ones(4), np.ones(4, bool), np.ones(4)) == 0


def test_the_bootstrap_interval_of_an_accuracy_is_near_wilsons():
    correct = np.arange(400) < 300
    by_draws = bootstrap(lambda weight: float(weight @ correct / weight.sum()), 400)
    by_formula = wilson_interval(300, 400)
    assert math.isclose(by_draws.value, 0.75)
    assert by_draws.low == pytest.approx(by_formula.low, abs=0.01)
    assert by_draws.high == pytest.approx(by_formula.high, abs=0.01)


def test_a_mean_of_draws_has_students_interval():
    assert t_interval([0.1, 0.2, 0.3]) == pytest.approx((0.2, 0.2 - 0.2484138, 0.2 + 0.2484138))
    with pytest.raises(ValueError, match="one draw"):
        t_interval([0.1])

"""Sets and intervals hold what they should as often as was asked."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.heads.conformal import find_limit, form_sets, measure_coverage, rate_answers, read_share
from fixgrid.heads.metrics import log_softmax

K = 6


def draw(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are the logits of the labels' own probabilities."""
    rng = np.random.default_rng(seed)
    scores = (2 * rng.standard_normal((n, K))).astype(np.float32)
    chances = np.exp(log_softmax(scores))
    return scores, (chances.cumsum(1) > rng.random((n, 1))).argmax(1)


def draw_task(task: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    scores, y = draw(n, seed)
    rng = np.random.default_rng([seed, 1])
    if task == "multilabel":
        return scores, rng.random((n, K)) < 1 / (1 + np.exp(-scores))
    if task == "regression":
        return scores[:, :1], scores[:, 0] + rng.standard_t(3, n)
    return scores, y


@pytest.mark.parametrize("task", ["multiclass", "ordinal", "multilabel", "regression"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_answers_cover_what_was_asked_whatever_the_temperature(task: str, temperature: float) -> None:
    covered = []
    for seed in range(300):
        scores, y = draw_task(task, 60, seed)
        val = np.sort(rate_answers(scores[:39], y[:39], temperature))
        limit = find_limit(val, 0.8)
        if task == "regression":
            hits = abs(scores[39:, 0] - y[39:]) <= limit
        else:
            held = form_sets(scores[39:], limit, temperature, task)
            hits = (held | ~y[39:]).all(1) if task == "multilabel" else held[np.arange(21), y[39:]]
        covered.append(hits.mean())
    mean, error = np.mean(covered), np.std(covered) / math.sqrt(len(covered))
    assert mean > 0.8 - 3 * error
    if task == "regression":  # with 39 images .8 is met exactly
        assert mean < 0.8 + 3 * error


@pytest.mark.parametrize(("n", "coverage", "rank"), [(9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (99, 0.95, 95)])
def test_the_limit_is_the_rank_that_covers_among_one_image_more(n: int, coverage: float, rank: int) -> None:
    assert find_limit(np.arange(1, n + 1, dtype=np.float32), coverage) == rank


def test_however_little_is_to_be_covered_the_limit_is_one_of_vals() -> None:
    assert find_limit(np.arange(1, 10, dtype=np.float32), 1e-12) == 1


def test_more_than_val_can_tell_is_refused_with_what_it_can() -> None:
    with pytest.raises(UsageError, match=r"--coverage 0.9; expected at most 0.8888, .* the 8 images"):
        find_limit(np.arange(8, dtype=np.float32), 0.9)
    find_limit(np.arange(8, dtype=np.float32), 0.8888)


def test_a_set_holds_the_classes_that_are_probable_enough() -> None:
    scores, _ = draw(200)
    chances = np.exp(log_softmax(scores, 2.0))
    held = form_sets(scores, -math.log(0.3), 2.0, "multiclass")
    best = np.arange(K) == chances.argmax(1)[:, None]
    np.testing.assert_array_equal(held, (chances >= 0.3) | best)
    assert (chances.max(1) < 0.3).any()  # sets that would be empty


def test_a_set_of_an_order_has_no_gap() -> None:
    scores = np.log(np.array([[0.4, 0.1, 0.5], [0.1, 0.8, 0.1]], np.float32))
    held = form_sets(scores, -math.log(0.3), 1.0, "ordinal")
    np.testing.assert_array_equal(held, [[True, True, True], [False, True, False]])
    assert form_sets(scores, -math.log(0.3), 1.0, "multiclass").sum() == 3


def test_several_labels_are_as_bad_as_the_least_probable_and_none_as_good_as_can_be() -> None:
    scores = np.array([[2.0, -1.0, 0.5], [2.0, -1.0, 0.5]], np.float32)
    y = np.array([[True, True, False], [False, False, False]])
    np.testing.assert_allclose(rate_answers(scores, y), [math.log1p(math.exp(1)), 0], rtol=1e-6)


@pytest.mark.parametrize(("asked", "share"), [(".9", 0.9), ("90%", 0.9), (0.9, 0.9), ("97.5 %", 0.975)])
def test_a_share_is_a_fraction_or_percent(asked: str | float, share: float) -> None:
    assert read_share("--coverage", asked, ".9 or 90%") == pytest.approx(share)


@pytest.mark.parametrize("asked", ["90", "1", 0, "0%", "100%", "much", "nan", "-.1", ""])
def test_what_is_no_share_is_refused_with_what_to_type(asked: str | float) -> None:
    with pytest.raises(UsageError, match=r"found --coverage .*; expected a share .* as in \.9 or 90%"):
        read_share("--coverage", asked, ".9 or 90%")


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_coverage_is_measured_on_other_images_with_its_interval(task: str) -> None:
    scores, y = draw_task(task, 400, 3)
    val = np.sort(rate_answers(scores[:200], y[:200]))
    covered, size = measure_coverage(val, scores[200:], y[200:], 1.0, task)
    hits = rate_answers(scores[200:], y[200:]) <= find_limit(val, 0.9)
    assert covered.value.value == pytest.approx(hits.mean(), abs=0.02)  # never empty sets may hold a few more
    assert covered.value.low < covered.value.value < covered.value.high
    assert size.value.value > 0
    assert measure_coverage(val[:8], scores, y, 1.0, task) == []

"""Every figure is the mean of its images' shares, which are its jackknife; groups count as one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.heads.judging import estimate_figure, join_units, judge_shares
from fixgrid.heads.measures import MEASURES, find_measure
from fixgrid.heads.metrics import log_softmax, wilson_interval

N, K = 50, 4
rng = np.random.default_rng(3)
Y = rng.integers(0, K, N)
SCORES = (rng.normal(size=(N, K)) + np.eye(K)[Y]).astype(np.float32)
SEVERAL = rng.random((N, K)) < 0.3
LOOSE = np.round(rng.normal(size=(N, K)) + SEVERAL, 1).astype(np.float32)  # with equal scores
NUMBERS = rng.normal(size=N)
GUESSED = (NUMBERS + rng.normal(size=N))[:, None].astype(np.float32)

# name, scores, labels, scikit-learn's, whether shares are its jackknife to the last digit
CASES = [
    ("accuracy", SCORES, Y, lambda s, y: metrics.accuracy_score(y, s.argmax(1)), True),
    ("balanced", SCORES, Y, lambda s, y: metrics.balanced_accuracy_score(y, s.argmax(1)), False),
    ("f1", SCORES, Y, lambda s, y: metrics.f1_score(y, s.argmax(1), average="macro"), True),
    ("kappa", SCORES, Y, lambda s, y: metrics.cohen_kappa_score(y, s.argmax(1), weights="quadratic"), True),
    ("auroc", SCORES, Y, lambda s, y: metrics.roc_auc_score(np.eye(K)[y], log_softmax(s)), True),
    ("auroc", LOOSE, SEVERAL, lambda s, y: metrics.roc_auc_score(y, s), True),
    ("map", LOOSE, SEVERAL, lambda s, y: metrics.average_precision_score(y, s), True),
    ("r2", GUESSED, NUMBERS, lambda s, y: metrics.r2_score(y, s[:, 0]), False),
]


@pytest.mark.parametrize(("name", "scores", "y", "theirs", "exact"), CASES)
def test_a_figure_is_scikit_learns_and_the_mean_of_its_shares(name, scores, y, theirs, exact):
    share = MEASURES[name].share(scores, y)
    assert share.mean() == pytest.approx(theirs(scores, y), abs=1e-12)
    if exact:
        without = np.array([theirs(np.delete(scores, i, 0), np.delete(y, i, 0)) for i in range(N)])
        np.testing.assert_allclose(share, theirs(scores, y) + (N - 1) * (without.mean() - without), atol=1e-9)


@pytest.mark.parametrize(("name", "scores", "y", "theirs", "exact"), CASES)
def test_shares_say_how_far_a_figure_strays_in_other_samples(name, scores, y, theirs, exact):
    measure = MEASURES[name]
    draws = [np.random.default_rng(i).integers(0, N, N) for i in range(300)]
    spread = np.std([theirs(scores[draw], y[draw]) for draw in draws])
    share = measure.share(scores, y).astype(float)
    assert share.std(ddof=1) / np.sqrt(N) == pytest.approx(spread, rel=0.3)


def test_auroc_of_one_class_each_ranks_probabilities():
    drawn = np.random.default_rng(0)
    y = drawn.integers(0, K, 400)
    X = drawn.normal(size=(400, 6)) + 0.7 * np.eye(K, 6)[y]
    head = LogisticRegression().fit(X[:200], y[:200])
    theirs = metrics.roc_auc_score(y[200:], head.predict_proba(X[200:]), multi_class="ovr", average="macro")
    scores = head.decision_function(X[200:])
    assert MEASURES["auroc"].share(scores, y[200:]).mean() == pytest.approx(theirs, abs=1e-12)
    assert metrics.roc_auc_score(np.eye(K)[y[200:]], scores) != pytest.approx(theirs, abs=1e-4)


def test_auroc_of_one_class_each_does_not_hang_on_what_a_softmax_forgets():
    scores = np.round(8 * SCORES) / 8
    moved = scores + rng.integers(-40, 40, (N, 1)).astype(np.float32)
    np.testing.assert_array_equal(MEASURES["auroc"].share(moved, Y), MEASURES["auroc"].share(scores, Y))


def test_a_label_of_one_image_or_of_all_does_not_break_a_figure():
    y = np.zeros((6, 3), np.bool_)
    y[0, 0], y[:, 1] = True, True
    scores = np.arange(18, dtype=np.float32).reshape(6, 3)
    for name in ("map", "auroc"):
        share = MEASURES[name].share(scores, y)
        assert np.isfinite(share).all()
        assert share.mean() == pytest.approx({"map": 1 / 6, "auroc": 0.0}[name])


def test_equal_numbers_are_no_division_by_zero():
    share = MEASURES["r2"].share(np.ones((3, 1), np.float32), np.full(3, 2.0))
    assert np.isfinite(share).all()


def test_an_image_judged_in_several_folds_counts_once():
    share, unit = join_units(np.array([True, False, True]), np.array([4, 4, 7]), None)
    assert (share.tolist(), unit.tolist()) == ([0.5, 1.0], [4, 7])


def test_groups_count_as_one_and_weigh_as_many_images_as_they_have():
    hits = np.array([True, True, True, False, False])
    share, unit = join_units(hits, np.arange(5), np.array([9, 9, 9, 2, 5]))
    assert unit.tolist() == [2, 5, 9]
    assert share.mean() == pytest.approx(0.6)
    assert share[2] - share.mean() == pytest.approx((3 - 3 * 0.6) * 3 / 5)


@pytest.mark.parametrize("groups", [1, 4])
def test_groups_that_are_all_right_leave_doubt_as_images_do(groups: int) -> None:
    hits, group = np.ones(12, bool), np.arange(12) % groups
    assert judge_shares(MEASURES["accuracy"], hits, np.arange(12), group).figure == wilson_interval(groups, groups)


def test_images_that_are_right_or_wrong_have_wilsons_interval_and_groups_a_wider_one():
    hits = np.arange(60) % 3 > 0
    plain = judge_shares(MEASURES["accuracy"], hits, np.arange(60))
    assert plain.figure == wilson_interval(40, 60)
    assert plain.share.dtype == np.bool_
    alike = np.repeat(np.arange(10) % 3 > 0, 6)  # all images of a group are right, or none
    grouped = judge_shares(MEASURES["accuracy"], alike, np.arange(60), np.repeat(np.arange(10), 6))
    assert len(grouped.share) == 10
    width = grouped.figure.high - grouped.figure.low
    assert width > 1.8 * (plain.figure.high - plain.figure.low)
    assert 0 <= grouped.figure.low < grouped.figure.value < grouped.figure.high <= 1


def test_a_group_interval_covers_what_new_groups_would_show():
    covered = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        chance = np.repeat(draw.random(30), 5)  # of groups that differ
        hits = draw.random(150) < chance
        _, low, high = judge_shares(MEASURES["accuracy"], hits, np.arange(150), np.repeat(np.arange(30), 5)).figure
        covered += low <= 0.5 <= high
    assert covered >= 180  # Wilson's covers about 150


def test_a_figure_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no predictions"):
        estimate_figure(MEASURES["r2"], np.zeros(0))


def test_each_task_has_measures_of_its_own_and_no_others():
    assert find_measure("multiclass").name == "accuracy"
    assert find_measure("ordinal").name == "kappa"
    assert find_measure("multilabel", "auroc").name == "auroc"
    with pytest.raises(UsageError, match="found --metric 'r2' for multilabel labels; expected one of auroc, map"):
        find_measure("multilabel", "r2")
    with pytest.raises(DataError, match="images without labels"):
        find_measure("unlabelled")

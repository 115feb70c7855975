"""Figures of a head equal scikit-learn's; each has an interval that holds it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from fixgrid.heads.figures import ClassRow, Confusion
from fixgrid.heads.measuring import measure_head
from fixgrid.heads.metrics import Estimate, bootstrap, calibration_error, fit_temperature

CLASSES = tuple("abcdefgh")


def draw(n=400, k=8, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k - 1, n)  # the last class has no image
    scores = rng.standard_normal((n, k)) + 1.5 * np.eye(k)[y]
    return scores.astype(np.float32), y


def test_figures_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    scores, y = draw()
    found = measure_head(scores, y, CLASSES, 2.0)
    P = np.exp(scores.astype(float) / 2)
    P /= P.sum(1, keepdims=True)
    guess, labels = scores.argmax(1), np.arange(8)
    assert found.top1.value == metrics.accuracy_score(y, guess)
    assert found.top5.value == metrics.top_k_accuracy_score(y, scores, k=5, labels=labels)
    assert found.class_mean.value == pytest.approx(
        metrics.recall_score(y, guess, labels=labels[:7], average="macro")
    )
    assert found.nll.value == pytest.approx(metrics.log_loss(y, P, labels=labels))
    precision = metrics.precision_score(y, guess, labels=labels, average=None, zero_division=np.nan)
    np.testing.assert_allclose([row.precision for row in found.per_class], precision)


def test_every_estimate_lies_in_its_interval():
    found = measure_head(*draw(), CLASSES)
    for field in fields(found):
        value = getattr(found, field.name)
        if isinstance(value, Estimate) and field.name != "calibration":
            assert value.low < value.value < value.high, field.name
            assert value.high - value.low < 0.3


def test_the_tables_count_what_was_taken_for_what():
    y = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    guess = np.array([0, 1, 1, 2, 0, 1, 2, 2])
    found = measure_head(np.eye(4, dtype=np.float32)[guess], y, "abcd")
    assert found.confused == (Confusion("a", "b", 2, 1), Confusion("a", "c", 1, 0))
    assert [(row.name, row.n, row.recall and row.recall.value, row.precision) for row in found.per_class] == [
        ("a", 4, 0.25, 0.5),
        ("b", 2, 0.5, 1 / 3),
        ("c", 2, 1.0, 2 / 3),
        ("d", 0, None, None),
    ]
    assert found.class_mean.value == pytest.approx((0.25 + 0.5 + 1) / 3)
    assert measure_head(np.eye(4, dtype=np.float32)[guess], y, "abcd", n_confused=1).confused == found.confused[:1]
    assert isinstance(found.per_class[0], ClassRow)


def test_the_temperature_of_val_calibrates_test():
    scores, y = draw(4000)
    val, test = (8 * scores[:2000], y[:2000]), (8 * scores[2000:], y[2000:])
    raw = measure_head(*test, CLASSES)
    cooled = measure_head(*test, CLASSES, fit_temperature(*val))
    assert cooled.calibration.high < raw.calibration.low
    assert cooled.nll.high < raw.nll.low
    assert cooled.top1 == raw.top1


def test_no_images_have_no_figures():
    with pytest.raises(ValueError, match="no predictions"):
        measure_head(np.zeros((0, 8), np.float32), np.zeros(0, np.int64), CLASSES)


@pytest.mark.parametrize(("task", "held"), [("multiclass", [1]), ("multilabel", [[False, True]])])
def test_what_cannot_be_told_of_one_class_is_left_out(task: str, held: list[Any]) -> None:
    scores = np.array([[0.2, 0.8]] * 4, np.float32)
    figures = measure_head(scores, np.array(held * 4), ("a", "b"), 1.0, task=task, group=np.zeros(4, np.int64))
    assert "auroc" not in [figure.name for figure in figures.figures]
    assert figures.said_intervals.endswith("one group tells nothing of others")


@pytest.mark.parametrize("grouped", [False, True])
def test_answers_about_several_labels_are_binned_once_for_all_resamples(
    grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    y, group = rng.random((60, 7)) < 0.3, np.arange(60) // 4 if grouped else None
    scores = rng.standard_normal(y.shape).astype(np.float32)
    chance = 1 / (1 + np.exp(-scores.astype(np.float64) / 2))
    expected = bootstrap(
        lambda weight: calibration_error(chance.ravel(), y.ravel(), np.repeat(weight, 7)), len(y), group
    )
    count, binned = np.bincount, 0

    def counted(values: Any, *args: Any, **options: Any) -> Any:
        nonlocal binned
        binned += np.size(values)
        return count(values, *args, **options)

    monkeypatch.setattr(np, "bincount", counted)
    found = measure_head(scores, y, "abcdefg", 2.0, task="multilabel", group=group)
    assert found.calibration == pytest.approx(expected, rel=1e-12)
    assert binned < 100 * y.size

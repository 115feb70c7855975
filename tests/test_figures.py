"""Figures of a head equal scikit-learn's; each has an interval that holds it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgrid.heads.figures import ClassRow, Confusion
from fixgrid.heads.head_table import figures_record, format_figures
from fixgrid.heads.measuring import measure_head
from fixgrid.heads.metrics import Estimate, bootstrap, calibration_error, fit_temperature, wilson_interval

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


@st.composite
def few_answers(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of `measure_head`: few images, of every task, grouped or not, of heads from blind to perfect."""
    task, k = draw(st.sampled_from(["multiclass", "ordinal", "multilabel", "regression"])), draw(st.integers(2, 8))
    rng, n = np.random.default_rng(draw(st.integers(0, 999))), draw(st.integers(1, 40))
    known = draw(st.sampled_from([0, 1, 3, 30]))
    if task == "regression":
        y: Any = np.round(rng.standard_normal(n), 1)
        scores = (known * y + rng.standard_normal(n))[:, None]
    else:
        y = rng.random((n, k)) < 0.3 if task == "multilabel" else rng.integers(0, k, n)
        scores = rng.standard_normal((n, k)) + known * (y - 0.5 if task == "multilabel" else np.eye(k)[y])
    group = rng.integers(0, 1 + n // 3, n) if draw(st.booleans()) else None
    names, temperature = CLASSES[: scores.shape[1]], draw(st.sampled_from([0.3, 1.0, 3.0]))
    return {
        "scores": scores.astype(np.float32),
        "y": y,
        "classes": names,
        "temperature": temperature,
        "task": task,
        "group": group,
    }


@settings(max_examples=25, deadline=None)
@given(few_answers())
def test_every_estimate_lies_in_its_interval(asked: dict[str, Any]) -> None:
    found = measure_head(**asked)
    estimates = {figure.name: figure.value for figure in found.figures}
    estimates |= {f"recall of {row.name}": row.recall for row in found.per_class if row.recall}
    estimates |= {f"AP of {row.name}": row.average_precision for row in found.per_class if row.average_precision}
    for name, (value, low, high) in estimates.items():
        untold = np.isnan(low) and np.isnan(high) and name in ("nll", "off", "mae", "rmse", "r2")
        assert untold or (low <= value <= high and low < high), name


@pytest.mark.parametrize(("right", "ends"), [(True, wilson_interval(16, 16)), (False, wilson_interval(0, 16))])
def test_images_that_are_all_right_or_all_wrong_leave_doubt_in_every_figure(right: bool, ends: Estimate) -> None:
    y = np.arange(16) % 4
    scores = 9 * np.eye(4, dtype=np.float32)[y if right else (y + 1) % 4]
    found = measure_head(scores, y, "abcd")
    for name in ("top1", "class_mean", "macro_f1", *["auroc"] * right):
        assert found[name] == pytest.approx(ends), name
    ordered = measure_head(scores, y, "abcd", task="ordinal", group=y)
    four = wilson_interval(4 * right, 4)
    assert (ordered.class_mean, ordered.macro_f1) == (pytest.approx(four), pytest.approx(four))
    several = measure_head(scores - 4, np.eye(4, dtype=np.bool_)[y], "abcd", task="multilabel")
    if right:
        assert several["map"] == several.micro_f1 == several.exact == pytest.approx(ends)
        assert several.per_class[0].average_precision == wilson_interval(4, 4)  # images that have the label
        assert ordered.kappa == pytest.approx((1, 2 * four.low - 1, 1))  # it may be down to -1
        assert (ordered.off.value, np.isnan(ordered.off.low)) == (0, True)


def test_an_image_alone_has_no_interval_of_a_figure_without_bounds() -> None:
    figures = measure_head(np.array([[0.2, 0.8]], np.float32), np.array([1]), "ab")
    assert np.isnan(figures.nll[1:]).all()
    assert figures_record(figures)["nll"] == {"value": figures.nll.value, "low": None, "high": None}
    json.loads(format_figures(figures, "json"), parse_constant=pytest.fail)
    assert '"log-loss, nats",0.44,,\n' in format_figures(figures, "csv").replace("\r", "")
    assert format_figures(figures, "table").count("nan") == 0


def draw_confidence(seed: int, n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Of a head of two classes whose probabilities are true: confidence, and whether it was right."""
    rng = np.random.default_rng(seed)
    confidence = 0.5 + rng.beta(4, 2, n) / 2
    return confidence, rng.random(n) < confidence


def test_the_interval_of_a_calibration_error_holds_it_and_that_of_other_samples() -> None:
    even, trials = np.ones(100), 60
    mean = np.mean([calibration_error(*draw_confidence(seed), even) for seed in range(1000, 4000)])
    covered = 0
    for seed in range(trials):
        sure, right = draw_confidence(seed)
        scores = np.log(np.stack([sure, 1 - sure], 1)).astype(np.float32)
        value, low, high = measure_head(scores, np.where(right, 0, 1), "ab").calibration
        assert 0 <= low <= value <= high
        covered += low <= mean <= high
    assert covered >= 0.92 * trials


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


@pytest.mark.parametrize(("k", "told"), [(5, False), (6, True)])
def test_the_label_is_always_among_the_five_highest_of_five(k: int, told: bool) -> None:
    figures = measure_head(*draw(40, k), CLASSES[:k])
    assert ("top5" in [figure.name for figure in figures.figures]) == told


@pytest.mark.parametrize("grouped", [False, True])
def test_answers_about_several_labels_are_binned_once_for_all_resamples(
    grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    y, group = rng.random((60, 7)) < 0.3, np.arange(60) // 4 if grouped else None
    scores = rng.standard_normal(y.shape).astype(np.float32)
    chance = 1 / (1 + np.exp(-scores.astype(np.float64) / 2))
    expected = bootstrap(
        lambda weight: calibration_error(chance.ravel(), y.ravel(), np.repeat(weight, 7)),
        len(y),
        group,
        centred=True,
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

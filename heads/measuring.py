"""Figures of one chosen head on one split, measured: what suits the labels, each with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import block_rows
from .figures import ClassRow, Confusion, Figure, HeadFigures
from .judging import judge_shares, settle_interval
from .measures import MEASURES
from .metrics import (
    BINS,
    bootstrap,
    calibration_error,
    log_softmax,
    read_likelihoods,
    top_hits,
    wilson_interval,
)
from .per_class import list_confused, rate_classes, rate_labels

_MOST_RANKED = 50_000_000  # scores: sorting them takes some seconds


def measure_head(
    scores: NDArray[np.float32],
    y: NDArray[Any],
    classes: Sequence[str],
    temperature: float = 1.0,
    *,
    n_confused: int = 10,
    task: str = "multiclass",
    group: NDArray[np.int64] | None = None,
    thresholds: NDArray[np.float32] | None = None,
) -> HeadFigures:
    """All figures of a chosen head, each with its 95 % interval.

    Shares of images have Wilson's, all others percentiles of 1,000 resamples of images. Where images are grouped,
    groups are resampled, for all of them. Where resamples do not differ, see `settle_interval`.

    Of one class: accuracy, label among the five highest scores (of more classes), mean over classes of the accuracy
    within each, macro F1, area under the ROC curves one against rest (unless there are very many scores), mean
    negative log-likelihood in nats, expected calibration error in 15 bins (Guo et al. 2017, eq. 3; it is biased
    upwards, in resamples once more, which `bootstrap` takes off its interval). Of ordered classes before these the
    quadratic kappa, the share that is off by one class at most, and the mean of classes that an answer is off. Of
    several classes: mAP, area under the ROC curves, macro and micro F1 at the thresholds, share of images whose
    labels are all right, log-likelihood and calibration of the average label. Of numbers: R2, mean absolute error,
    root of the mean square error, Spearman's rank correlation.

    Parameters
    ----------
    scores : float32 array, shape (n, K)
        From `heads.select.score_views` on test.
    y : array
        Labels, see `fixgrid.cache.rows.Rows`.
    classes : sequence of str, length K
    temperature : float
        Of `fit_temperature` on val, never on the split measured here.
    n_confused : int
        Longest list of confused pairs.
    task : str
        Of `fixgrid.cache.rows.TASKS`.
    group : int64 array, shape (n,), optional
        Images of one number belong together.
    thresholds : float32 array, shape (K,), optional
        Probability from which each of several labels is given; .5 if not given.

    Raises
    ------
    ValueError
        If there is no image.
    """
    if not len(y):
        raise ValueError("no predictions to score")
    sample = _Sample(scores, y, group)
    if task == "regression":
        return sample.sum_up(_measure_numbers(sample), 1.0)
    if task == "multilabel":
        return _measure_labels(sample, classes, temperature, thresholds)
    k, guess = len(classes), scores.argmax(1)
    correct = guess == y
    losses, confidence = read_scores(scores, y, temperature)
    figures = [
        sample.share("accuracy", "top1"),
        *([sample.average("top5", "top-5", 100, top_hits(scores, y, 5))] if task != "ordinal" and k > 5 else ()),
        sample.resample("class_mean", "mean of classes", 100, lambda weight: _class_mean(correct, y, weight, k)),
        sample.share("f1", "macro_f1"),
        *([sample.share("auroc")] if scores.size <= _MOST_RANKED and np.ptp(y) else ()),  # none of one class alone
        sample.average("nll", "log-loss, nats", 1, losses),
        sample.resample(
            "calibration",
            "calibration error",
            100,
            lambda weight: calibration_error(confidence, correct, weight),
            centred=True,
        ),
    ]
    if task == "ordinal":
        off = np.abs(guess - y)
        near = sample.average("off_by_one", "off by one at most", 100, off <= 1)
        figures = [sample.share("kappa"), near, sample.average("off", "classes off", 1, off), *figures]
    rows = rate_classes(y, guess, classes, group)
    return sample.sum_up(figures, temperature, rows, list_confused(y, guess, classes, n_confused))


class _Sample:
    """Scores and labels of some images, and how a figure of them gets its interval."""

    def __init__(self, scores: NDArray[np.float32], y: NDArray[Any], group: NDArray[np.int64] | None) -> None:
        self.scores, self.y, self.group = scores, y, group
        self.n_groups = 0 if group is None else len(np.unique(group))

    def sum_up(
        self,
        figures: Sequence[Figure],
        temperature: float,
        per_class: tuple[ClassRow, ...] = (),
        confused: tuple[Confusion, ...] = (),
    ) -> HeadFigures:
        """All that was measured of them."""
        return HeadFigures(len(self.y), self.n_groups, tuple(figures), temperature, per_class, confused)

    def share(self, measure: str, name: str = "") -> Figure:
        """One of `MEASURES`."""
        found = MEASURES[measure]
        judged = judge_shares(found, found.share(self.scores, self.y), np.arange(len(self.y)), self.group)
        return Figure(name or measure, found.title, found.unit, judged.figure)

    def average(self, name: str, title: str, unit: int, values: NDArray[Any]) -> Figure:
        """The mean of something of each image; of what is true or false Wilson's interval."""
        if values.dtype == np.bool_ and self.group is None:
            return Figure(name, title, unit, wilson_interval(int(values.sum()), len(values)))
        n = len(values)
        return self.resample(name, title, unit, lambda weight: float(weight @ values) / n)

    def resample(
        self,
        name: str,
        title: str,
        unit: int,
        figure: Callable[[NDArray[np.float64]], float],
        *,
        centred: bool = False,
        bounds: tuple[float, float] | None = None,
    ) -> Figure:
        """Any figure of weighted images, see `bootstrap`; of bounds 0 and, in percent, 1, if not given."""
        found = bootstrap(figure, len(self.y), self.group, centred=centred)
        least, most = bounds or (0.0, 1.0 if unit == 100 else math.inf)
        return Figure(name, title, unit, settle_interval(found, self.n_groups or len(self.y), least, most))


def _measure_numbers(sample: _Sample) -> tuple[Figure, ...]:
    value, y = sample.scores[:, 0].astype(np.float64), sample.y
    ranks, error = (_rank(value), _rank(y)), value - y
    n = len(y)
    return (
        sample.share("r2"),
        sample.average("mae", "mean absolute error", 1, abs(error)),
        sample.resample("rmse", "root mean square error", 1, lambda weight: math.sqrt(weight @ error**2 / n)),
        sample.resample(
            "rank", "rank correlation", 1, lambda weight: _correlate(*ranks, weight), bounds=(-1.0, 1.0)
        ),
    )


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places in ascending order; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def _correlate(a: NDArray[np.float64], b: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Pearson's correlation of weighted pairs; 0 where one does not vary."""
    total = weight.sum()
    a, b = a - weight @ a / total, b - weight @ b / total
    scale = math.sqrt((weight @ a**2) * (weight @ b**2))
    return float(weight @ (a * b)) / scale if scale else 0.0


def _measure_labels(
    sample: _Sample, classes: Sequence[str], temperature: float, thresholds: NDArray[np.float32] | None
) -> HeadFigures:
    y = sample.y
    logits = sample.scores.astype(np.float64) / temperature
    chance = 1 / (1 + np.exp(-logits))
    said = chance >= (0.5 if thresholds is None else thresholds)
    hits, size = (said & y).astype(np.float64), said.astype(np.float64) + y
    gaps = _bin_gaps(chance, y)
    figures = (
        sample.share("map"),
        *([sample.share("auroc")] if (y.any(0) > y.all(0)).any() else ()),
        sample.resample("macro_f1", "macro F1", 100, lambda weight: _macro_f1(weight @ hits, weight @ size)),
        sample.resample(
            "micro_f1", "micro F1", 100, lambda weight: 2 * (weight @ hits).sum() / max((weight @ size).sum(), 1)
        ),
        sample.average("exact", "all labels right", 100, (said == y).all(1)),
        sample.average("nll", "log-loss, nats", 1, -read_likelihoods(sample.scores, y, temperature)[0]),
        sample.resample(
            "calibration",
            "calibration error",
            100,
            lambda weight: float(abs(weight @ gaps).sum() / (weight.sum() * y.shape[1])),
            centred=True,
        ),
    )
    return sample.sum_up(figures, temperature, rate_labels(sample.scores, y, said, classes, sample.group))


def _bin_gaps(chance: NDArray[np.float64], y: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each image adds to the gap of each bin of `calibration_error`: float64, shape (n, BINS)."""
    n = len(y)
    place = np.minimum((chance * BINS).astype(np.int64), BINS - 1)
    place += BINS * np.arange(n)[:, None]
    gaps: NDArray[Any] = np.bincount(place.ravel(), weights=(y - chance).ravel(), minlength=n * BINS)
    return gaps.reshape(n, BINS)


def _macro_f1(hits: NDArray[np.float64], size: NDArray[np.float64]) -> float:
    """Mean over labels of F1, those that are neither given nor said left out."""
    seen = size > 0
    return float((2 * hits[seen] / size[seen]).mean()) if seen.any() else 0.0


def read_scores(
    scores: NDArray[np.float32], y: NDArray[np.int64], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Loss and highest probability of each row, in blocks: log-probabilities take eight bytes an element."""
    losses, confidence = np.empty(len(y)), np.empty(len(y))
    for part in block_rows(len(y), scores.shape[1]):
        logs = log_softmax(scores[part], temperature)
        losses[part] = -logs[np.arange(len(logs)), y[part]]
        confidence[part] = np.exp(logs.max(1))
    return losses, confidence


def _class_mean(
    correct: NDArray[np.bool_], y: NDArray[np.int64], weight: NDArray[np.float64], n_classes: int
) -> float:
    count = np.bincount(y, weights=weight, minlength=n_classes)
    hits = np.bincount(y, weights=weight * correct, minlength=n_classes)
    return float((hits[count > 0] / count[count > 0]).mean())

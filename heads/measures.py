"""What heads are judged by: figures of scores and labels, each as a mean over images.

A figure that is no mean, such as an average precision, is written as one: an image's share is the figure, plus
n - 1 times what the figure loses without that image (the jackknife's pseudo-value, Tukey 1958, centred so that the
shares' mean is the figure itself). Choice, intervals, ties and resamples then need to know nothing of the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import DataError, UsageError

from .arrays import block_rows
from .metrics import Estimate

Scores = NDArray[np.float32]
Shares = NDArray[np.bool_] | NDArray[np.float64]


class Measure(NamedTuple):
    """A figure that heads are chosen and compared by; more is better.

    Attributes
    ----------
    name : str
        As ``--metric`` says it.
    title : str
        In tables.
    unit : int
        100 where it is shown in percent.
    tasks : tuple of str
        Of `fixgrid.cache.rows.TASKS`.
    share : callable
        From scores (n, K) and labels to the share of each image, (n,), bool or float64.
    alone : bool
        Whether an image's share depends on that image alone.
    least : float
        No value is below; nor is any above 1.
    """

    name: str
    title: str
    unit: int
    tasks: tuple[str, ...]
    share: Callable[[Scores, NDArray[Any]], Shares]
    alone: bool = False
    least: float = 0.0

    def show(self, value: float) -> str:
        """A value without its unit: percent with two digits, or three digits."""
        return f"{100 * value:.2f}" if self.unit == 100 else f"{value:.3f}"

    def shorten(self, value: float) -> str:
        """The same, of percent with one digit."""
        return f"{100 * value:.1f}" if self.unit == 100 else self.show(value)

    def clip(self, estimate: Estimate) -> Estimate:
        """An estimate whose interval ends where values do."""
        return Estimate(*(min(max(value, self.least), 1.0) for value in estimate))

    @property
    def heading(self) -> str:
        """Its title at the beginning of a sentence."""
        return self.title if self.title[1].isupper() else self.title[0].upper() + self.title[1:]

    @property
    def suffix(self) -> str:
        """What stands behind a value."""
        return " %" if self.unit == 100 else ""


def share_hits(scores: Scores, y: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the highest score is the label's."""
    return np.asarray(scores.argmax(1) == y)


def share_balanced(scores: Scores, y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over the classes that have images of the accuracy within each: every class weighs alike."""
    hit, count = share_hits(scores, y), np.bincount(y, minlength=scores.shape[1])
    within = np.bincount(y, hit, minlength=len(count)) / count.clip(1)
    seen = count > 0
    return np.asarray(within[seen].mean() + (hit - within[y]) * (len(y) / (count[y] * seen.sum())))


def share_f1(scores: Scores, y: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of the highest scores, the mean over classes that are a label or an answer."""
    guess, k = scores.argmax(1), scores.shape[1]
    hits = np.bincount(y[guess == y], minlength=k)
    size = np.bincount(y, minlength=k) + np.bincount(guess, minlength=k)  # 2 TP + FP + FN
    seen = size > 0
    f1 = np.divide(2.0 * hits, size, out=np.zeros(k), where=seen)

    def without(cls: NDArray[np.int64], hit: NDArray[np.bool_], less: NDArray[np.int64]) -> NDArray[np.float64]:
        """F1 of a class with one image less, which was counted ``less`` times in its size."""
        rest = size[cls] - less
        return np.asarray(np.divide(2.0 * (hits[cls] - hit), rest, out=np.zeros(len(cls)), where=rest > 0))

    right = guess == y
    # Classes that are gone with the image are counted on: one image decides neither the mean's size nor its value.
    change = without(y, right, 1 + right) - f1[y]
    change += np.where(
        right, 0.0, without(guess, np.zeros(len(y), np.bool_), np.ones(len(y), np.int64)) - f1[guess]
    )
    return _centre(float(f1[seen].mean()), change / seen.sum())


def share_kappa(scores: Scores, y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Quadratic kappa of the highest scores (Cohen 1968), classes being places 0 to K - 1 of an order."""
    a, b = y.astype(np.float64), scores.argmax(1).astype(np.float64)
    n = len(y)
    if n < 3:
        return np.full(n, float((a == b).all()))
    # 1 - sum (a - b)^2 / (sum over all pairs (a_i - b_j)^2 / n), by moments, of all images and without each.
    whole = _kappa(n, a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum())
    rest = _kappa(
        n - 1, a.sum() - a, b.sum() - b, (a * a).sum() - a * a, (b * b).sum() - b * b, (a * b).sum() - a * b
    )
    return _centre(float(whole), rest - whole)


def _kappa(n: int, a: Any, b: Any, aa: Any, bb: Any, ab: Any) -> Any:
    observed, expected = aa + bb - 2 * ab, aa + bb - 2 * a * b / n
    safe = np.where(expected > 0, expected, 1)
    return np.where(expected > 0, 1 - observed / safe, 1.0)


def share_precision(scores: Scores, y: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision of each label's ranking, the mean over labels that some but not all images have (mAP).

    Of equal scores all rank with the last of them, as in scikit-learn.
    """
    return _mean_labels(scores, y, _precision_changes)


def share_auroc(scores: Scores, y: NDArray[Any]) -> NDArray[np.float64]:
    """Area under each class's ROC curve against all others, the mean over classes (DeLong et al. 1988).

    Of one class each, images are ranked by the log-softmax of their scores, before any temperature, as by
    scikit-learn's ``roc_auc_score(y, predict_proba(X), multi_class="ovr")``: raw scores are known up to a constant
    of each image, so that their order among images means nothing. Of several labels by the score of each.
    """
    if y.ndim == 2:
        return _mean_labels(scores, y, _area_changes)
    top = scores.max(1).astype(np.float64)
    parts = block_rows(*scores.shape)
    rest = np.concatenate([np.log(np.exp(scores[part] - top[part, None]).sum(1)) for part in parts])
    return _mean_labels(scores, y[:, None] == np.arange(scores.shape[1]), _area_changes, (top, rest))


def share_r2(scores: Scores, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - squared error over that of the mean; equal numbers, which have none, give 0 or less."""
    error, off = (scores[:, 0].astype(np.float64) - y) ** 2, (y - y.mean()) ** 2
    mean, spread = float(error.mean()), float(off.mean())
    if spread == 0:
        return np.asarray(1 - error / max(float(error.max()), 1e-300))
    # Linearised in both: a sample of other numbers has another spread, too.
    return np.asarray(1 - error / spread + mean / spread * (off / spread - 1))


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("accuracy", "accuracy", 100, ("multiclass", "ordinal"), share_hits, alone=True),
        Measure("balanced", "mean of classes", 100, ("multiclass", "ordinal"), share_balanced),
        Measure("f1", "macro F1", 100, ("multiclass", "ordinal"), share_f1),
        Measure("auroc", "AUROC", 100, ("multiclass", "ordinal", "multilabel"), share_auroc),
        Measure("kappa", "quadratic kappa", 1, ("ordinal",), share_kappa, least=-1.0),
        Measure("map", "mAP", 100, ("multilabel",), share_precision),
        Measure("r2", "R2", 1, ("regression",), share_r2, least=-np.inf),
    )
}
DEFAULTS = {"multiclass": "accuracy", "ordinal": "kappa", "multilabel": "map", "regression": "r2"}
"""The measure of each task, if no other is asked for."""


def find_measure(task: str, name: str | None = None) -> Measure:
    """The measure that is asked for, or the task's own.

    Raises
    ------
    UsageError
        If there is none of that name for the task.
    DataError
        If there are no labels.
    """
    fitting = [measure.name for measure in MEASURES.values() if task in measure.tasks]
    if not fitting:
        raise DataError(
            "found images without labels, of which no head can be fitted; expected classes or numbers: extract a "
            "folder of class folders, or a table with a column of labels."
        )
    if name is not None and name not in fitting:
        raise UsageError(f"found --metric {name!r} for {task} labels; expected one of {', '.join(fitting)}.")
    return MEASURES[name or DEFAULTS[task]]


def _centre(figure: float, change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares whose mean is the figure, of what it changes by without each image."""
    return np.asarray(figure + (len(change) - 1) * (change.mean() - change))


def _mean_labels(
    scores: Scores,
    y: NDArray[np.bool_],
    changes: Callable[[NDArray[Any], NDArray[np.bool_]], tuple[float, Any]],
    less: Sequence[NDArray[np.float64]] = (),
) -> NDArray[np.float64]:
    """Mean over labels that some but not all images have, of scores ``less`` some numbers of each image."""
    judged = [k for k in range(y.shape[1]) if 0 < y[:, k].sum() < len(y)]
    total, change = 0.0, np.zeros(len(y))
    for k in judged:
        column: NDArray[Any] = scores[:, k]
        for one in less:
            column = column - one
        figure, more = changes(column, y[:, k])
        total += figure
        change += more
    n = max(len(judged), 1)
    return _centre(total / n, change / n)


def _precision_changes(score: NDArray[Any], y: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """Average precision of one label, and what it changes by without each image; one positive's is left alone."""
    order = np.argsort(-score, kind="stable")
    s, hit = score[order], y[order].astype(np.float64)
    n, positives = len(s), hit.sum()
    last = np.searchsorted(-s, -s, side="right") - 1  # of those with an equal score
    first = np.searchsorted(-s, -s, side="left")
    rank, above = last + 1.0, np.cumsum(hit)[last]
    precision = hit * above / rank
    figure = float(precision.sum() / positives)
    # Without an image, all that rank with it or below it move up by one; without a positive they lose a hit, too.
    safe = np.maximum(rank - 1, 1)
    up, down = hit * above / safe - precision, hit * (above - 1) / safe - precision
    below_up, below_down = (np.append(np.cumsum(part[::-1])[::-1], 0.0)[first] for part in (up, down))
    own = hit * (above - 1) / safe  # the positive itself, which is no part of the rest
    rest = np.where(hit > 0, precision.sum() + below_down - own, precision.sum() + below_up)
    left = np.where(hit > 0, positives - 1, positives)
    without = np.divide(rest, left, out=np.full(n, figure), where=left > 0)
    change = np.empty(n)
    change[order] = without - figure
    return figure, change


def _area_changes(score: NDArray[Any], y: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """Area under one class's ROC curve, and what it changes by without each image."""
    negative, positive = np.sort(score[~y]), np.sort(score[y])

    def place(values: NDArray[Any], among: NDArray[Any]) -> NDArray[np.float64]:
        """Share of others that lie below each value, those that are equal by half."""
        both = np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")
        return both / (2 * len(among))

    share = np.empty(len(y))
    share[y] = place(score[y], negative)
    share[~y] = 1 - place(score[~y], positive)
    figure, size = float(share[y].mean()), np.where(y, len(positive), len(negative))
    return figure, np.where(size > 1, (figure - share) / np.maximum(size - 1, 1), 0.0)

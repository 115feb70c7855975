"""Figures of one chosen head on one split, each with its 95 % interval, and where it errs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import block_rows
from .metrics import (
    Estimate,
    bootstrap,
    calibration_error,
    log_softmax,
    top_hits,
    wilson_interval,
)


@dataclass(frozen=True)
class ClassRow:
    """One class.

    Attributes
    ----------
    name : str
    n : int
        Images of the class.
    recall : Estimate or None
        Share of them that were recognised; None without images.
    precision : float or None
        Share of the images called so that are; None if none was.
    """

    name: str
    n: int
    recall: Estimate | None
    precision: float | None


@dataclass(frozen=True)
class Confusion:
    """Two classes taken for one another: ``first`` for ``second`` in ``there`` images, ``back`` the other way."""

    first: str
    second: str
    there: int
    back: int


@dataclass(frozen=True)
class HeadFigures:
    """How a head did.

    Attributes
    ----------
    n : int
        Images.
    top1, top5 : Estimate
        Shares with Wilson intervals; top5 counts the label among the five highest scores.
    class_mean : Estimate
        Mean over the classes that have images of the accuracy within each; bootstrap interval.
    nll : Estimate
        Mean negative log-likelihood in nats; bootstrap interval.
    calibration : Estimate
        Expected calibration error, 15 bins (Guo et al. 2017, eq. 3); bootstrap interval. It is biased upwards, in
        resamples more than in the sample, so its interval may lie above it.
    temperature : float
        Divided the scores before both.
    per_class : tuple of ClassRow
        In the order of the classes.
    confused : tuple of Confusion
        The pairs most often taken for one another, most often first.
    """

    n: int
    top1: Estimate
    top5: Estimate
    class_mean: Estimate
    nll: Estimate
    calibration: Estimate
    temperature: float
    per_class: tuple[ClassRow, ...]
    confused: tuple[Confusion, ...]


def measure_head(
    scores: NDArray[np.float32],
    y: NDArray[np.int64],
    classes: Sequence[str],
    temperature: float = 1.0,
    *,
    n_confused: int = 10,
) -> HeadFigures:
    """All figures of a chosen head.

    Parameters
    ----------
    scores : float32 array, shape (n, K)
        From `heads.select.score_views` on test.
    y : int64 array, shape (n,)
    classes : sequence of str, length K
    temperature : float
        Of `fit_temperature` on val, never on the split measured here.
    n_confused : int
        Longest list of confused pairs.

    Raises
    ------
    ValueError
        If there is no image.
    """
    n, k = len(y), len(classes)
    guess = scores.argmax(1)
    correct = guess == y
    top1 = wilson_interval(int(correct.sum()), n)
    losses, confidence = _read_scores(scores, y, temperature)
    # One count for each class or pair seen, none for each of the K * K pairs: 3.8 GB at 21,843 classes.
    counts = (np.bincount(y, minlength=k), np.bincount(guess, minlength=k), np.bincount(y[correct], minlength=k))
    return HeadFigures(
        n,
        top1,
        wilson_interval(int(top_hits(scores, y, 5).sum()), n),
        bootstrap(lambda weight: _class_mean(correct, y, weight, k), n),
        bootstrap(lambda weight: float(weight @ losses) / n, n),
        bootstrap(lambda weight: calibration_error(confidence, correct, weight), n),
        temperature,
        tuple(_class_row(name, *map(int, row)) for name, *row in zip(classes, *counts, strict=True)),
        _list_confused(y, guess, classes, n_confused),
    )


def _read_scores(
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


def _class_row(name: str, n: int, called: int, hits: int) -> ClassRow:
    return ClassRow(name, n, wilson_interval(hits, n) if n else None, hits / called if called else None)


def _list_confused(
    y: NDArray[np.int64], guess: NDArray[np.int64], classes: Sequence[str], length: int
) -> tuple[Confusion, ...]:
    y, guess = y[y != guess], guess[y != guess]
    codes, pair = np.unique(np.minimum(y, guess) * len(classes) + np.maximum(y, guess), return_inverse=True)
    first, second = np.divmod(codes, len(classes))
    there = np.bincount(pair[y < guess], minlength=len(codes))
    back = np.bincount(pair[y > guess], minlength=len(codes))
    order = np.argsort(-(there + back), kind="stable")[:length]
    return tuple(Confusion(classes[first[i]], classes[second[i]], int(there[i]), int(back[i])) for i in order)

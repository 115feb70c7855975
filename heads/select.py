"""The one protocol of every head: fit along a path, choose on val, refit if asked, score on test once.

Test features enter `score_head` alone, which takes a head that is already chosen. Nothing here that chooses
has an argument through which a test image could reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .arrays import cut_rows
from .metrics import Estimate, compare_paired, log_softmax, read_likelihoods, smooth_loss, wilson_interval

_BLOCK = 1024  # images whose scores are in memory at once: at 21,843 classes 180 MB as float64
_NO_BETTER = 2  # coarse strengths in a row after which val has turned: a decade of DINOv2's C


# Whether each image is right, or in which share of several repeats.
Hits: TypeAlias = NDArray[np.bool_] | NDArray[np.float64]


class Head(Protocol):
    """Anything that scores classes."""

    def scores(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of ``X`` (n, D): shape (n, K)."""


class HeadPath(Protocol):
    """The heads of one training set, one for each strength; a strength is fitted at most once."""

    def head(self, strength: float) -> Head:
        """The head at ``strength``: C of a logistic path, alpha of a ridge path."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The heads of one training set, and images that judge them: val, or the part that a fold holds out.

    Attributes
    ----------
    path : HeadPath
    X : float32 array, shape (n, D) or (n, V, D)
    y : int64 array, shape (n,)
    """

    path: HeadPath
    X: NDArray[np.float32]
    y: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choice:
    """What val chose, or the images that folds held out in turn.

    Attributes
    ----------
    strength : float
        The strength with the best accuracy; of several, the one of the best likelihood (`smooth_loss`).
    heads : tuple of Head
        At that strength, one for each fold.
    val : Estimate
        Its accuracy, optimistic by being the best of several.
    correct : bool array, or float64 array, shape (n,)
        Whether each image is right, fold after fold; of several repeats how often.
    curve : dict of float to float
        Accuracy at each strength tried, in the path's order.
    note : str
        Why the search ended where it did, and whether accuracy decided.
    """

    strength: float
    heads: tuple[Head, ...]
    val: Estimate
    correct: Hits
    curve: dict[float, float]
    note: str


@dataclass(frozen=True, eq=False)
class Score:
    """A chosen head on test.

    Attributes
    ----------
    accuracy : Estimate
        Top-1 with its Wilson interval.
    correct : bool array, shape (n,)
        Whether each test image is right, in row order.
    """

    accuracy: Estimate
    correct: NDArray[np.bool_]


def score_views(head: Head, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of images seen once, ``X`` (n, D), or log of the mean probabilities of V views, (n, V, D).

    Returns
    -------
    float array, shape (n, K)
    """
    if X.ndim == 2:
        return head.scores(X)
    return np.concatenate([_mean_views(head, X[part]) for part in cut_rows(len(X), _BLOCK)])


def _mean_views(head: Head, X: NDArray[np.float32]) -> NDArray[np.float32]:
    total = sum(np.exp(log_softmax(head.scores(X[:, v]))) for v in range(X.shape[1]))
    return np.asarray(np.log(np.maximum(total / X.shape[1], 1e-300)), np.float32)


def _judge_rows(
    head: Head, X: NDArray[np.float32], y: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether each image is right (n,), and its `read_likelihoods` (3, n). No array of (n, K) is made."""
    correct, likelihoods = np.empty(len(y), np.bool_), np.empty((3, len(y)))
    for part in cut_rows(len(y), _BLOCK):
        scores = score_views(head, X[part])
        correct[part] = scores.argmax(1) == y[part]
        likelihoods[:, part] = read_likelihoods(scores, y[part])
    return correct, likelihoods


class _Curve:
    """What the judging images say along the paths, each strength scored once."""

    def __init__(self, folds: Sequence[Fold]):
        self._folds = folds
        self.correct: dict[float, NDArray[np.bool_]] = {}
        self.loss: dict[float, float] = {}  # where the path is, for the walk
        self.smooth: dict[float, float] = {}  # which of several is the likeliest, for the choice

    def visit(self, strength: float) -> None:
        if strength not in self.correct:
            parts = [_judge_rows(fold.path.head(strength), fold.X, fold.y) for fold in self._folds]
            self.correct[strength] = np.concatenate([correct for correct, _ in parts])
            likelihoods = np.concatenate([likelihoods for _, likelihoods in parts], axis=1)
            self.loss[strength], self.smooth[strength] = -float(likelihoods[0].mean()), smooth_loss(likelihoods)

    def best(self, strengths: Sequence[float]) -> float:
        """The strength right most often; of several, the likeliest, then the first in ``strengths``."""
        tried = (s for s in strengths if s in self.correct)
        return max(tried, key=lambda s: (self.correct[s].sum(), -self.smooth[s]))

    def is_worse(self, strength: float, best: float) -> bool:
        """Whether ``strength`` is worse than ``best`` beyond what chance explains at 5 %."""
        mine, its = self.correct[strength], self.correct[best]
        return bool(mine.sum() < its.sum()) and compare_paired(mine, its) < 0.05


def choose_strength(folds: Sequence[Fold], strengths: Sequence[float], *, coarse: int = 2) -> Choice:
    """The strength whose accuracy on val is best, found coarse to fine.

    Every ``coarse``-th strength is tried in order until val has clearly turned: the last was significantly
    worse than the best (McNemar, 5 %), and either its log-likelihood is past its best too or the one before was
    as much worse; or the last two were better neither in accuracy nor in log-likelihood, which still improves
    where a strong penalty leaves accuracy flat. Then the gap is halved around the best until no strength is
    left between. With ``coarse`` 1 every strength is tried.

    On DINOv2's 45 values of C a coarse step of 2 costs as many solver steps as 4 or as the whole path, whose
    warm starts are better; what the search saves is the values beyond the turn.

    Parameters
    ----------
    folds : sequence of Fold
        One for a val split; of several, all held-out images judge together.
    strengths : sequence of float
        From the most to the least regularised: warm starts follow this order.
    coarse : int
        A power of two.
    """
    curve = _Curve(folds)
    note = _walk(curve, strengths, coarse)
    step = coarse // 2
    while step:
        centre = strengths.index(curve.best(strengths))
        for near in (centre - step, centre + step):
            if 0 <= near < len(strengths):
                curve.visit(strengths[near])
        step //= 2
    best = curve.best(strengths)
    hits = {s: int(curve.correct[s].sum()) for s in strengths if s in curve.correct}
    n, alike = len(curve.correct[best]), sum(count == hits[best] for count in hits.values())
    if alike > 1:
        note += f"; {alike} of {len(hits)} are right as often, the likeliest was taken"
    accuracies = {s: count / n for s, count in hits.items()}
    heads = tuple(fold.path.head(best) for fold in folds)
    return Choice(best, heads, wilson_interval(hits[best], n), curve.correct[best], accuracies, note)


def _walk(curve: _Curve, strengths: Sequence[float], coarse: int) -> str:
    grid = strengths[::coarse]
    before = False
    for i, strength in enumerate(grid):
        curve.visit(strength)
        if coarse == 1:
            continue
        best = curve.best(grid)
        surest = min(grid[: i + 1], key=curve.loss.__getitem__)
        worse = curve.is_worse(strength, best)
        if worse and (before or curve.loss[strength] > curve.loss[surest]):
            return f"stopped at {strength:.1e}: significantly worse than {best:.1e}"
        before = worse
        last_gain = max(grid.index(best), grid.index(surest))
        if i - last_gain >= _NO_BETTER:
            return f"stopped at {strength:.1e}: no better since {grid[last_gain]:.1e}"
    return f"tried up to {grid[-1]:.1e}"


def average_repeats(choice: Choice, row: NDArray[np.int64]) -> tuple[Choice, NDArray[np.int64]]:
    """A choice among answers of which one image has several, with one share for each image; and the row ids.

    Images, not answers, are what the interval counts. The search before took answers for images, so it may end a
    little early.

    Parameters
    ----------
    choice : Choice
    row : int64 array, shape (n,)
        Row ids of ``choice.correct``.
    """
    images, place, times = np.unique(row, return_inverse=True, return_counts=True)
    if len(images) == len(row):
        return choice, row
    share = np.bincount(place, choice.correct) / times
    return replace(choice, val=wilson_interval(float(share.sum()), len(images)), correct=share), images


def score_head(head: Head, X_test: NDArray[np.float32], y_test: NDArray[np.int64]) -> Score:
    """The chosen head's accuracy on test. The only function that sees test images; call it once per choice.

    Parameters
    ----------
    head : Head
    X_test : float32 array, shape (n, D) or (n, V, D)
    y_test : int64 array, shape (n,)
    """
    correct, _ = _judge_rows(head, X_test, y_test)
    return Score(wilson_interval(int(correct.sum()), len(correct)), correct)

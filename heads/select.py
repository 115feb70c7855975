"""The one protocol of every head: fit along a path, choose on val, refit if asked, score on test once.

Test features enter `score_head` alone, which takes a head that is already chosen. Nothing here that chooses
has an argument through which a test image could reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks
from fixgrid.cache.features import FeatureSet

from .arrays import cut_rows
from .judging import Judged, judge_shares
from .measures import MEASURES, Measure, Shares
from .metrics import Estimate, compare_shares, log_softmax, read_likelihoods, read_link, smooth_loss

_BLOCK = 1024  # images whose scores are in memory at once: at 21,843 classes 180 MB as float64
_NO_BETTER = 2  # coarse strengths in a row after which val has turned: a decade of DINOv2's C


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
    y : array
        Labels, see `fixgrid.cache.rows.Rows`.
    row : int64 array, shape (n,), optional
        Which images, where some judge in several folds.
    group : int64 array, shape (n,), optional
        Images of one number belong together.
    """

    path: HeadPath
    X: NDArray[np.float32]
    y: NDArray[Any]
    row: NDArray[np.int64] | None = None
    group: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Choice:
    """What val chose, or the images that folds held out in turn.

    Attributes
    ----------
    strength : float
        The strength with the best figure; of several, the one of the best likelihood (`smooth_loss`).
    heads : tuple of Head
        At that strength, one for each fold.
    val : Estimate
        Its figure, optimistic by being the best of several.
    correct : bool array, or float64 array, shape (n,)
        Whether each image is right; of several repeats how often; of other measures each image's or group's share.
    row : int64 array, shape (n,)
        Which images or groups.
    curve : dict of float to float
        The figure at each strength tried, in the path's order.
    note : str
        Why the search ended where it did, and whether the figure decided.
    """

    strength: float
    heads: tuple[Head, ...]
    val: Estimate
    correct: Shares
    row: NDArray[np.int64]
    curve: dict[float, float]
    note: str


def score_views(head: Head, X: NDArray[np.float32], link: str = "softmax") -> NDArray[np.float32]:
    """Scores of images seen once, ``X`` (n, D), or those that give the mean answer of V views, (n, V, D).

    Parameters
    ----------
    head : Head
    X : float32 array
    link : {"softmax", "sigmoid", "identity"}
        What makes answers of scores: probabilities of one class, or of each; a number.

    Returns
    -------
    float array, shape (n, K)
    """
    if X.ndim == 2 and not isinstance(X, Blocks):
        return head.scores(X)
    see = head.scores if X.ndim == 2 else partial(_mean_views, head, link=link)
    return np.concatenate([see(X[part]) for part in cut_rows(len(X), _BLOCK)])


def _mean_views(head: Head, X: NDArray[np.float32], link: str) -> NDArray[np.float32]:
    views = [head.scores(X[:, v]) for v in range(X.shape[1])]
    if link == "identity":
        return np.asarray(sum(views) / len(views), np.float32)
    if link == "sigmoid":
        yes, no = (sum(1 / (1 + np.exp(sign * view.astype(np.float64))) for view in views) for sign in (-1, 1))
        return np.asarray(np.log(np.maximum(yes, 1e-300)) - np.log(np.maximum(no, 1e-300)), np.float32)
    total = sum(np.exp(log_softmax(view)) for view in views)
    return np.asarray(np.log(np.maximum(total / X.shape[1], 1e-300)), np.float32)


def _judge_rows(
    head: Head, X: NDArray[np.float32], y: NDArray[Any], measure: Measure
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Each image's share in the figure (n,), and its `read_likelihoods` (3, n).

    In place of shares that depend on other images, all scores (n, K); of accuracy no such array is made.
    """
    found: list[NDArray[Any]] = []
    likelihoods = np.empty((3, len(y)))
    for part in cut_rows(len(y), _BLOCK):
        scores = score_views(head, X[part], read_link(y))
        found.append(measure.share(scores, y[part]) if measure.alone else scores)
        likelihoods[:, part] = read_likelihoods(scores, y[part])
    return np.concatenate(found), likelihoods


class _Curve:
    """What the judging images say along the paths, each strength scored once."""

    def __init__(self, folds: Sequence[Fold], measure: Measure):
        self._folds, self._measure = folds, measure
        self.correct: dict[float, Shares] = {}
        self.loss: dict[float, float] = {}  # where the path is, for the walk
        self.smooth: dict[float, float] = {}  # which of several is the likeliest, for the choice

    def visit(self, strength: float) -> None:
        if strength not in self.correct:
            judged = [_judge_rows(fold.path.head(strength), fold.X, fold.y, self._measure) for fold in self._folds]
            found = np.concatenate([one for one, _ in judged])
            if not self._measure.alone:
                found = self._measure.share(found, np.concatenate([fold.y for fold in self._folds]))
            likelihoods = np.concatenate([likelihoods for _, likelihoods in judged], axis=1)
            self.correct[strength] = found
            self.loss[strength], self.smooth[strength] = -float(likelihoods[0].mean()), smooth_loss(likelihoods)

    def figure(self, strength: float) -> float:
        """The figure at a strength; those that differ by rounding are equal."""
        return round(float(self.correct[strength].mean()), 12)

    def best(self, strengths: Sequence[float]) -> float:
        """The strength of the best figure; of several, the likeliest, then the first in ``strengths``."""
        tried = (s for s in strengths if s in self.correct)
        return max(tried, key=lambda s: (self.figure(s), -self.smooth[s]))

    def is_worse(self, strength: float, best: float) -> bool:
        """Whether ``strength`` is worse than ``best`` beyond what chance explains at 5 %."""
        mine, its = self.correct[strength], self.correct[best]
        return self.figure(strength) < self.figure(best) and compare_shares(mine, its) < 0.05


def choose_strength(
    folds: Sequence[Fold],
    strengths: Sequence[float],
    *,
    coarse: int = 2,
    measure: Measure = MEASURES["accuracy"],
    tell: Callable[[int], None] | None = None,
) -> Choice:
    """The strength whose figure on val is best, found coarse to fine.

    Every ``coarse``-th strength is tried in order until val has clearly turned: the last was significantly
    worse than the best (McNemar or paired t, 5 %), and either its log-likelihood is past its best too or the one
    before was as much worse; or the last two were better neither in the figure nor in log-likelihood, which still
    improves where a strong penalty leaves the figure flat. Then the gap is halved around the best until no strength
    is left between. With ``coarse`` 1 every strength is tried.

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
    measure : Measure
        The figure.
    tell : callable, optional
        Is told how many of every ``coarse``-th strength are tried.
    """
    curve = _Curve(folds, measure)
    note = _walk(curve, strengths, coarse, tell)
    step = coarse // 2
    while step:
        centre = strengths.index(curve.best(strengths))
        for near in (centre - step, centre + step):
            if 0 <= near < len(strengths):
                curve.visit(strengths[near])
        step //= 2
    best = curve.best(strengths)
    figures = {s: curve.figure(s) for s in strengths if s in curve.correct}
    alike = sum(figure == figures[best] for figure in figures.values())
    if alike > 1:
        note += f"; {alike} of {len(figures)} are {'right as often' if measure.alone else 'as good'}, "
        note += "the likeliest was taken"
    judged = judge_shares(measure, curve.correct[best], *_join_names(folds))
    heads = tuple(fold.path.head(best) for fold in folds)
    return Choice(best, heads, judged.figure, judged.share, judged.unit, figures, note)


def _join_names(folds: Sequence[Fold]) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Row ids of the images that judge, fold after fold, and their groups."""
    groups = [fold.group for fold in folds if fold.group is not None]
    rows = [fold.row for fold in folds if fold.row is not None]
    row = np.concatenate(rows) if rows else np.arange(sum(len(fold.y) for fold in folds))
    return row, np.concatenate(groups) if groups else None


def _walk(curve: _Curve, strengths: Sequence[float], coarse: int, tell: Callable[[int], None] | None) -> str:
    grid = strengths[::coarse]
    before = False
    for i, strength in enumerate(grid):
        if tell is not None:
            tell(i)
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


def score_head(
    head: Head, X_test: NDArray[np.float32], test: FeatureSet, measure: Measure = MEASURES["accuracy"]
) -> Judged:
    """The chosen head's figure on test. The only function that sees test images; call it once per choice.

    Parameters
    ----------
    head : Head
    X_test : float32 array, shape (n, D) or (n, V, D)
        The images of ``test`` as the head takes them.
    test : FeatureSet
    measure : Measure
    """
    found, _ = _judge_rows(head, X_test, test.y, measure)
    share = found if measure.alone else measure.share(found, test.y)
    return judge_shares(measure, share, test.row, test.group)

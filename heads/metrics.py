"""Figures about predictions, each with its 95 % interval, and the test that tells a win from a tie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Z95 = 1.959963984540054  # 97.5 % point of the normal distribution
_EXACT_UP_TO = 1000  # discordant pairs; above, the normal approximation is within .001 of the exact p
_RESAMPLES = 1000
BINS = 15  # of confidence, as Guo et al. 2017 have


class Estimate(NamedTuple):
    """A figure with the ends of its 95 % interval, NaN where there is none."""

    value: float
    low: float
    high: float

    def record(self) -> dict[str, float | None]:
        """As JSON values: None in place of ends that there are not."""
        return {name: None if math.isnan(end) else end for name, end in self._asdict().items()}


def wilson_interval(hits: float, n: float) -> Estimate:
    """A proportion with its score interval (Wilson 1927).

    Raises
    ------
    ValueError
        If ``n`` is 0.
    """
    if n == 0:
        raise ValueError("no predictions to score")
    p, z2 = hits / n, Z95 * Z95 / n
    centre = (p + z2 / 2) / (1 + z2)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / n / 4) / (1 + z2)
    return Estimate(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))  # but for rounding


def t_interval(values: Sequence[float]) -> Estimate:
    """The mean of independent draws with its interval by Student's t: what another such mean would be.

    Raises
    ------
    ValueError
        If there are fewer than 2.
    """
    if len(values) < 2:
        raise ValueError("no spread of one draw")
    mean, n = float(np.mean(values)), len(values)
    half = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(n))
    return Estimate(mean, mean - half, mean + half)


def compare_paired(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """p of McNemar's two-sided test that two heads are right equally often on the same images.

    Exact binomial on the images where just one of them is right (McNemar 1947); with more than 1,000 of
    those, the normal approximation with continuity correction.

    Parameters
    ----------
    first, second : bool arrays, shape (n,)
        Whether each head is right on each image, in one order.
    """
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    n, k = only_first + only_second, min(only_first, only_second)
    if n > _EXACT_UP_TO:
        return math.erfc(max(0, n - 2 * k - 1) / math.sqrt(2 * n))
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(Fraction(2 * tail, 2**n)))


def compare_shares(first: NDArray[Any], second: NDArray[Any]) -> float:
    """p that two heads are equally good on the same images, of the share that each image has in their figures.

    `compare_paired` where images are right or wrong; else Student's paired t.

    Parameters
    ----------
    first, second : bool or float64 arrays, shape (n,)
    """
    if all(np.isin(one, (0, 1)).all() for one in (first, second)):
        return compare_paired(first > 0, second > 0)
    change = first.astype(np.float64) - second
    n, mean, spread = len(change), float(change.mean()), float(change.std(ddof=1)) if len(change) > 1 else 0.0
    if spread == 0 or n < 2:
        return 1.0 if n < 2 or mean == 0 else 0.0
    return float(2 * stdtr(n - 1, -abs(mean) / (spread / math.sqrt(n))))


def top_hits(scores: NDArray[np.float32], y: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Whether the label is among the ``k`` highest of ``scores`` (n, K): bool, shape (n,).

    A class that ties with the label counts as ahead of it, so constant scores are not perfect.
    """
    own = scores[np.arange(len(y)), y][:, None]
    ahead: NDArray[np.int64] = (scores >= own).sum(1) - 1
    return ahead < k


def log_softmax(scores: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Log-probabilities of ``scores / temperature``: float64, shape (n, K)."""
    Z = scores.astype(np.float64) / temperature
    Z -= Z.max(1, keepdims=True)
    Z -= np.log(np.exp(Z).sum(1, keepdims=True))
    return Z


def log_chances(scores: NDArray[np.float32], link: str, temperature: float = 1.0) -> NDArray[np.float64]:
    """Log-probabilities of ``scores / temperature`` (n, K): a softmax, or a ``sigmoid`` of each."""
    if link == "sigmoid":
        return -np.logaddexp(0, -scores.astype(np.float64) / temperature)
    return log_softmax(scores, temperature)


def read_link(y: NDArray[Any]) -> str:
    """What makes answers of scores, by what the labels are: ``softmax`` of one class, ``sigmoid``, ``identity``."""
    return "sigmoid" if y.ndim == 2 else "identity" if y.dtype.kind == "f" else "softmax"


def read_likelihoods(scores: NDArray[np.float32], y: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float64]:
    """Log-probability of each row's label, of its most probable class, and of all other classes than that.

    Of several labels the means over labels, each of them being two classes; of numbers minus the squared error,
    and twice 0.

    Parameters
    ----------
    scores : float32 array, shape (n, K)
    y : array
        Labels, see `fixgrid.cache.rows.Rows`.
    temperature : float
        Divides the scores.

    Returns
    -------
    float64 array, shape (3, n)
    """
    link = read_link(y)
    if link == "identity":
        error = (scores[:, 0].astype(np.float64) - y) ** 2
        return np.stack([-error, np.zeros(len(y)), np.zeros(len(y))])
    if link == "sigmoid":
        Z = scores.astype(np.float64) / temperature
        sure = np.abs(Z)
        top = -np.log1p(np.exp(-sure))
        return np.stack([np.where((Z > 0) == y, top, top - sure).mean(1), top.mean(1), (top - sure).mean(1)])
    rows, best = np.arange(len(y)), scores.argmax(1)
    Z = scores.astype(np.float64) / temperature
    Z -= Z[rows, best][:, None]
    label = Z[rows, y]
    np.exp(Z, out=Z)
    Z[rows, best] = 0
    others = Z.sum(1)
    total = np.log1p(others)
    return np.stack([label - total, -total, np.log(np.maximum(others, 1e-300)) - total])


def smooth_loss(likelihoods: NDArray[np.float64]) -> float:
    """Mean negative log-likelihood, nats, as if the head had been right once more and wrong once more.

    Both with the confidence of an average answer: Laplace's rule of succession, by which Platt (1999) has targets
    of (n + 1) / (n + 2). Without it a head that makes no error on few images is the better the surer it is,
    without end.

    Parameters
    ----------
    likelihoods : float64 array, shape (3, n)
        Of `read_likelihoods`.
    """
    label, top, others = likelihoods
    return -float(label.sum() + top.mean() + others.mean()) / (len(label) + 2)


def fit_temperature(scores: NDArray[np.float32], y: NDArray[Any]) -> float:
    """The temperature of ``scores`` (Guo et al. 2017): likeliest by `smooth_loss` and by a prior a decade wide.

    The prior, log-normal about 1, weighs as much as one image; without it the temperature of scores that are no
    better than chance has no end. A golden-section search over log temperature in [1e-3, 1e3]. Of numbers 1.
    """
    if read_link(y) == "identity":
        return 1.0

    def loss(log_t: float) -> float:
        prior = (log_t / math.log(10)) ** 2 / 2 / (len(y) + 2)
        return smooth_loss(read_likelihoods(scores, y, math.exp(log_t))) + prior

    low, high, golden = math.log(1e-3), math.log(1e3), (math.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return math.exp((low + high) / 2)


def fit_thresholds(logits: NDArray[np.float32], y: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The probability from which each label is given so that its F1 is best, halfway to the next lower one.

    Parameters
    ----------
    logits : float32 array, shape (n, K)
    y : bool array, shape (n, K)

    Returns
    -------
    float32 array, shape (K,)
        .5 for a label that no image has.
    """
    found = np.full(y.shape[1], 0.5, np.float32)
    for k in np.flatnonzero(y.any(0)):
        order = np.argsort(-logits[:, k], kind="stable")
        chance = np.exp(log_chances(logits[order, k], "sigmoid"))
        lower = np.append(chance[1:], 0)
        cut = ((chance + lower) / 2).astype(np.float32)
        cut = np.where(cut > chance, np.nextafter(cut, np.float32(0)), cut)  # rounded up, as to 1
        f1 = 2 * np.cumsum(y[order, k]) / (np.arange(1, len(y) + 1) + y[:, k].sum())
        f1[:-1][cut[:-1] <= chance[1:]] = 0  # what float32 cannot part is given or not together
        found[k] = cut[f1.argmax()]
    return found


def calibration_error(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], weight: NDArray[np.float64]
) -> float:
    """Expected calibration error over `BINS` equal-width bins of confidence (Guo et al. 2017, eq. 3).

    Parameters
    ----------
    confidence : float64 array, shape (n,)
        Probability of the predicted class.
    correct : bool array, shape (n,)
    weight : float64 array, shape (n,)
        How often each image counts.
    """
    index = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gap = np.bincount(index, weights=weight * (correct - confidence), minlength=BINS)
    return float(abs(gap).sum() / weight.sum())


def bootstrap(
    figure: Callable[[NDArray[np.float64]], float],
    n: int,
    group: NDArray[np.int64] | None = None,
    *,
    centred: bool = False,
) -> Estimate:
    """A figure of weighted images with its percentile interval over 1,000 resamples of them, or of their groups.

    The interval holds the figure.

    Parameters
    ----------
    figure : callable
        From the images' weights, float64 (n,), to the figure.
    n : int
    group : int64 array, shape (n,), optional
        Images of one number are drawn together.
    centred : bool
        Take off both ends what the resamples' mean has more than the figure, the bootstrap's estimate of bias
        (Efron & Tibshirani 1993, ch. 10): what chance raises in a sample, as gaps, it raises again in resamples.
    """
    value, draws = figure(np.ones(n)), np.array([figure(weight) for weight in draw_weights(n, group)])
    low, high = map(float, np.percentile(draws, [2.5, 97.5]))
    if centred:
        bias = float(draws.mean()) - value
        low, high = max(0.0, low - bias), high - bias
    return Estimate(value, min(value, low), max(value, high))


def draw_weights(n: int, group: NDArray[np.int64] | None = None) -> Iterator[NDArray[np.float64]]:
    """How often each of n images is in each of 1,000 resamples, of them or of their groups: float64 arrays, (n,).

    They add up to n, so that means may divide by it.
    """
    rng = np.random.default_rng(0)
    member = np.arange(n) if group is None else np.unique(group, return_inverse=True)[1]
    m = int(member.max()) + 1
    for _ in range(_RESAMPLES):
        weight = rng.multinomial(m, np.full(m, 1 / m)).astype(np.float64)[member]
        yield weight if group is None else weight * (n / weight.sum())

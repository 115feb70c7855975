"""How many labels are drawn at random, and how likely each of them is, by what heads say.

A label is drawn from the probabilities p of a head that did not learn from it, or, in a share e of all cases, is
any of the other classes alike: ``P(given) = (1 - e) p + e (1 - p) / (K - 1)`` (symmetric noise, Angluin & Laird
1988; of two classes Copas 1988). The share and the temperature of p are the likeliest together, so that a head's
own mistakes are not counted; nor are labels exchanged between classes that it takes for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from .arrays import powers_of_ten
from .metrics import Estimate, log_chances, log_softmax

_TEMPERATURES = powers_of_ten(-0.75, 0.75, 31)
_LEAST = 1e-30  # a probability whose logarithm is to be finite
_HALF_CHI2 = 1.9207294  # half the 95 % point of chi-square with one degree of freedom


class Noise(NamedTuple):
    """Labels that are drawn at random.

    Attributes
    ----------
    share : Estimate
        Of all labels, with its 95 % profile likelihood interval.
    temperature : float
        Of the head's scores.
    """

    share: Estimate
    temperature: float


def read_chances(scores: NDArray[np.float32], y: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """Probability of each label as it is given: shape (n,), or (n, K) of several labels.

    Parameters
    ----------
    scores : float32 array, shape (n, K)
    y : array
        int64 (n,) of one class, bool (n, K) of several labels.
    temperature : float
    """
    if y.ndim == 2:
        return np.exp(log_chances(np.where(y, scores, -scores), "sigmoid", temperature))
    own: NDArray[np.float64] = np.exp(log_softmax(scores, temperature)[np.arange(len(y)), y])
    return own


def fit_noise(scores: NDArray[np.float32], y: NDArray[Any], judged: NDArray[np.bool_] | None = None) -> Noise:
    """The likeliest share of labels drawn at random, as if one more label had been seen to be right.

    Parameters
    ----------
    scores : float32 array, shape (n, K)
        Of heads that did not learn from these labels.
    y : array
        See `read_chances`.
    judged : bool array, shape of y, optional
        Which labels count.
    """
    mine = np.ones(y.shape, bool) if judged is None else judged
    if not mine.any():
        return Noise(Estimate(0.0, 0.0, 1.0), 1.0)
    own = np.empty((len(_TEMPERATURES), int(mine.sum())), np.float32)
    for chances, temperature in zip(own, _TEMPERATURES, strict=True):
        chances[:] = read_chances(scores, y, temperature)[mine]
    others = _count_others(scores, y)

    def fit(chances: NDArray[np.float32], share: float) -> float:
        change = (1 - chances) / others - chances
        return float(np.log(chances.clip(_LEAST) + np.float32(share) * change).sum(dtype=np.float64))

    def gain(share: float) -> float:
        return max(fit(chances, share) for chances in own) + float(np.log1p(-share))

    most = others / (others + 1)  # of more, labels say less than nothing
    best = float(minimize_scalar(lambda share: -gain(share), bounds=(0, most), method="bounded").x)
    peak = max(gain(best), gain(0.0))
    best = best if gain(best) > gain(0.0) else 0.0

    def lack(share: float) -> float:
        return peak - gain(share) - _HALF_CHI2

    low = brentq(lack, 0, best) if lack(0) > 0 else 0.0
    high = brentq(lack, best, most) if lack(most) > 0 else most
    fits = [fit(chances, best) for chances in own]
    return Noise(Estimate(best, float(low), float(high)), _TEMPERATURES[int(np.argmax(fits))])


def doubt_labels(scores: NDArray[np.float32], y: NDArray[Any], noise: Noise) -> NDArray[np.float64]:
    """Probability that each label was drawn at random, by the model above: shape of ``y``."""
    own = read_chances(scores, y, noise.temperature)
    wrong = noise.share.value * (1 - own) / _count_others(scores, y)
    return np.asarray(wrong / (wrong + (1 - noise.share.value) * own).clip(_LEAST))


def join_shares(shares: Sequence[Estimate], counts: Sequence[int]) -> Estimate:
    """The share among all of several sets of labels, each fitted by itself.

    The ends of its interval are as far off as those of all sets together, squared and summed (MOVER, Zou & Donner
    2008).

    Parameters
    ----------
    shares : sequence of Estimate
    counts : sequence of int
        Labels of each set; at least one in all.
    """
    weight = np.array(counts) / sum(counts)
    value, low, high = np.array(shares).T
    best = float(weight @ value)
    below, above = (float(np.linalg.norm(weight * (value - end))) for end in (low, high))
    return Estimate(best, max(0.0, best - below), min(1.0, best + above))


def _count_others(scores: NDArray[np.float32], y: NDArray[Any]) -> int:
    """Classes that a label may be drawn from."""
    return 1 if y.ndim == 2 else max(scores.shape[1] - 1, 1)

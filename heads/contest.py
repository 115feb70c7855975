"""Which of many heads the same images tell apart, and how much the best of them owes to luck. Pure arithmetic.

Heads that were tried on one set of images are right and wrong on the same ones, so their accuracies move
together: resampling the images keeps that, where a correction for the number of comparisons alone (Bonferroni,
Holm) would not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .measures import Shares
from .metrics import compare_shares

_RESAMPLES = 2000


def compare_with(correct: Shares, best: int, *, chosen_here: bool) -> NDArray[np.float64]:
    """p that each head is as good as one of them, corrected for the number of comparisons.

    The largest standardised difference among all that are compared, over 2,000 resamples of the images, is what
    one of them must exceed (Westfall & Young 1993, single-step maxT; Romano & Wolf 2005). A difference's standard
    error is that of McNemar's table with one more discordant image (after Agresti & Min 2005). No p is below that
    of McNemar's exact test, or Student's paired one, of the two alone, so that few images tell nothing.

    Parameters
    ----------
    correct : bool array, shape (n, k)
        Whether each of k heads is right on each of n images; or float64, its share in the head's figure, as
        `heads.measures.Judged` has it: of an image or a group.
    best : int
        The head that the others are compared with.
    chosen_here : bool
        Whether these images made it the best: any of the k (k - 1) / 2 pairs could then have been the one that is
        looked at, and all of them count. Otherwise the k - 1 pairs with ``best`` do.

    Returns
    -------
    float64 array, shape (k,)
        In (0, 1]; 1 for ``best`` itself.
    """
    n, k = correct.shape
    C = _level(correct)
    moved = _resample(n) @ C / n - C.mean(0)
    errors = _standard_errors(correct)
    largest = np.zeros(len(moved), np.float32)
    for one in range(k) if chosen_here else (best,):
        np.maximum(largest, (np.abs(moved - moved[:, one, None]) / errors[one]).max(1), out=largest)
    found = np.abs(C.mean(0) - C[:, best].mean()) / errors[best]
    above = np.array([(largest >= value - 1e-6).sum() for value in found])
    alone = [compare_shares(correct[:, one], correct[:, best]) for one in range(k)]
    return np.maximum((1.0 + above) / (1 + len(largest)), alone)


def estimate_optimism(correct: Shares) -> float:
    """By how much the best accuracy of k heads exceeds what that head is worth, because it is the best of k.

    The best head of a resample is scored on the images that the resample left out, 2,000 times: what remains of the
    best accuracy is an estimate without that luck (BBC-CV, Tsamardinos, Greasidou & Borboudakis 2018).

    Parameters
    ----------
    correct : bool array, shape (n, k)

    Returns
    -------
    float
        At least 0.
    """
    n, _ = correct.shape
    C, weights = correct.astype(np.float32), _resample(n)
    left_out = (weights == 0).astype(np.float32)
    counts = left_out.sum(1)
    winners = (weights @ C).argmax(1)
    worth = np.take_along_axis(left_out @ C, winners[:, None], 1)[:, 0][counts > 0] / counts[counts > 0]
    return max(0.0, float(C.mean(0).max() - worth.mean())) if len(worth) else 0.0


def find_resolution(correct: Shares, best: int) -> float:
    """The difference of accuracy that these images could tell between the best of k heads and another of them.

    Parameters
    ----------
    correct : bool array, shape (n, k)
    best : int

    Returns
    -------
    float
        For half of the others, at 5 % and without any correction: the least that is possible.
    """
    errors = np.delete(_standard_errors(correct)[best], best)
    return 1.96 * float(np.median(errors)) if len(errors) else 0.0


def _resample(n: int) -> NDArray[np.float32]:
    """How often each of n images is in each resample: float32, shape (resamples, n); the same for the same n."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), _RESAMPLES).astype(np.float32)


def _level(correct: Shares) -> NDArray[np.float32]:
    """The same differences between heads, in float32 without loss of digits."""
    if correct.dtype == np.bool_:
        return correct.astype(np.float32)
    return np.asarray(correct - correct.mean(1, keepdims=True), np.float32)


def _standard_errors(correct: Shares) -> NDArray[np.float32]:
    """Of the difference of each pair of heads' figures: shape (k, k)."""
    C, n = _level(correct), len(correct)
    both, hits = C.T @ C, C.sum(0)
    squares = both.diagonal()  # the hits themselves, unless an image's answers are shares
    discordant = squares[:, None] + squares[None, :] - 2 * both
    difference = hits[:, None] - hits[None, :]
    # One more image: one that is right and wrong, or like the one in which the two differ most.
    more = 1.0 if correct.dtype == np.bool_ else np.stack([((C.T - row) ** 2).max(1) for row in C.T])
    return np.asarray(np.sqrt(np.maximum(discordant + more - difference**2 / n, 1e-24)) / n, np.float32)

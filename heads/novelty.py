"""How strange an image is to a head: an unknown-class score, calibrated on val, and the shift of many images.

An image's novelty is one less the cosine of its features with the nearest class mean of the training images. Its
p-value is the share of val's images that are at least as strange (Bates et al. 2023): of images of known classes,
a share of 5 % is called unknown at .05, whatever the trunk.

It stores no more than the head does, and of nine scores was the best, or within .01 of neighbours, which store
all training features. By the features of `efficientnet_lite0`, of breeds that a head of 20 had not learnt, AUROC
is .85, and half of them are called unknown at .05 (ten nearest neighbours, Sun et al. 2022: .84; ViM, Wang et al.
2022: .80; energy, Liu et al. 2020, and relative Mahalanobis, Ren et al. 2021: .78; maximum softmax, Hendrycks &
Gimpel 2017: .72). Of dogs, by a head of three flowers, 99 % are called unknown at .05 (neighbours 100 %, ViM 85
%, relative Mahalanobis 59 %, energy 46 %, softmax 30 %).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fixgrid.cache.errors import UsageError

from .arrays import add_by_label, cut_rows
from .judging import estimate_rate
from .knn import unit_rows
from .metrics import Estimate

LEVEL = 0.05
"""Share of the images of known classes that are called unknown."""
_SURE, _STRONG = 0.01, 0.001  # p from which images are said to be unlike val's, asked or not
_BINS = 10  # of numbers, which have no classes


def find_means(X: NDArray[np.float32], y: NDArray[Any], n_classes: int) -> NDArray[np.float32]:
    """Mean features of the images of each class, or of each label, or of each tenth of the numbers.

    Parameters
    ----------
    X : float32 array, shape (n, D)
    y : array
        Labels, see `fixgrid.cache.rows.Rows`.
    n_classes : int

    Returns
    -------
    float32 array, shape (P, D)
        Of those that have images.
    """
    if y.dtype.kind == "f":
        n_classes = min(_BINS, len(y))
        y = np.argsort(np.argsort(y, kind="stable"), kind="stable") * n_classes // len(y)
    total: NDArray[np.float64] = np.zeros((n_classes, X.shape[1]))
    for part in cut_rows(len(y)):
        if y.ndim == 2:
            total += y[part].T.astype(np.float32) @ X[part]
        else:
            add_by_label(total, X[part], y[part])
    count = y.sum(0) if y.ndim == 2 else np.bincount(y, minlength=n_classes)
    return np.asarray(total[count > 0] / count[count > 0, None], np.float32)


def rate_novelty(means: NDArray[np.float32], X: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strange images are: one less the cosine with the nearest of ``means``, of several views on average.

    Parameters
    ----------
    means : float32 array, shape (P, D)
        Of unit length.
    X : float32 array, shape (n, D) or (n, V, D)

    Returns
    -------
    float32 array, shape (n,)
        0 to 2.
    """
    found = np.empty(len(X), np.float32)
    for part in cut_rows(len(X), 1024):
        cosine = (unit_rows(X[part]) @ means.T).max(-1)
        found[part] = 1 - (cosine if X.ndim == 2 else cosine.mean(1))
    return found


def find_p(known: NDArray[np.float32], novelty: NDArray[np.float32]) -> NDArray[np.float64]:
    """The p-value of each image, if it is like val's: (1 + number of val's at least as strange) / (n + 1).

    Parameters
    ----------
    known : float32 array, shape (n,)
        Novelty of val, ascending.
    novelty : float32 array, shape (m,)

    Returns
    -------
    float64 array, shape (m,)
        1 / (n + 1) to 1.
    """
    n = len(known)
    return np.asarray((1 + n - np.searchsorted(known, novelty, side="left")) / (n + 1))


def expect_level(n: int, level: float) -> None:
    """Check that p-values of ``n`` images of val can be as low as ``level``.

    Raises
    ------
    UsageError
        If they cannot: no image would ever be called unknown.
    """
    if level * (n + 1) < 1 - 1e-9:
        raise UsageError(
            f"found --unknown {level:g}; expected at least {math.ceil(1e4 / (n + 1)) / 1e4:g}, which is what the "
            f"{n} images that chose the head can tell."
        )


class Shift(NamedTuple):
    """How images lie against val's.

    Attributes
    ----------
    stranger : Estimate
        Share of them that are stranger than 95 % of val's.
    half : float
        Share that is stranger than half of val's.
    p : float
        That they are no stranger than val's: one-sided rank test (Mann & Whitney 1947).
    """

    stranger: Estimate
    half: float
    p: float

    @property
    def is_sure(self) -> bool:
        """Whether they are stranger beyond what chance explains at 1 %."""
        return self.p < _SURE

    @property
    def is_strong(self) -> bool:
        """Whether that is so at .1 %, of twice as many images as expected: worth a note to who did not ask."""
        return self.p < _STRONG and self.stranger.value > 2 * LEVEL

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {"stranger": self.stranger._asdict(), "half": self.half, "p": self.p}

    def describe(self) -> str:
        """In words."""
        p = "p < .001" if self.p < 0.001 else f"p {self.p:.3f}".replace("0.", ".")
        said = "they are unlike the images that the head knows" if self.is_sure else "not told from chance at 1 %"
        stranger, low, high = (100 * value for value in self.stranger)
        return (
            f"shift: {stranger:.1f} % [{low:.1f}, {high:.1f}] of these images are stranger than 95 % of val's (5 % "
            f"expected), {100 * self.half:.0f} % than half of them; {said} ({p})"
        )


def count_alone(group: NDArray[np.int64]) -> float:
    """How many images by themselves tell as much as those of groups, were all of a group alike (Kish 1965)."""
    size = np.unique(group, return_counts=True)[1]
    return float(size.sum() ** 2 / (size**2).sum())


def measure_shift(
    p: NDArray[np.float64], n: int, group: NDArray[np.int64] | None = None, alone: float | None = None
) -> Shift | None:
    """How images lie against the ``n`` of val, of their p-values (m,); None if val has too few images to tell.

    Of images in groups the test counts as many as `count_alone` has. Of 300 splits of 1,497 photographs dealt anew
    it alarmed in 4 % at p .05 and in .7 % at .01. Of 100 draws of 20 photographs blurred by 2 px it noticed 96 at
    .01, a test of the share above 95 % but 41, that of Kolmogorov and Smirnov 80.

    Parameters
    ----------
    p : float64 array, shape (m,)
        Of `find_p`; at least one.
    n : int
    group : int64 array, shape (m,), optional
    alone : float, optional
        How many images by themselves tell as much as the ``n``, where these are grouped.
    """
    if LEVEL * (n + 1) < 1:
        return None
    m, known = len(p) if group is None else count_alone(group), alone or n
    above = 1 - (p * (n + 1) - 1) / n  # share of val's that an image is stranger than
    z = (above.mean() - 0.5) / math.sqrt((known + m + 1) / (12 * known * m))
    return Shift(estimate_rate(p <= LEVEL, group), float((above > 0.5).mean()), float(ndtr(-z)))

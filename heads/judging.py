"""What images say of a head: its figure with an interval, and the share of each image or group in it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .measures import Measure, Shares
from .metrics import Estimate, bootstrap, wilson_interval


class Judged(NamedTuple):
    """What some images say of a head.

    Attributes
    ----------
    figure : Estimate
        With its 95 % interval: Wilson's where images are right or wrong, each by itself; else percentiles of 1,000
        resamples, of groups where there are any, but where all are alike (`settle_interval`).
    share : bool or float64 array, shape (m,)
        Of each image or group in the figure.
    unit : int64 array, shape (m,)
        Row ids of the images, or numbers of the groups.
    """

    figure: Estimate
    share: Shares
    unit: NDArray[np.int64]


def judge_shares(
    measure: Measure, share: Shares, row: NDArray[np.int64], group: NDArray[np.int64] | None = None
) -> Judged:
    """The figure of some images' shares; see `join_units`.

    Raises
    ------
    ValueError
        If there are none.
    """
    share, unit = join_units(share, row, group)
    return Judged(estimate_figure(measure, share, grouped=group is not None), share, unit)


def estimate_figure(measure: Measure, share: Shares, *, grouped: bool = False) -> Estimate:
    """The figure of shares of images, or of groups, with its interval; see `Judged`."""
    n = len(share)
    if measure.alone and not grouped:
        return wilson_interval(float(share.sum()), n)
    if not n:
        raise ValueError("no predictions to score")
    return settle_interval(bootstrap(lambda weight: float(weight @ share) / n, n), n, measure.least)


def settle_interval(estimate: Estimate, n: int, least: float = 0.0, most: float = 1.0) -> Estimate:
    """An estimate of resamples whose interval ends where values do, and is not of no width.

    Where all that is resampled is alike, resamples are, too, which says nothing of others. A figure with bounds
    then has Wilson's interval of a share, which is its place between them; one without bounds has no interval.

    Parameters
    ----------
    estimate : Estimate
    n : int
        Images, or groups.
    least, most : float
        Bounds of the figure, maybe infinite.
    """
    value, low, high = (min(max(end, least), most) for end in estimate)
    span = most - least
    bounded = math.isfinite(span)
    scale = span if bounded else max(abs(value), most if most < math.inf else 0)
    if high - low > 1e-12 * scale:  # but for rounding
        return Estimate(value, low, high)
    if not bounded:
        return Estimate(value, math.nan, math.nan)
    if span == 0:
        return Estimate(value, value, value)
    _, low, high = wilson_interval(n * (value - least) / span, n)
    return Estimate(value, min(value, least + span * low), max(value, least + span * high))


def estimate_rate(hits: NDArray[np.bool_], group: NDArray[np.int64] | None = None) -> Estimate:
    """How often something is so, with Wilson's interval; of groups, of as many images as tell as much as they do.

    Images of a group are alike, so that they tell less than as many others would: their effective number is that
    whose variance is that among the groups (Korn & Graubard 1998), and that of the groups where all images agree.

    Parameters
    ----------
    hits : bool array, shape (n,)
        At least one.
    group : int64 array, shape (n,), optional
    """
    n, p = len(hits), float(hits.mean())
    if group is None:
        return wilson_interval(int(hits.sum()), n)
    _, member = np.unique(group, return_inverse=True)
    off = np.bincount(member, hits - p)
    m = len(off)
    spread = m / max(m - 1, 1) * float(off @ off)
    size = min(n, n * n * p * (1 - p) / spread) if spread > 0 else m
    return wilson_interval(p * size, size)


def name_interval(measure: Measure, units: str = "images") -> str:
    """How the interval of a figure was made: see `Judged`."""
    return "Wilson's interval" if measure.alone and units == "images" else f"percentiles of resamples of {units}"


def join_units(
    share: Shares, row: NDArray[np.int64], group: NDArray[np.int64] | None
) -> tuple[Shares, NDArray[np.int64]]:
    """What is resampled as one, its share and its number: an image, however often it was judged; or a group.

    A group's share is what a sample of such groups has it count for in the mean over images, linearised: groups of
    many images weigh more.

    Parameters
    ----------
    share : bool or float64 array, shape (n,)
    row, group : int64 arrays, shape (n,)
        Image of each answer, and its group where there are any.

    Returns
    -------
    bool or float64 array, int64 array, shape (m,)
        Their mean is that of ``share``, if every image was judged as often; bool if nothing was joined.
    """
    images, first, place, times = np.unique(row, return_index=True, return_inverse=True, return_counts=True)
    if len(images) == len(row) and group is None:
        return share, row
    mean_of: NDArray[np.float64] = np.bincount(place, share) / times
    if group is None:
        return mean_of, images
    groups, member = np.unique(group[first], return_inverse=True)
    mean = float(mean_of.mean())
    return np.asarray(mean + np.bincount(member, mean_of - mean) * (len(groups) / len(images))), groups

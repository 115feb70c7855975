"""One cell of a grid: what was trained and tested how, how it did, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .measures import MEASURES, Measure
from .metrics import Estimate
from .views import TestRes

LEVEL = 0.05
"""Of all comparisons with the chosen cell together."""


class Axes(NamedTuple):
    """What cells may differ in beside resolutions and heads.

    Attributes
    ----------
    trunk : str
        As the cache calls it.
    features : str
        Kind of features.
    crop_ratio : str
        Of the test images.
    train_view, test_view : str
        Kinds of view; of training images ``train+center`` where all of both are rows.
    """

    trunk: str = ""
    features: str = "pooled"
    crop_ratio: str = ""
    train_view: str = "train"
    test_view: str = "center"


SAME = Axes()
"""Of cells that differ in nothing but resolutions and heads."""


def differs(axis: str, places: Sequence[Axes]) -> bool:
    """Whether cells differ in an axis; in their crop ratio, those of one trunk: each trunk has its own."""
    values = {(getattr(axes, axis), axes.trunk if axis == "crop_ratio" else "") for axes in places}
    return len(values) > len({trunk for _, trunk in values})


class Cost(NamedTuple):
    """What a cell's answer about one image takes.

    Attributes
    ----------
    gmac : float
        Multiply-adds of the trunk, 1e9, over all crops that are averaged.
    ms : float or None
        Milliseconds of the trunk on one core of this machine, as measured while features were extracted; None
        if they were not.
    parameters : int
        Of the trunk.
    """

    gmac: float
    ms: float | None
    parameters: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """What was trained and tested how, as far as val knows it.

    Attributes
    ----------
    train_res : int
        px.
    test_res : int or str
        px; see `heads.views.TestRes`.
    apparent : float
        Size of an object in a test view over its size in a training view; FixRes wants 1. Of several test
        resolutions the mean.
    val : Estimate
        Its figure, see ``measure``, with its 95 % interval.
    strength : float
        Chosen on val at ``test_res``: C of a logistic head.
    note : str
        How the search for C ended.
    val_row : int64 array, shape (n,)
        Row ids of the val images; where images are grouped, the groups.
    val_correct : bool array, or float64 array, shape (n,)
        Whether each is right; of several repeats of folds how often; else its share in the figure.
    family, correction : str
        Kind of head, and how the resolution gap was corrected.
    axes : Axes
    cost : Cost or None
        None where it is not known.
    metric : str
        Of `heads.measures.MEASURES`, what its figures are.
    units : str
        What they count: images, or groups.
    chosen : bool
        Best on val.
    val_p : float
        That it is as good as the chosen one, by val and corrected for all comparisons; 1 until it is compared.
    front : bool
        None that costs as little or less is as good on val.
    cheap : bool
        Of the chosen one and those that val cannot tell from it, the one that costs least.
    """

    train_res: int
    test_res: TestRes
    apparent: float
    val: Estimate
    strength: float
    note: str
    val_row: NDArray[np.int64]
    val_correct: NDArray[np.bool_] | NDArray[np.float64]
    family: str = "logistic"
    correction: str = "none"
    axes: Axes = SAME
    cost: Cost | None = None
    metric: str = "accuracy"
    units: str = "images"
    chosen: bool = False
    val_p: float = 1.0
    front: bool = False
    cheap: bool = False

    @property
    def val_tie(self) -> bool:
        """Whether it is not the chosen one, and val cannot tell it from that."""
        return not self.chosen and self.val_p >= LEVEL

    @property
    def measure(self) -> Measure:
        """What its figures are."""
        return MEASURES[self.metric]

    @property
    def place(self) -> tuple[object, ...]:
        """What tells it from the others of a grid."""
        return (*self.axes, self.train_res, self.test_res, self.family, self.correction)


@dataclass(frozen=True, eq=False, kw_only=True)
class Cell(Trial):
    """One train_res x test_res entry of a grid: a trial that was scored on test.

    Attributes
    ----------
    test : Estimate
        As ``val``.
    row : int64 array, shape (n,)
        As ``val_row``.
    correct : bool or float64 array, shape (n,)
        As ``val_correct``.
    test_p : float
        As ``val_p``, by test.
    """

    test: Estimate
    row: NDArray[np.int64]
    correct: NDArray[np.bool_] | NDArray[np.float64]
    test_p: float = 1.0

    @property
    def tie(self) -> bool:
        """Whether it is not the chosen cell, and test cannot tell it from that."""
        return not self.chosen and self.test_p >= LEVEL

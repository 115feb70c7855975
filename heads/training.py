"""What heads learn from, and which images judge them: val, or each fold's in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.blocks import Blocks
from fixgrid.cache.features import FeatureSet

from .deck import Folds
from .families import fit_path
from .gap import Correction, fit_correction
from .select import Head, HeadPath
from .source import Source
from .subset import TrainSubset, keep_rows
from .views import mean_view, view_rows

Rows = tuple[NDArray[np.float32], NDArray[Any]]  # training features (n, D) and labels
Views = tuple[tuple[str, int], ...]  # kind of view, px
Walk = Callable[[str], Sequence[float]]


class Part(NamedTuple):
    """Heads that judge a strength together with those of other parts.

    Attributes
    ----------
    training : Training
        What they learn from.
    rows : int64 array or None
        Row ids of the images of val that judge them; None if all do.
    """

    training: Training
    rows: NDArray[np.int64] | None

    def take(self, val: FeatureSet) -> FeatureSet:
        """The images that judge."""
        return val if self.rows is None else keep_rows(val, self.rows)


class InOrder:
    """A path of heads that are fitted in the order of their strengths, each kept.

    Where one is fitted from depends on those before, so several searches along one path would see each other's
    questions in the last digits: here a head is the same whoever asks, in whatever order.
    """

    def __init__(self, path: HeadPath, strengths: Sequence[float]):
        self._path, self._next, self._heads = path, iter(strengths), dict[float, Head]()

    def head(self, strength: float) -> Head:
        """The head at one of the strengths."""
        while strength not in self._heads:
            before = next(self._next)
            self._heads[before] = self._path.head(before)
        return self._heads[strength]


class Training:
    """What some heads learn from. Nothing is loaded or fitted before it is asked for.

    Parameters
    ----------
    source : Source
    views : tuple of (kind, px)
        How the training images are seen, all of it rows.
    folds : Folds, optional
        Who judges, if not val. The paths of all folds are in memory at once.
    walk : callable, optional
        From a family to its strengths, where several searches share its heads; see `InOrder`.
    """

    def __init__(self, source: Source, views: Views, folds: Folds | None = None, walk: Walk | None = None):
        self.source, self.views, self.folds, self.walk = source, views, folds, walk
        self._path: tuple[tuple[str, bool], HeadPath] | None = None
        self._stored: Rows | None = None
        self._other: Training | None = None
        self._corrections: dict[tuple[str, str, int], Correction] = {}

    @property
    def rows(self) -> Rows:
        """Features (n, D) and labels (n,)."""
        if self._stored is not None:
            return self._stored
        rows = view_rows([self.source.load("train", *view) for view in self.views])
        if isinstance(rows[0], Blocks):  # with all that is measured of them
            self._stored = rows
        return rows

    @property
    def parts(self) -> tuple[Part, ...]:
        """Who judges: each fold, by heads that learn from the images that it does not hold out; or val."""
        return self._fold_parts if self.folds else (Part(self, None),)

    def path(self, family: str, balanced: bool = False) -> HeadPath:
        """The heads of one family; only the last asked for is kept, for it may hold a copy of the features."""
        if self._path is None or self._path[0] != (family, balanced):
            self._path = None
            path = fit_path(family, *self.rows, self.source.n_classes, balanced)
            self._path = (family, balanced), InOrder(path, self.walk(family)) if self.walk else path
        return self._path[1]

    def see(self, views: Views) -> Training:
        """The same images seen otherwise; only the last asked for is kept."""
        if self._other is None or self._other.views != views:
            self._other = Training(self.source, views, walk=self.walk)
        return self._other

    def correct(self, name: str, kind: str, res: int) -> Correction:
        """A correction of features of one kind of view at ``res`` px, the same for every family."""
        key = name, kind, res
        if key not in self._corrections:
            seen = mean_view(self.source.load("train", kind, res))
            self._corrections[key] = fit_correction(name, self.rows[0], seen)
        return self._corrections[key]

    @cached_property
    def _fold_parts(self) -> tuple[Part, ...]:
        assert self.folds is not None
        others = map(self.folds.deck.leave_out, self.folds.held)
        learns = (Training(TrainSubset(self.source, rows), self.views) for rows in others)
        return tuple(map(Part, learns, self.folds.held))

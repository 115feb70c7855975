"""How one cell's head is made: its training features, its correction, its choice on val."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.features import FeatureSet

from .families import FAMILIES
from .gap import Correction, fit_correction
from .linear import LinearHead
from .logistic import DINOV2_C
from .select import Choice, Head, HeadPath, choose_strength
from .views import apparent_ratio, mean_view, view_rows

# Called with a split, a kind of view and a resolution in px. All that the grid knows about a cache.
Load = Callable[[str, str, int], FeatureSet]
Pair = tuple[int, int]
Rows = tuple[NDArray[np.float32], NDArray[np.int64]]  # training features (n, D) and labels (n,)


@dataclass(frozen=True)
class GridOptions:
    """All that changes a grid's numbers, but for the features.

    Attributes
    ----------
    train_kinds : tuple of str
        Views of the training images, all of them rows: ``train`` (seeded draws), ``center``, or both.
    test_kind : str
        View of val and test images.
    mean_of : {"features", "probabilities"}
        What to average where ``test_kind`` has several views.
    families : tuple of str
        Kinds of head, of `FAMILIES`.
    corrections : tuple of str
        Of `heads.gap.CORRECTIONS`, or ``refit``: the head fitted on the training images as they are seen at
        test_res, FixRes' fine-tuning of the classifier alone. All but ``none`` need ``test_kind`` of the
        training images at test_res.
    strengths : tuple of float
        Path of C of logistic heads; the others walk their own.
    coarse : int
        As `choose_strength`: 1 tries all of ``strengths``.
    refit : bool
        Fit the chosen strength once more on train and val together before test is scored.
    """

    train_kinds: tuple[str, ...] = ("train",)
    test_kind: str = "center"
    mean_of: str = "probabilities"
    families: tuple[str, ...] = ("logistic",)
    corrections: tuple[str, ...] = ("none",)
    strengths: tuple[float, ...] = DINOV2_C
    coarse: int = 2
    refit: bool = False


class Training:
    """What the heads of one train_res learn from. Nothing is loaded or fitted before it is asked for.

    Parameters
    ----------
    load : callable
    kinds : tuple of str
        Views of the training images, all of them rows.
    res : int
        px.
    n_classes : int
    """

    def __init__(self, load: Load, kinds: tuple[str, ...], res: int, n_classes: int):
        self.load, self.kinds, self.res, self.n_classes = load, kinds, res, n_classes
        self._path: tuple[str, HeadPath] | None = None
        self._corrections: dict[tuple[str, str, int], Correction] = {}

    @cached_property
    def rows(self) -> Rows:
        """Features (n, D) and labels (n,)."""
        return view_rows([self.load("train", kind, self.res) for kind in self.kinds])

    def path(self, family: str) -> HeadPath:
        """The heads of one family; only the last asked for is kept, for it may hold a copy of the features."""
        if self._path is None or self._path[0] != family:
            self._path = None
            self._path = family, FAMILIES[family][0](*self.rows, self.n_classes)
        return self._path[1]

    def correct(self, name: str, kind: str, test_res: int) -> Correction:
        """A correction of features of one kind of view at ``test_res``, the same for every family."""
        key = name, kind, test_res
        if key not in self._corrections:
            seen = mean_view(self.load("train", kind, test_res))
            self._corrections[key] = fit_correction(name, self.rows[0], seen)
        return self._corrections[key]


@dataclass(frozen=True, eq=False)
class Recipe:
    """How one cell is to be made.

    Attributes
    ----------
    training : Training
        At train_res.
    options : GridOptions
    test_res : int
        px.
    family, correction : str
        One of each that ``options`` names.
    """

    training: Training
    options: GridOptions
    test_res: int
    family: str
    correction: str

    @property
    def is_refit(self) -> bool:
        """Whether the training images are seen at test_res as test images are, whatever train_res is."""
        return self.correction == "refit"

    @property
    def apparent(self) -> float:
        """See `apparent_ratio`."""
        where = self._source
        return apparent_ratio(where.kinds, where.res, self.test_res)

    @property
    def strengths(self) -> tuple[float, ...]:
        """The strengths that the family walks."""
        return self.options.strengths if self.family == "logistic" else FAMILIES[self.family][1]

    @property
    def places(self) -> list[tuple[str, str, int]]:
        """Split, kind of view and resolution of all features that the cell depends on."""
        kind, train = self.options.test_kind, [("train", kind, self.training.res) for kind in self.training.kinds]
        again = [] if self.correction == "none" else [("train", kind, self.test_res)]
        return [*train, *again, ("val", kind, self.test_res), ("test", kind, self.test_res)]

    @property
    def facts(self) -> dict[str, Any]:
        """All else that it depends on, as JSON values."""
        options = {**asdict(self.options), "strengths": self.strengths}
        del options["families"], options["corrections"]
        own = {"family": self.family, "correction": self.correction, "n_classes": self.training.n_classes}
        return {**options, **own, "train_res": self.training.res, "test_res": self.test_res}

    def load(self, split: str) -> FeatureSet:
        """A split as it is seen at test time."""
        return self.training.load(split, self.options.test_kind, self.test_res)

    def see(self, features: FeatureSet) -> NDArray[np.float32]:
        """What scoring takes: the mean or only view, (n, D), or (n, V, D) to average probabilities."""
        single = features.X.shape[1] == 1 or self.options.mean_of == "features"
        X = mean_view(features) if single else features.X
        correct = self._correct
        return X if correct is None else correct(X)

    def choose(self) -> tuple[Choice, Head]:
        """What val chose, and the head to keep: that, or fitted once more on train and val."""
        source = self._source
        path, val = source.path(self.family), self.load("val")
        seen = self.see(val)
        choice = choose_strength(path, seen, val.y, self.strengths, coarse=self.options.coarse)
        return choice, self._refit(choice.strength, source.rows, seen, val.y) if self.options.refit else choice.head

    def fold(self, head: LinearHead) -> LinearHead:
        """The head on uncorrected features that scores them as ``head`` scores corrected ones."""
        correct = self._correct
        return head if correct is None else correct.fold(head)

    @property
    def _correct(self) -> Correction | None:
        if self.is_refit or self.correction == "none":
            return None
        return self.training.correct(self.correction, self.options.test_kind, self.test_res)

    @cached_property
    def _source(self) -> Training:
        """Where the head is fitted."""
        if not self.is_refit:
            return self.training
        return Training(self.training.load, (self.options.test_kind,), self.test_res, self.training.n_classes)

    def _refit(self, strength: float, rows: Rows, X: NDArray[np.float32], y: NDArray[np.int64]) -> Head:
        more = X.reshape(-1, X.shape[-1])
        labels = np.repeat(y, len(more) // len(y))
        both = np.concatenate([rows[0], more]), np.concatenate([rows[1], labels])
        return FAMILIES[self.family][0](*both, self.training.n_classes).head(strength)


def list_recipes(load: Load, pairs: Sequence[Pair], n_classes: int, options: GridOptions) -> Iterator[Recipe]:
    """The cells to make, in an order that keeps one train_res and one family at hand at a time."""
    for train_res in dict.fromkeys(train for train, _ in pairs):
        training = Training(load, options.train_kinds, train_res, n_classes)
        for family in options.families:
            for test_res in (test for train, test in pairs if train == train_res):
                for correction in options.corrections:
                    yield Recipe(training, options, test_res, family, correction)

"""How one cell's head is made: its training features, its correction, its choice on val."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.holdings import RECALIBRATED

from .families import FAMILIES
from .gap import Correction, fit_correction
from .linear import LinearHead
from .logistic import DINOV2_C
from .memo import Place
from .select import Choice, Head, HeadPath, choose_strength
from .views import TestRes, apparent_ratio, join_views, list_resolutions, mean_view, see_views, view_rows

# Called with a split, a kind of view and a resolution in px. All that the grid knows about a cache.
Load = Callable[[str, str, int], FeatureSet]
Pair = tuple[int, TestRes]  # train_res, test_res
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
        What to average where a test image is seen several times, by its ``test_kind`` or by its test_res.
    families : tuple of str
        Kinds of head, of `FAMILIES`.
    corrections : tuple of str
        Of `heads.gap.CORRECTIONS`, or ``refit``: the head fitted on the training images as they are seen at
        test_res, FixRes' fine-tuning of the classifier alone; at each of several, all of them rows. Or
        ``batchnorm``: val and test as the trunk sees them whose last batch norm is recalibrated at test_res. All
        but that and ``none`` need ``test_kind`` of the training images at test_res.
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
    """What some heads learn from. Nothing is loaded or fitted before it is asked for.

    Parameters
    ----------
    load : callable
    views : tuple of (kind, px)
        How the training images are seen, all of it rows.
    n_classes : int
    """

    def __init__(self, load: Load, views: tuple[tuple[str, int], ...], n_classes: int):
        self.load, self.views, self.n_classes = load, views, n_classes
        self._path: tuple[str, HeadPath] | None = None
        self._corrections: dict[tuple[str, str, int], Correction] = {}

    @cached_property
    def rows(self) -> Rows:
        """Features (n, D) and labels (n,)."""
        return view_rows([self.load("train", *view) for view in self.views])

    def path(self, family: str) -> HeadPath:
        """The heads of one family; only the last asked for is kept, for it may hold a copy of the features."""
        if self._path is None or self._path[0] != family:
            self._path = None
            self._path = family, FAMILIES[family][0](*self.rows, self.n_classes)
        return self._path[1]

    def correct(self, name: str, kind: str, res: int) -> Correction:
        """A correction of features of one kind of view at ``res`` px, the same for every family."""
        key = name, kind, res
        if key not in self._corrections:
            seen = mean_view(self.load("train", kind, res))
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
    train_res : int
        px.
    test_res : int or str
        px; see `TestRes`.
    family, correction : str
        One of each that ``options`` names.
    """

    training: Training
    options: GridOptions
    train_res: int
    test_res: TestRes
    family: str
    correction: str

    @property
    def is_refit(self) -> bool:
        """Whether the training images are seen at test_res as test images are, whatever train_res is."""
        return self.correction == "refit"

    @property
    def apparent(self) -> float:
        """See `apparent_ratio`; of several test resolutions the mean."""
        kinds, seen = [kind for kind, _ in self._source.views], list_resolutions(self.test_res)
        ratios = [apparent_ratio(kinds, res if self.is_refit else self.train_res, res) for res in seen]
        return sum(ratios) / len(ratios)

    @property
    def strengths(self) -> tuple[float, ...]:
        """The strengths that the family walks."""
        return self.options.strengths if self.family == "logistic" else FAMILIES[self.family][1]

    @property
    def places(self) -> list[Place]:
        """Split, kind of view and resolution of all features that the cell depends on."""
        seen = list_resolutions(self.test_res)
        again = [("train", self.options.test_kind, res) for res in seen] if self._maps else []
        train = [("train", *view) for view in self._source.views]
        return [*train, *again, *((split, self._test_kind, res) for split in ("val", "test") for res in seen)]

    @property
    def facts(self) -> dict[str, Any]:
        """All else that it depends on, as JSON values."""
        options = {**asdict(self.options), "strengths": self.strengths}
        del options["families"], options["corrections"]
        own = {"family": self.family, "correction": self.correction, "n_classes": self.training.n_classes}
        return {**options, **own, "train_res": self.train_res, "test_res": self.test_res}

    def load(self, split: str) -> FeatureSet:
        """A split as it is seen at test time, the views at every test resolution side by side.

        Raises
        ------
        CacheError
            If an image has no features at one of several resolutions.
        """
        kind = self._test_kind
        return join_views([self.training.load(split, kind, res) for res in list_resolutions(self.test_res)])

    def see(self, features: FeatureSet) -> NDArray[np.float32]:
        """What scoring takes: the mean or only view, (n, D), or (n, V, D) to average probabilities."""
        return see_views(features.X, self._corrections, self.options.mean_of)

    def choose(self) -> tuple[Choice, Head]:
        """What val chose, and the head to keep: that, or fitted once more on train and val."""
        source = self._source
        path, val = source.path(self.family), self.load("val")
        seen = self.see(val)
        choice = choose_strength(path, seen, val.y, self.strengths, coarse=self.options.coarse)
        return choice, self._refit(choice.strength, source.rows, seen, val.y) if self.options.refit else choice.head

    def fold(self, head: LinearHead) -> tuple[LinearHead, tuple[Correction, ...]]:
        """What to keep: a head on uncorrected features, or ``head`` and the corrections, one for each resolution.

        A head takes one correction in; that of each of several resolutions is another.
        """
        if len(self._corrections) != 1:
            return head, self._corrections
        return self._corrections[0].fold(head), ()

    @property
    def _maps(self) -> bool:
        """Whether features of val and test are mapped to the statistics of the training features."""
        return self.correction not in ("none", "refit", "batchnorm")

    @property
    def _test_kind(self) -> str:
        return RECALIBRATED * (self.correction == "batchnorm") + self.options.test_kind

    @property
    def _corrections(self) -> tuple[Correction, ...]:
        """One for each test resolution, fitted there; none for a head that needs none."""
        if not self._maps:
            return ()
        kind = self.options.test_kind
        return tuple(self.training.correct(self.correction, kind, res) for res in list_resolutions(self.test_res))

    @cached_property
    def _source(self) -> Training:
        """Where the head is fitted."""
        if not self.is_refit:
            return self.training
        views = tuple((self.options.test_kind, res) for res in list_resolutions(self.test_res))
        return Training(self.training.load, views, self.training.n_classes)

    def _refit(self, strength: float, rows: Rows, X: NDArray[np.float32], y: NDArray[np.int64]) -> Head:
        more = X.reshape(-1, X.shape[-1])
        labels = np.repeat(y, len(more) // len(y))
        both = np.concatenate([rows[0], more]), np.concatenate([rows[1], labels])
        return FAMILIES[self.family][0](*both, self.training.n_classes).head(strength)


def list_recipes(load: Load, pairs: Sequence[Pair], n_classes: int, options: GridOptions) -> Iterator[Recipe]:
    """The cells to make, in an order that keeps one train_res and one family at hand at a time."""
    for train_res in dict.fromkeys(train for train, _ in pairs):
        training = Training(load, tuple((kind, train_res) for kind in options.train_kinds), n_classes)
        for family in options.families:
            for test_res in (test for train, test in pairs if train == train_res):
                for correction in options.corrections:
                    yield Recipe(training, options, train_res, test_res, family, correction)


def count_passes(recipes: Iterable[Recipe]) -> tuple[int, int]:
    """Passes of the trunk, one per split, view and resolution: those run, and those that cells alone would add."""
    places = [set(recipe.places) for recipe in recipes]
    run = len(set[Place]().union(*places))
    return run, sum(map(len, places)) - run


def read_pair(text: str) -> Pair:
    """A pair from ``128:224``, or from ``128:224+320`` to average each test image over both resolutions.

    Raises
    ------
    UsageError
        If the text is neither.
    """
    train, _, test = text.partition(":")
    parts = [part.strip() for part in (train, *test.split("+"))]
    seen = sorted({int(part) for part in parts[1:] if part.isdecimal()})
    if not (parts[0].isdecimal() and len(seen) == len(parts) - 1):
        raise UsageError(
            f"found the pair {text!r}; expected train_res:test_res in px, as in 128:224, or 128:224+320 to average "
            "over test resolutions, each named once."
        )
    return int(parts[0]), seen[0] if len(seen) == 1 else "+".join(map(str, seen))

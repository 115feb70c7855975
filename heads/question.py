"""A question to cached features: which pairs of resolutions, heads and corrections make the cells of a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fixgrid.cache.holdings import Holdings

from .cell import Axes, Cost
from .deck import Folds
from .families import FAMILIES
from .logistic import DINOV2_C
from .measures import MEASURES, Measure
from .memo import Memo
from .source import Place, Source
from .views import TestRes, list_resolutions

Pair = tuple[int, TestRes]  # train_res, test_res


# What an answer about one image costs: by features of a trunk, at each of some resolutions (px), with so many
# crops.
Weigh = Callable[[Holdings, Sequence[int], int], Cost | None]


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
    metric : str
        Of `heads.measures.MEASURES`: what chooses and compares.
    class_weight : {"none", "balanced"}
        How much training images weigh: alike, or those of each class together alike.
    """

    train_kinds: tuple[str, ...] = ("train",)
    test_kind: str = "center"
    mean_of: str = "probabilities"
    families: tuple[str, ...] = ("logistic",)
    corrections: tuple[str, ...] = ("none",)
    strengths: tuple[float, ...] = DINOV2_C
    coarse: int = 2
    refit: bool = False
    metric: str = "accuracy"
    class_weight: str = "none"

    @property
    def measure(self) -> Measure:
        """What chooses and compares."""
        return MEASURES[self.metric]

    def walk(self, family: str) -> tuple[float, ...]:
        """The strengths that a family walks."""
        return self.strengths if family == "logistic" else FAMILIES[family][1]


@dataclass(frozen=True, eq=False)
class Ask:
    """One question to cached features: all that makes the cells of a grid.

    Attributes
    ----------
    source : Source
    pairs : tuple of (train_res, test_res), px
    options : GridOptions
    folder : Path or None
        Where cells are remembered.
    folds : Folds or None
        They choose in place of val: ``source`` gives their images as train and as val, see `heads.pool.Pool`.
    grouped : bool
        Whether images are in groups.
    task : str
        What labels are, one of `fixgrid.cache.rows.TASKS`.
    """

    source: Source
    pairs: tuple[Pair, ...]
    options: GridOptions = GridOptions()
    folder: Path | None = None
    folds: Folds | None = None
    grouped: bool = False
    task: str = "multiclass"

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.source.n_classes

    @property
    def units(self) -> str:
        """What figures count: groups where there are any, else images."""
        return "groups" if self.grouped else "images"

    @property
    def axes(self) -> Axes:
        """What its cells have in common and those of another question may not."""
        options = self.options
        return Axes(train_view="+".join(options.train_kinds), test_view=options.test_kind)

    def weigh(self, test_res: TestRes) -> Cost | None:
        """What an answer about one image costs at a test resolution; None if it is not known."""
        return None

    def list_passes(self, places: Sequence[Place]) -> list[Place]:
        """The places of the data set's own splits that stand behind places of ``source``."""
        splits = self.folds.deck.splits if self.folds else ()
        spread = (
            (real, kind, res)
            for split, kind, res in places
            for real in (splits if split in ("train", "val") and splits else (split,))
        )
        return list(dict.fromkeys(spread))

    @property
    def memo(self) -> Memo | None:
        """Cells made before, under this source's identity."""
        return None if self.folder is None else Memo(self.folder, self.source.identify)


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked(Ask):
    """A question to a cache.

    Attributes
    ----------
    holdings : Holdings
        Features of all images; ``source`` may lack some training images.
    dropped : bool
        Whether it does.
    notes : tuple of str
        What the user should know of how the options were taken.
    costs : callable, optional
        See `Weigh`.
    """

    holdings: Holdings
    dropped: bool = False
    notes: tuple[str, ...] = ()
    costs: Weigh | None = None

    @property
    def axes(self) -> Axes:
        """See `Ask`."""
        kind, holdings = self.options.test_kind, self.holdings
        ratio = holdings.view("val", kind, list_resolutions(self.pairs[0][1])[0]).crop_ratio if self.pairs else ""
        return super().axes._replace(trunk=holdings.trunk, features=holdings.features, crop_ratio=ratio)

    def weigh(self, test_res: TestRes) -> Cost | None:
        """See `Ask`."""
        seen = list_resolutions(test_res)
        crops = self.holdings.view("val", self.options.test_kind, seen[0]).count
        return self.costs(self.holdings, seen, crops) if self.costs else None

"""Grid, heads, learning curves and duplicates: everything that is asked of cached features, no trunk needed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from .asking import takes
from .cache.errors import UsageError
from .cache.holdings import Holdings, find_holdings, shorten_source
from .embed.watcher import Quiet, Watcher
from .extracting import open_cache
from .heads.artifact import save_head
from .heads.ask import Asked, Pair, ask_cache, choose_kinds
from .heads.curve import CurvePoint, fit_curve
from .heads.families import keep_linear
from .heads.figures import HeadFigures
from .heads.fit import Fitted, fit_best, keep_fitted
from .heads.grid import Cell, choose_cell, run_grid
from .heads.leak import warn_of_leak
from .heads.recipe import count_passes, list_recipes
from .heads.table import Notes, fit_record
from .heads.twins import Twin, choose_res, find_twins, looks_alike


@dataclass(frozen=True)
class FeaturesRequest:
    """Which cached features.

    Attributes
    ----------
    data, trunk : str, optional
        As given to `fixgrid.extract`; may be left out where the cache holds one.
    cache : str or Path
    resize, resampler, train_views, seed
        Fields of the view, where the cache holds several.
    train_view : {"train", "center", "both"}, optional
        Views of the training images; random crops if the cache holds any.
    watcher : Watcher
    """

    data: str | Path | None = None
    _: KW_ONLY
    trunk: str | None = None
    cache: str | Path = "features"
    resize: str | None = None
    resampler: str | None = None
    train_views: int | None = None
    seed: int | None = None
    train_view: str | None = None
    watcher: Watcher = field(default_factory=Quiet, compare=False, repr=False)

    @property
    def folder(self) -> Path:
        """The cache, ``~`` expanded."""
        return Path(self.cache).expanduser()

    def open(self) -> Holdings:
        """The features; says which they are.

        Raises
        ------
        CacheError, UsageError
            See `fixgrid.cache.holdings.find_holdings`.
        """
        asked = {
            "resize": self.resize,
            "resampler": self.resampler,
            "draws": self.train_views,
            "seed": self.seed,
        }
        view = {name: value for name, value in asked.items() if value is not None}
        data = None if self.data is None else str(self.data)
        holdings = find_holdings(open_cache(self.folder, self.watcher), data, self.trunk, view)
        kinds, in_cache = choose_kinds(holdings, self.train_view), "the cache holds it"
        self.watcher.settle(
            data=(holdings.manifest.source, "" if data else in_cache),
            trunk=(holdings.trunk, "" if self.trunk else in_cache),
            cache=(self.cache, ""),
            train_view=(f"{'+'.join(kinds)} for training, center for val and test", ""),
        )
        return holdings


@dataclass(frozen=True)
class GridRequest(FeaturesRequest):
    """Which cells of which features.

    Attributes
    ----------
    pairs, heads, gap, test_view, mean_of, refit, drop_duplicates, strengths
        See `fixgrid.heads.ask.ask_cache`.
    """

    pairs: str | Sequence[Pair] | None = None
    heads: str | Sequence[str] = "logistic"
    gap: str | Sequence[str] = "none"
    test_view: str = "center"
    mean_of: str = "probabilities"
    refit: bool = False
    drop_duplicates: bool = False
    strengths: str | Sequence[float] | None = None
    on_cell: Callable[[Cell], None] | None = field(default=None, compare=False, repr=False)

    def ask(self) -> Asked:
        """The question to the cache.

        Raises
        ------
        CacheError, UsageError
            See `fixgrid.heads.ask.ask_cache`.
        """
        asked = ask_cache(
            self.open(),
            self.folder / "cells",
            train_view=self.train_view,
            pairs=self.pairs,
            heads=self.heads,
            gap=self.gap,
            test_view=self.test_view,
            mean_of=self.mean_of,
            refit=self.refit,
            drop_duplicates=self.drop_duplicates,
            strengths=self.strengths,
        )
        for note in asked.notes:
            self.watcher.notice(note)
        return asked


@dataclass(frozen=True)
class HeadRequest(GridRequest):
    """Which head to keep, and where.

    Attributes
    ----------
    out : str or Path, optional
        Its file without suffix; named after data, trunk and pair, beside the features, if not given.
    confused : int
        Most confused pairs of classes to measure.
    """

    out: str | Path | None = None
    confused: int = 0


@dataclass(frozen=True)
class CurveRequest(GridRequest):
    """Which learning curve.

    Attributes
    ----------
    shares : str or sequence of float
        Of the training images: percent in a text, as in ``1,5,10,50%``, or numbers above 0 and up to 1.
    """

    shares: str | Sequence[float] = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a grid, one of them chosen on val.

    Attributes
    ----------
    cells : list of Cell
    notes : Notes
        What it cost, and a warning where the trunk has seen the labels.
    """

    cells: list[Cell]
    notes: Notes

    @property
    def best(self) -> Cell:
        """The cell that val chose."""
        return next(cell for cell in self.cells if cell.chosen)


@dataclass(frozen=True, eq=False)
class KeptHead:
    """A head that val chose and that is kept.

    Attributes
    ----------
    fitted : Fitted
    figures : HeadFigures
        On test, class by class too.
    record : dict
        How it was chosen and how it did, as its file has it.
    files : (Path, Path)
        Coefficients and record.
    warning : str
        See `Grid.notes`.
    """

    fitted: Fitted
    figures: HeadFigures
    record: dict[str, Any]
    files: tuple[Path, Path]
    warning: str


@dataclass(frozen=True, eq=False)
class Curve:
    """A learning curve, and a warning where the trunk has seen the labels."""

    points: list[CurvePoint]
    warning: str


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Images that occur twice.

    Attributes
    ----------
    twins : list of Twin
    holdings : Holdings
    alike : bool
        Whether so many images look alike to the trunk that near ones may well be different.
    """

    twins: list[Twin]
    holdings: Holdings
    alike: bool


@takes(GridRequest)
def grid(request: GridRequest) -> Grid:
    """The accuracy of every train x test resolution pair, the best marked by val, ties called ties.

    Arguments are those of `GridRequest`.

    Raises
    ------
    FixgridError
        If the cache lacks what is asked for, or an option names what there is not.
    """
    asked = request.ask()
    cells = []
    for cell in run_grid(asked):
        cells.append(cell)
        if request.on_cell is not None:
            request.on_cell(cell)
    passes = count_passes(list_recipes(asked))
    return Grid(choose_cell(cells), Notes(*passes, warn_of_leak(asked.holdings)))


@takes(HeadRequest)
def fit_head(request: HeadRequest) -> KeptHead:
    """Fit the head of the best resolution pair, chosen on val, score it on test once, and keep it.

    Arguments are those of `HeadRequest`.

    Raises
    ------
    FixgridError
        As `grid`; also if it cannot be written.
    """
    asked = request.ask()
    families = keep_linear(asked.options.families)
    if families != asked.options.families:
        kept_ones = ",".join(families)
        request.watcher.notice(f"note: knn heads are the training features, and not kept: chosen among {kept_ones}")
    asked = dataclasses.replace(asked, options=dataclasses.replace(asked.options, families=families))
    holdings, fitted = asked.holdings, fit_best(asked)
    measured = fitted.measure(holdings.manifest.classes, n_confused=request.confused)
    record = fit_record(fitted, measured)
    how = {
        "tried": [f"{train}:{test}" for train, test in asked.pairs],
        "search": fitted.choice.note,
        "mean_of": asked.options.mean_of,
        "drop_duplicates": request.drop_duplicates,
    }
    data = re.sub(r"[^\w.-]+", "-", shorten_source(holdings.manifest.source)) or "data"
    trunk = re.sub(r"[^\w.:@-]+", "-", holdings.trunk)
    name = f"{data}-{trunk}-{fitted.train_res}-{fitted.test_res}"
    stem = Path(request.out).expanduser() if request.out else request.folder / "heads" / name
    files = save_head(stem, keep_fitted(fitted, holdings, {**record, **how}))
    return KeptHead(fitted, measured, record, files, warn_of_leak(holdings))


@takes(CurveRequest)
def curve(request: CurveRequest) -> Curve:
    """What some of the training images would have given: a point for each share, chosen on val, scored on test.

    Arguments are those of `CurveRequest`.

    Raises
    ------
    FixgridError
        As `grid`; also if a share is none.
    """
    shares = read_shares(request.shares)
    asked = request.ask()
    return Curve(fit_curve(asked, shares), warn_of_leak(asked.holdings))


def read_shares(asked: str | Sequence[float]) -> list[float]:
    """Shares of 1 from percentages in a text, or as they are.

    Raises
    ------
    UsageError
        If one is not above 0 and at most the whole.
    """
    if not isinstance(asked, str):
        return list(asked)
    parts = [part.strip().rstrip("%") for part in asked.split(",")]
    if not all(part.replace(".", "", 1).isdecimal() and 0 < float(part) <= 100 for part in parts):
        raise UsageError(f"found --curve {asked!r}; expected percentages above 0 and up to 100, as in 1,5,10,50%.")
    return [float(part) / 100 for part in parts]


@takes(FeaturesRequest)
def duplicates(request: FeaturesRequest) -> Duplicates:
    """Images that occur twice, within a split or across splits: equal bytes, equal pixels, or nearly alike.

    Arguments are those of `FeaturesRequest`.

    Raises
    ------
    CacheError
        If center views of a split are not cached.
    """
    holdings = request.open()
    twins = find_twins(holdings, choose_res(holdings))
    n = sum(map(len, holdings.manifest.splits.values()))
    return Duplicates(twins, holdings, looks_alike(twins, n))

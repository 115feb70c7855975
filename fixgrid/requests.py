"""Requests: the arguments of every function of the face, each declared, documented and given its default once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .cache.health import find_exposure
from .cache.holdings import Holdings, find_holdings
from .cache.store import FeatureStore
from .embed.request import Wanted, read_resolutions
from .embed.sizing import Machine
from .embed.watcher import Quiet, Watcher
from .heads.ask import Asked, Pair, ask_cache, choose_kinds
from .heads.grid import Cell

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk


@dataclass(frozen=True)
class Request:
    """What to extract: images, seen by a trunk, at resolutions.

    Attributes
    ----------
    data : str or Path, optional
        A folder, a CSV, ``stanford-dogs``, ``torchvision:NAME`` or ``sample``; the cache's only data set, else the
        sample, if not given.
    trunk : str, nn.Module or OwnTrunk, optional
        A name, see `fixgrid.models`, or a module of your own: float32 (B, 3, R, R), normalised, to features (B, D).
    weights : str or Path, optional
        State dict in place of the published weights of a named trunk.
    res : int, str or sequence of int, optional
        Resolutions in px, as in ``"224,320"``; the trunk's own if not given.
    train_views : int
        Random crops per training image.
    views : str or sequence of str
        More views: some of ``val_train``, ``whole``, ``five``, ``ten``.
    features : str or sequence of str
        Kinds of features, all from one pass: see `fixgrid.embed.trunks.nodes.read_parts`.
    jitter, resize, resampler, seed
        See `fixgrid.cache.view.View`.
    split : {"official", "2020"}
        Of Stanford Dogs.
    dtype : {"float32", "float16"}
        Of the features as stored.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of the trunk's arithmetic; fp32 on a CPU.
    backend, device, workers, engine : str
        How this machine is used, which changes no number: see `fixgrid.embed.sizing.Machine`.
    max_bad : float or str
        Share of images that may be unusable, as in ``.01`` or ``"1%"``.
    strict : bool
        Fail at the first unusable image.
    follow_links : bool
        Follow links that stay inside the data folder.
    rehash : bool
        Read every file again, also those that look untouched.
    recalibrate : bool
        Also see val and test with the last batch norm recalibrated at each resolution.
    cache : str or Path
        Folder of the features.
    watcher : Watcher
        Is told how far it is; by default notices go to the logger ``fixgrid``.
    """

    data: str | Path | None = None
    _: KW_ONLY
    trunk: str | nn.Module | OwnTrunk | None = None
    weights: str | Path | None = None
    res: int | str | Sequence[int] | None = None
    train_views: int = 2
    views: str | Sequence[str] = ()
    features: str | Sequence[str] = "pooled"
    jitter: str = "torch"
    resize: str | None = None
    resampler: str | None = None
    split: str = "official"
    seed: int = 0
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    dtype: str = "float32"
    workers: int | str = "auto"
    engine: str = "local"
    max_bad: float | str = "1%"
    strict: bool = False
    follow_links: bool = False
    rehash: bool = False
    recalibrate: bool = False
    cache: str | Path = "features"
    watcher: Watcher = field(default_factory=Quiet, compare=False, repr=False)

    @property
    def folder(self) -> Path:
        """The cache, ``~`` expanded."""
        return Path(self.cache).expanduser()

    @property
    def machine(self) -> Machine:
        """How to use this machine; the device is one that is there."""
        return Machine(self.backend, self.device, str(self.workers), self.engine).resolve()

    @property
    def wanted(self) -> Wanted:
        """How to see the images."""
        kinds = self.views.split(",") if isinstance(self.views, str) else self.views
        return Wanted(
            read_resolutions(self.res),
            self.train_views,
            self.jitter,
            tuple(kind for kind in kinds if kind),
            self.resize or "short-side",
            self.resampler or "pillow",
            self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class PlanRequest(Request):
    """What to plan.

    Attributes
    ----------
    calibrate : bool
        Time the trunk on a few images first, and remember how fast it is.
    """

    calibrate: bool = False


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


@dataclass(frozen=True, kw_only=True)
class GridRequest(FeaturesRequest):
    """Which cells of which features.

    Attributes
    ----------
    pairs, heads, gap, test_view, mean_of, refit, drop_duplicates, strengths
        See `fixgrid.heads.ask.ask_cache`.
    on_cell : callable, optional
        Called with every cell as it is made.
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


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class CurveRequest(GridRequest):
    """Which learning curve.

    Attributes
    ----------
    shares : str or sequence of float
        Of the training images: percent in a text, as in ``1,5,10,50%``, or numbers above 0 and up to 1.
    """

    shares: str | Sequence[float] = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class ReportRequest(GridRequest):
    """Which report, and where.

    Attributes
    ----------
    out : str or Path
        HTML file; its figures go to a folder beside it.
    command : str
        How it was asked for, as the page says.
    """

    out: str | Path = "report.html"
    command: str = "fixgrid.report"


def open_cache(folder: Path, watcher: Watcher) -> FeatureStore:
    """The cache, with a notice if anyone may put features of their own into it."""
    store = FeatureStore(folder)
    for found, cure in find_exposure(store)[:1]:
        watcher.notice(f"warning: {found}: {cure}")
    return store

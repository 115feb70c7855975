"""Requests: what is asked of cached features, each argument declared, documented and given its default once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path

from .cache.errors import UsageError
from .cache.holdings import POOLED, Holdings, find_holdings, list_kinds
from .cache.store import FeatureStore
from .embed.trunks.look import read_look
from .embed.trunks.nodes import read_nodes
from .embed.watcher import Quiet, Watcher
from .heads.ask import Asked, Pair, ask_cache, choose_kinds
from .heads.grid import Cell
from .heads.recipe import list_recipes
from .requests import open_cache


@dataclass(frozen=True)
class FeaturesRequest:
    """Which cached features.

    Attributes
    ----------
    data, trunk : str, optional
        As given to `fixgrid.extract`, or the trunk's `name`, or what `fixgrid.list_cache` calls it; may be left out
        where the cache holds one.
    features : str or sequence of str, optional
        Kinds of features, several or ``all`` where cells are compared; the pooled ones, or else the only ones, if
        not given.
    cache : str or Path
    resize, resampler, mean, std, interpolation, crop_ratio, crop_mode, train_views, seed
        Fields of the view, where the cache holds several; as `fixgrid.extract` takes them.
    train_view : {"train", "center", "both"}, optional
        Views of the training images; random crops if the cache holds any.
    watcher : Watcher
    """

    data: str | Path | None = None
    _: KW_ONLY
    trunk: str | None = None
    features: str | Sequence[str] | None = None
    cache: str | Path = "features"
    resize: str | None = None
    resampler: str | None = None
    mean: str | float | Sequence[float] | None = None
    std: str | float | Sequence[float] | None = None
    interpolation: str | None = None
    crop_ratio: float | str | None = None
    crop_mode: str | None = None
    train_views: int | None = None
    seed: int | None = None
    train_view: str | None = None
    watcher: Watcher = field(default_factory=Quiet, compare=False, repr=False)

    @property
    def folder(self) -> Path:
        """The cache, ``~`` expanded."""
        return Path(self.cache).expanduser()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of features that are named; none if the cache decides.

        Raises
        ------
        UsageError
            If one is none.
        """
        if self.features == "all":
            data = None if self.data is None else str(self.data)
            return list_kinds(FeatureStore(self.folder), data, self.trunk)
        return () if self.features is None else read_nodes(self.features)

    def open(self) -> Holdings:
        """The features; says which they are.

        Raises
        ------
        CacheError, UsageError
            See `fixgrid.cache.holdings.find_holdings`; also if several kinds are named.
        """
        if len(self.kinds) > 1:
            raise UsageError(f"found --features {','.join(self.kinds)}; expected one kind, or grid or fit-head.")
        features = self.kinds[0] if self.kinds else None
        asked = {
            "resize": self.resize,
            "resampler": self.resampler,
            "draws": self.train_views,
            "seed": self.seed,
            **read_look(self.mean, self.std, self.interpolation, self.crop_ratio, self.crop_mode),
        }
        view = {name: value for name, value in asked.items() if value is not None}
        data = None if self.data is None else str(self.data)
        holdings = find_holdings(open_cache(self.folder, self.watcher), data, self.trunk, view, features)
        kinds, in_cache = choose_kinds(holdings, self.train_view), "the cache holds it"
        self.watcher.settle(
            data=(holdings.manifest.source, "" if data else in_cache),
            trunk=(holdings.trunk, "" if self.trunk else in_cache),
            **({} if holdings.features == POOLED else {"features": (holdings.features, "")}),
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

    def list_asks(self) -> list[Asked]:
        """The question to the cache, of each kind of features that is named.

        Raises
        ------
        CacheError, UsageError
            See `ask`.
        """
        return [replace(self, features=kind).ask() for kind in self.kinds] or [self.ask()]

    def ask(self) -> Asked:
        """The question to the cache, of one kind of features.

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
        asked.holdings.expect(place for recipe in list_recipes(asked) for place in recipe.places)
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

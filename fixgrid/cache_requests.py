"""Requests: what is asked of cached features, each argument declared, documented and given its default once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from .cache.errors import FixgridError, UsageError
from .cache.holdings import POOLED, Holdings, find_holdings
from .cache.inventory import list_axes, list_labels
from .cache.scale import read_scale
from .cache.store import FeatureStore
from .embed.trunks.look import read_look
from .embed.trunks.nodes import read_nodes
from .embed.watcher import Quiet, Watcher
from .heads.ask import ask_cache, choose_kinds
from .heads.cell import Cell
from .heads.question import Asked, Pair
from .heads.recipe import list_recipes
from .heads.verdict import PREFERENCES
from .requests import open_cache
from .weighing import weigh


@dataclass(frozen=True)
class FeaturesRequest:
    """Which cached features.

    Attributes
    ----------
    data : str or Path, optional
        As given to `fixgrid.extract`; may be left out where the cache holds one.
    trunk : str or sequence of str, optional
        As given to `fixgrid.extract`, or its `name`, or what `fixgrid.list_cache` calls it; several or ``all``
        where cells are compared; may be left out where the cache holds one.
    features : str or sequence of str, optional
        Kinds of features, several or ``all`` where cells are compared; the pooled ones, or else the only ones, if
        not given.
    cache : str or Path
    resize, resampler, mean, std, interpolation, crop_ratio, crop_mode, scale, train_views, seed
        Fields of the view, where the cache holds several; as `fixgrid.extract` takes them. Several `crop_ratio`, or
        ``all``, where cells are compared.
    train_view : {"train", "center", "both"}, optional
        Views of the training images; random crops if the cache holds any.
    watcher : Watcher
    """

    data: str | Path | None = None
    _: KW_ONLY
    trunk: str | Sequence[str] | None = None
    features: str | Sequence[str] | None = None
    cache: str | Path = "features"
    resize: str | None = None
    resampler: str | None = None
    mean: str | float | Sequence[float] | None = None
    std: str | float | Sequence[float] | None = None
    interpolation: str | None = None
    crop_ratio: float | str | Sequence[float] | None = None
    crop_mode: str | None = None
    scale: float | str | None = None
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
            See `fixgrid.cache.holdings.find_holdings`; also if several trunks or kinds are named.
        """
        open_cache(self.folder, self.watcher)
        self.settle([holdings := self.find()])
        return holdings

    def find(self) -> Holdings:
        """The features, as `open`, without a word."""
        trunk, kind, ratio = (
            _expect_one(name, asked)
            for name, asked in (("trunk", self.trunk), ("features", self.features), ("crop-ratio", self.crop_ratio))
        )
        asked = {
            **{name: getattr(self, name) for name in ("resize", "resampler", "seed")},
            "draws": self.train_views,
            "scale": None if self.scale is None else str(read_scale(self.scale)),
            **read_look(self.mean, self.std, self.interpolation, ratio, self.crop_mode),
        }
        view = {name: value for name, value in asked.items() if value is not None}
        features = read_nodes(kind)[0] if kind else None
        return find_holdings(FeatureStore(self.folder), self.source, trunk, view, features)

    @property
    def source(self) -> str | None:
        """The data set, as it was typed."""
        return None if self.data is None else str(self.data)

    def settle(self, found: Sequence[Holdings]) -> None:
        """Say which features were found."""
        kinds, in_cache = choose_kinds(found[0], self.train_view), "the cache holds it"
        trunks, nodes = (dict.fromkeys(getattr(one, name) for one in found) for name in ("trunk", "features"))
        self.watcher.settle(
            data=(found[0].manifest.source, "" if self.data else in_cache),
            trunk=(", ".join(trunks), "" if self.trunk else in_cache),
            **({} if list(nodes) == [POOLED] else {"features": (", ".join(nodes), "")}),
            cache=(self.cache, ""),
            train_view=(f"{'+'.join(kinds)} for training, center for val and test", ""),
        )


@dataclass(frozen=True, kw_only=True)
class GridRequest(FeaturesRequest):
    """Which cells of which features.

    Attributes
    ----------
    pairs, heads, gap, mean_of, refit, drop_duplicates, strengths, folds, repeats, fold_seed
        See `fixgrid.heads.ask.ask_cache`.
    test_view : str or sequence of str
        Views of val and test images, of center, five and ten; see there.
    on_cell : callable, optional
        Called with every cell as it is made.
    """

    pairs: str | Sequence[Pair] | None = None
    heads: str | Sequence[str] = "logistic"
    gap: str | Sequence[str] = "none"
    test_view: str | Sequence[str] = "center"
    mean_of: str = "probabilities"
    refit: bool = False
    drop_duplicates: bool = False
    strengths: str | Sequence[float] | None = None
    folds: int | None = None
    repeats: int = 1
    fold_seed: int = 0
    on_cell: Callable[[Cell], None] | None = field(default=None, compare=False, repr=False)

    def list_asks(self) -> list[Asked]:
        """The question to the cache, for each combination of what several are named of; says what was found.

        Where ``all`` are asked for, what cannot answer is left out with a notice.

        Raises
        ------
        CacheError, UsageError
            See `fixgrid.heads.ask.ask_cache`; or if nothing that was asked for can answer.
        """
        open_cache(self.folder, self.watcher)
        read_look(self.mean, self.std, self.interpolation, None, self.crop_mode)  # refused before anything is read
        asks, refusals = [], []
        for narrow in self._narrow():
            try:
                asks.append(narrow._ask())
            except FixgridError as error:
                if "all" not in (self.trunk, self.features, self.crop_ratio):
                    raise
                refusals.append((narrow, error))
        if not asks:
            raise refusals[0][1]
        self.settle([asked.holdings for asked in asks])
        for narrow, refusal in refusals:
            self.watcher.notice(f"note: left out {narrow.trunk or ''} {narrow.features or ''}: {refusal}")
        for note in dict.fromkeys(note for asked in asks for note in asked.notes):
            self.watcher.notice(note)
        return asks

    def ask(self) -> Asked:
        """The question to the cache, of one trunk, kind of features and way to see the images.

        Raises
        ------
        CacheError, UsageError
            As `list_asks`; or if several are named.
        """
        if len(asks := self.list_asks()) > 1:
            raise UsageError(f"found {len(asks)} kinds of features to compare; expected one, or grid or fit-head.")
        return asks[0]

    def _narrow(self) -> Iterator[GridRequest]:
        """The same request of one trunk, kind of features, crop ratio and views each."""
        labels = list_labels(FeatureStore(self.folder), self.source) if self.trunk == "all" else ()
        for trunk in spread(self.trunk, labels):
            held = list_axes(FeatureStore(self.folder), self.source, trunk)
            for values in product(
                spread(self.features, held.features, read=read_nodes),
                spread(self.crop_ratio, held.crop_ratios),
                spread(self.train_view),
                spread(self.test_view),
            ):
                names = ("features", "crop_ratio", "train_view", "test_view")
                yield replace(self, trunk=trunk, **dict(zip(names, values, strict=True)))

    def _ask(self) -> Asked:
        asked = ask_cache(
            self.find(),
            self.folder / "cells",
            train_view=self.train_view,
            pairs=self.pairs,
            heads=self.heads,
            gap=self.gap,
            test_view=str(self.test_view),
            mean_of=self.mean_of,
            refit=self.refit,
            drop_duplicates=self.drop_duplicates,
            strengths=self.strengths,
            folds=self.folds,
            repeats=self.repeats,
            fold_seed=self.fold_seed,
            costs=partial(weigh, self.folder),
        )
        asked.holdings.expect(place for recipe in list_recipes(asked) for place in recipe.places)
        return asked


def spread(
    asked: object, held: Sequence[Any] = (), read: Callable[[Any], Sequence[Any]] | None = None
) -> Sequence[Any]:
    """Each of the values that are asked for: of ``a,b``, a sequence, ``all`` that are held, or only None."""
    if asked == "all" and held:
        return held
    if asked is None:
        return [None]
    if read is not None:
        return read(asked)
    if isinstance(asked, str):
        return [part.strip() for part in asked.split(",")]
    return list(asked) if isinstance(asked, Sequence) else [asked]


def _expect_one(option: str, asked: Any) -> Any:
    values = spread(asked)
    if len(values) > 1 or asked == "all":
        found = ",".join(map(str, values))
        raise UsageError(f"found --{option} {found}; expected one, or grid, fit-head or report.")
    return values[0]


@dataclass(frozen=True, kw_only=True)
class HeadRequest(GridRequest):
    """Which head to keep, and where.

    Attributes
    ----------
    out : str or Path, optional
        Its file without suffix; named after data, trunk and pair, beside the features, if not given.
    confused : int
        Most confused pairs of classes to measure.
    prefer : {"accurate", "cheap"}
        The best on val, or the cheapest that val cannot tell from it.
    """

    out: str | Path | None = None
    confused: int = 0
    prefer: str = "accurate"

    def __post_init__(self) -> None:
        if self.prefer not in PREFERENCES:
            raise UsageError(f"found --prefer {self.prefer!r}; expected {' or '.join(PREFERENCES)}.")


@dataclass(frozen=True, kw_only=True)
class CurveRequest(GridRequest):
    """Which learning curve.

    Attributes
    ----------
    shares : str or sequence of float
        Of the training images: percent in a text, as in ``1,5,10,50%``, or numbers above 0 and up to 1.
    repeats : int
        How often each share is drawn; of folds, if they are asked for, there is one deal.
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

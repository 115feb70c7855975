"""Requests: which cached features are meant, each argument declared, documented and given its default once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from .cache.errors import UsageError
from .cache.hints import Place
from .cache.holdings import POOLED, Holdings, find_holdings
from .cache.mirror import open_folder
from .cache.scale import read_scale
from .cache.store import FeatureStore
from .cache.view import KINDS
from .embed.trunks.look import read_look
from .embed.trunks.nodes import read_nodes
from .embed.watcher import Quiet, Watcher
from .heads.ask import choose_kinds
from .requests import open_cache

DRAWN = ("train", "val_train")
"""Kinds of view that training images alone are seen in."""


@dataclass(frozen=True)
class CachedRequest:
    """Of which data set, trunk and look the cached features are.

    Attributes
    ----------
    data : str or Path, optional
        As given to `fixgrid.extract`; may be left out where the cache holds one.
    trunk : str or sequence of str, optional
        As given to `fixgrid.extract`, or its `name`, or what `fixgrid.list_cache` calls it; several or ``all``
        where cells are compared; may be left out where the cache holds one.
    features : str or sequence of str, optional
        Kinds, several or ``all`` where cells are compared; the pooled ones, or else the only ones, if not given.
    cache : str or Path
    resize, resampler, mean, std, interpolation, crop_ratio, crop_mode, scale, train_views, seed
        Fields of the view, where the cache holds several; as `fixgrid.extract` takes them. Several `crop_ratio`, or
        ``all``, where cells are compared.
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
    watcher: Watcher = field(default_factory=Quiet, compare=False, repr=False)

    @property
    def folder(self) -> Path:
        """The cache, ``~`` expanded."""
        return open_folder(self.cache)

    def find(self) -> Holdings:
        """The features, as `open`, without a word."""
        trunk, kind, ratio = (
            _expect_one(name, asked)
            for name, asked in (("trunk", self.trunk), ("features", self.features), ("crop-ratio", self.crop_ratio))
        )
        asked = {
            "resize": self.resize,
            "resampler": self.resampler,
            "draws": self.train_views,
            "seed": self.seed,
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

    def say(self, found: Sequence[Holdings], **more: tuple[object, str]) -> None:
        """Say which features were found, and what ``more`` there is to it; see `Watcher.settle`."""
        in_cache = "the cache holds it"
        trunks, nodes = (dict.fromkeys(getattr(one, name) for one in found) for name in ("trunk", "features"))
        self.watcher.settle(
            data=(found[0].manifest.source, "" if self.data else in_cache),
            trunk=(", ".join(trunks), "" if self.trunk else in_cache),
            **({} if list(nodes) == [POOLED] else {"features": (", ".join(nodes), "")}),
            cache=(self.cache, ""),
            **more,
        )


@dataclass(frozen=True, kw_only=True)
class FeaturesRequest(CachedRequest):
    """Which cached features heads are fitted on.

    Attributes
    ----------
    train_view : {"train", "center", "both"}, optional
        Views of the training images; random crops if the cache holds any.
    """

    train_view: str | None = None

    def open(self) -> Holdings:
        """The features; says which they are.

        Raises
        ------
        CacheError, UsageError
            See `fixgrid.cache.holdings.find_holdings`; also if several trunks or kinds are named.
        """
        open_cache(self.folder, self.watcher)
        holdings = self.find()
        self.settle([holdings])
        return holdings

    def settle(self, found: Sequence[Holdings]) -> None:
        """Say which features were found."""
        kinds = "+".join(choose_kinds(found[0], self.train_view))
        trained = "train" in found[0].manifest.splits
        self.say(found, train_view=(f"{kinds} for training, center for val and test" if trained else kinds, ""))


@dataclass(frozen=True, kw_only=True)
class SplitsRequest(CachedRequest):
    """Which splits, seen at which resolution.

    Attributes
    ----------
    res : int, optional
        px; may be left out where the cache holds one.
    split : str or sequence of str, optional
        Some of train, val and test; all that the cache holds, if not given.
    """

    res: int | None = None
    split: str | Sequence[str] | None = None

    def choose(self, kind: str) -> Chosen:
        """The features of images seen in one kind of view; says which they are.

        Raises
        ------
        CacheError
            If the cache lacks any that are named.
        UsageError
            If it holds several data sets, trunks, views or resolutions and none is named; or if there is no such
            view or split.
        """
        open_cache(self.folder, self.watcher)
        holdings = self.find()
        splits = self._list_splits(holdings, kind)
        res = self._choose_res(holdings, kind, splits)
        places = [(split, kind, res) for split in splits]
        held = [place for place in places if place in holdings.entries]
        if self.split or not held:
            holdings.expect(places)
        self.say(
            [holdings],
            res=(res, "" if self.res else "the cache holds it"),
            split=(",".join(split for split, _, _ in held), "" if self.split else "the cache holds it"),
        )
        return Chosen(holdings, held)

    def _list_splits(self, holdings: Holdings, kind: str) -> list[str]:
        """The splits that are asked for, or all that are seen in such views."""
        known = list(holdings.manifest.splits)
        if kind not in {*KINDS, *(kind for _, kind, _ in holdings.entries)}:
            raise UsageError(f"found --view {kind!r}; expected one of {', '.join(KINDS)}.")
        asked = known if self.split is None else [str(name) for name in spread(self.split)]
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise UsageError(f"found --split {unknown[0]!r}; expected some of {','.join(known)}.")
        drawn = [name for name in asked if name == "train" or kind not in DRAWN]
        if not drawn or (self.split and drawn != asked):
            raise UsageError(
                f"found --view {kind} with --split {','.join(asked)}; expected --split train, since random "
                "crops are of training images alone."
            )
        return [name for name in known if name in drawn]

    def _choose_res(self, holdings: Holdings, kind: str, splits: Iterable[str]) -> int:
        """The resolution that is asked for, or the only one."""
        if self.res is not None:
            return self.res
        held = sorted({res for split in splits for res in holdings.resolutions(split, kind)})
        if not held:
            sides = sorted({res for _, _, res in holdings.entries})
            holdings.expect((split, kind, res) for split in splits for res in sides)
        if len(held) > 1:
            found = ", ".join(map(str, held))
            raise UsageError(f"the cache holds {kind} views at {found} px: choose with --res.")
        return held[0]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Features of some splits, all seen in one way.

    Attributes
    ----------
    holdings : Holdings
    places : list of (split, view kind, px)
        In the order of the manifest's splits.
    """

    holdings: Holdings
    places: list[Place]


@dataclass(frozen=True, kw_only=True)
class ExportFeaturesRequest(SplitsRequest):
    """Which features to write, and where.

    Attributes
    ----------
    out : str or Path
        Its suffix says the format: see `fixgrid.heads.formats.catalogue.FORMATS`.
    view : str
        Kind of view of the images: ``center``, ``train`` for random crops of the training images, or whatever else
        was extracted.
    """

    out: str | Path
    view: str = "center"


@dataclass(frozen=True)
class ImagesRequest:
    """Which images to compare with.

    Attributes
    ----------
    images : str, Path, or several
        Files, folders, patterns, and paths of images of the data set, whose features are there.
    """

    images: str | Path | Iterable[str | Path | bytes]


@dataclass(frozen=True, kw_only=True)
class NearestRequest(SplitsRequest, ImagesRequest):
    """What to compare them with, and how.

    Attributes
    ----------
    top : int
        Neighbours of each image.
    weights : str or Path, optional
        Where a named trunk's weights are now.
    follow_links : bool
        Follow links that stay inside a folder.
    backend, device, workers, engine
        See `fixgrid.embed.sizing.Machine`.
    """

    top: int = 10
    weights: str | Path | None = None
    follow_links: bool = False
    backend: str = "auto"
    device: str = "auto"
    workers: int | str = "auto"
    engine: str = "local"


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

"""Requests: what heads are asked for, each argument declared, documented and given its default once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path

from .cache.disk import read_file
from .cache.errors import CacheError, FixgridError, UsageError
from .cache.holdings import Holdings
from .cache.inventory import list_axes, list_labels
from .cache.store import FeatureStore
from .embed.copies import Copies, open_copies
from .embed.trunks.look import read_look
from .embed.trunks.nodes import PROJECTED, read_nodes
from .embed.trunks.text_tower import expect_text_tower
from .feature_requests import CachedRequest, FeaturesRequest, spread
from .heads.ask import ask_cache
from .heads.cell import Cell
from .heads.question import Asked, Pair
from .heads.recipe import list_recipes
from .heads.verdict import PREFERENCES
from .heads.zero_shot import TEMPLATES
from .memory import read_memory
from .requests import open_cache
from .weighing import weigh


@dataclass(frozen=True, kw_only=True)
class GridRequest(FeaturesRequest):
    """Which cells of which features.

    Attributes
    ----------
    pairs, heads, gap, mean_of, refit, drop_duplicates, strengths, folds, repeats, fold_seed, metric, class_weight
        See `fixgrid.heads.ask.ask_cache`.
    memory : str or int, optional
        What a fit may take, as in ``4GB`` or ``50%`` of what is free; half of that if not given. Features that are
        more stay on disk.
    test_view : str or sequence of str
        Views of val and test images, of center, five and ten; see there.
    on_cell : callable, optional
        Called with every cell as it is made.
    """

    pairs: str | Sequence[Pair] | None = None
    heads: str | Sequence[str] | None = None
    gap: str | Sequence[str] = "none"
    test_view: str | Sequence[str] = "center"
    mean_of: str = "probabilities"
    refit: bool = False
    drop_duplicates: bool = False
    strengths: str | Sequence[float] | None = None
    folds: int | None = None
    repeats: int = 1
    fold_seed: int = 0
    metric: str | None = None
    class_weight: str = "none"
    memory: str | int | None = None
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
        opened: dict[str, Copies] = {}  # images are decoded once for all trunks

        def open_once(holdings: Holdings) -> Copies:
            name = f"{holdings.scale} {[rows.digest for rows in holdings.manifest.splits.values()]}"
            return opened.setdefault(name, open_copies(holdings))

        for narrow in self._narrow():
            try:
                asks.append(narrow._ask(open_once))
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

    def _ask(self, open_once: Callable[[Holdings], Copies]) -> Asked:
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
            metric=self.metric,
            class_weight=self.class_weight,
            memory=read_memory(self.memory),
            costs=partial(weigh, self.folder),
            open_copies=open_once,
        )
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
class ZeroShotRequest(CachedRequest):
    """Which classes to make a head of, by which trunk's text tower, and where to keep it.

    Attributes
    ----------
    res : int, optional
        px at which images are seen; may be left out where the cache holds one.
    classes : str, Path or sequence of str, optional
        Names, or ``NAME=WORDS`` where other words are to be asked for: as in ``"cat,dog"``, a file with one on each
        line, or a sequence; those of the data set, if not given.
    templates : str or sequence of str, optional
        Prompts, with ``{}`` for the class; `fixgrid.heads.zero_shot.TEMPLATES`, if not given.
    out : str or Path, optional
        As `fixgrid.fit_head` takes it.
    """

    res: int | None = None
    classes: str | Path | Sequence[str] | None = None
    templates: str | Sequence[str] | None = None
    out: str | Path | None = None

    def choose(self) -> tuple[Holdings, int]:
        """The features behind the trunk's projection, and the resolution, px; says which they are.

        Raises
        ------
        UsageError
            If the trunk has no text tower, or the cache holds several resolutions.
        CacheError
            If it lacks such features of test images.
        """
        open_cache(self.folder, self.watcher)
        try:
            holdings = replace(self, features=PROJECTED).find()
        except CacheError:
            _expect_text_tower(replace(self, features=None).find())
            raise
        _expect_text_tower(holdings)
        sides = [self.res] if self.res else sorted({res for _, _, res in holdings.entries})
        if len(sides) > 1:
            found = ", ".join(map(str, sides))
            raise UsageError(f"the cache holds center views at {found} px: choose with --res.")
        (res,) = sides
        holdings.expect([("test", "center", res)])
        self.say([holdings], res=(res, "" if self.res else "the cache holds it"))
        return holdings, res

    def list_classes(self) -> list[str] | None:
        """The names that were given; None if none were."""
        if self.classes is None or not isinstance(self.classes, str | Path):
            return None if self.classes is None else [*self.classes]
        file = Path(self.classes).expanduser()
        if file.is_file():
            lines = read_file(file).decode("utf-8-sig", "replace").splitlines()
            return [line.strip() for line in lines if line.strip()]
        return str(self.classes).split(",")

    def list_templates(self) -> tuple[str, ...]:
        """The prompts that were given, or the usual ones."""
        if isinstance(self.templates, str):
            return (self.templates,)
        return TEMPLATES if self.templates is None else tuple(self.templates)


def _expect_text_tower(holdings: Holdings) -> None:
    expect_text_tower(holdings.trunk, holdings.version.architecture if holdings.version else "")


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

    @property
    def files(self) -> str:
        """Name of the folder of figures and lists, beside the page."""
        return f"{Path(self.out).stem}_files"

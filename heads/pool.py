"""Several splits as one pool of images: what folds, nested folds and splits dealt anew take their images from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.rows import SPLITS
from fixgrid.cache.view import View

from .deck import Deck, Folds, make_deck, note_thin
from .question import Asked
from .source import Source
from .subset import keep_rows, name_rows
from .views import list_resolutions


@dataclass(frozen=True, eq=False)
class Pool:
    """A source whose train and val are the same images, those of several splits of another.

    Folds, or `Dealt`, keep what learns from what judges. Row ids are those of the first split, then those of each
    other after all rows of the ones before, whether or not they have features: unique, and equal for all trunks.

    Attributes
    ----------
    source : Source
    sizes : mapping of str to int
        Rows of each split that is pooled.
    """

    source: Source
    sizes: Mapping[str, int]

    @property
    def n_classes(self) -> int:
        """As the source."""
        return self.source.n_classes

    def view(self, split: str, kind: str, res: int) -> View:
        """As the source."""
        return self.source.view(split, kind, res)

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        """As the source; for train and val, all splits of the pool."""
        if split not in ("train", "val"):
            return self.source.load(split, kind, res)
        sets = [self.source.load(name, kind, res) for name in self.sizes]
        starts = accumulate(self.sizes.values(), initial=0)
        rows = [part.row + start for part, start in zip(sets, starts, strict=False)]
        X, y, digests = (np.concatenate([getattr(part, name) for part in sets]) for name in ("X", "y", "sha256"))
        groups = [part.group for part in sets if part.group is not None]
        return FeatureSet(X, y, np.concatenate(rows), digests, np.concatenate(groups) if groups else None)

    def identify(self, split: str, kind: str, res: int) -> str:
        """As the source; for train and val, of all splits of the pool."""
        if split not in ("train", "val"):
            return self.source.identify(split, kind, res)
        return "+".join(f"{name}:{self.source.identify(name, kind, res)}" for name in self.sizes)


@dataclass(frozen=True, eq=False)
class Dealt:
    """A source whose splits are parts of a pool.

    Attributes
    ----------
    pool : Source
        Whose train is all of the images.
    parts : mapping of str to int64 array
        Row ids of each split.
    """

    pool: Source
    parts: Mapping[str, NDArray[np.int64]]

    @property
    def n_classes(self) -> int:
        """As the pool."""
        return self.pool.n_classes

    def view(self, split: str, kind: str, res: int) -> View:
        """As the pool."""
        return self.pool.view(split, kind, res)

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        """The part of the pool that is this split."""
        return keep_rows(self.pool.load("train", kind, res), self.parts[split])

    def identify(self, split: str, kind: str, res: int) -> str:
        """As the pool, and the rows of this part."""
        return f"{self.pool.identify('train', kind, res)}:{name_rows(self.parts[split])}"


def fold_ask(asked: Asked, n: int, *, seed: int = 0, repeats: int = 1) -> Asked:
    """The same question, answered by folds: of train and val where val was seen as the training images were.

    Parameters
    ----------
    asked : Asked
    n, seed, repeats
        See `Folds`.

    Raises
    ------
    CacheError
        If train was not seen as test images are at every test resolution.
    UsageError
        If nothing can be folded, or it is to be fitted once more on val.
    """
    if asked.options.refit:
        raise UsageError("found --refit with --folds, whose head learns from all images anyway: leave one out.")
    (pooled,), deck, notes = pool_asks([asked], ("train", "val"))
    folds = Folds(deck, n, seed, repeats)
    often = f", {repeats} times" if repeats > 1 else ""
    said = (
        f"note: val is the {asked.options.measure.title} on the {len(deck.row)} images of "
        f"{' and '.join(deck.splits)}, held out by {n} folds in turn{often}; the kept head learns from all of them"
    )
    thin = note_thin(deck, n, asked.holdings.manifest)
    return replace(pooled, folds=folds, notes=(*pooled.notes, *notes, said, *thin))


def pool_asks(asks: Sequence[Asked], wanted: Sequence[str] = SPLITS) -> tuple[list[Asked], Deck, tuple[str, ...]]:
    """The same questions to the pool of those splits that all of them can learn from; its images; notes.

    Parameters
    ----------
    asks : sequence of Asked
        Of one data set.
    wanted : sequence of str
        Splits to pool, train the first.

    Raises
    ------
    CacheError, UsageError
        As `fold_ask`.
    """
    splits = [split for split in wanted if all(_learns_from(asked, split) for asked in asks)]
    rows = asks[0].holdings.manifest.splits
    notes = []
    if left := [split for split in wanted if split not in splits]:
        notes.append(
            f"note: without {' and '.join(left)}, not seen in the views that heads learn from ("
            f"{'+'.join(asks[0].options.train_kinds)}): the pool is {' and '.join(splits)}; --train-view center "
            "has all of them"
        )
    pooled = []
    for asked in asks:
        corrections = tuple(name for name in asked.options.corrections if name != "batchnorm")
        if not corrections:
            raise UsageError(
                "found --gap batchnorm alone, whose statistics are those of all training images; expected another "
                "--gap where images are dealt anew."
            )
        if corrections != asked.options.corrections:
            notes.append("note: without --gap batchnorm, whose statistics are those of all training images")
        for split in splits:
            _expect_seen(asked, split)
        source = Pool(asked.source, {split: len(rows[split]) for split in splits})
        pooled.append(replace(asked, source=source, options=replace(asked.options, corrections=corrections)))
    return pooled, make_deck({split: rows[split] for split in splits}), tuple(dict.fromkeys(notes))


def _learns_from(asked: Asked, split: str) -> bool:
    """Whether a split was seen as the training images are."""
    places = [(kind, res) for kind in asked.options.train_kinds for res, _ in asked.pairs]
    return split == "train" or all(_is_seen_as_train(asked.holdings, split, *place) for place in set(places))


def _is_seen_as_train(holdings: Holdings, split: str, kind: str, res: int) -> bool:
    try:
        return holdings.view(split, kind, res) == holdings.view("train", kind, res)
    except CacheError:
        return False


def _expect_seen(asked: Asked, split: str) -> None:
    """Refuse a split that was not seen as test images are, or of which nothing usable is left."""
    sides = sorted({res for _, test_res in asked.pairs for res in list_resolutions(test_res)})
    asked.holdings.expect((split, asked.options.test_kind, res) for res in sides)

"""Gather the images that a head is scored on: which of a data set, why those, and what of them it has met."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .cache.datasets import find_source
from .cache.errors import DataError, UsageError
from .cache.rows import Manifest, Rows
from .cache.store import FeatureStore
from .embed.listing import SPLIT
from .embed.manifest import UNSPLIT, read_manifest
from .embed.sources.reading import Reading
from .embed.watcher import Watcher
from .freshness import say_other_images
from .heads.artifact import SavedHead
from .heads.learnt import Learnt, Met, count_met, recall_learnt
from .matching import expect_task, label_as


@dataclass(frozen=True, eq=False)
class Gathered:
    """Images to score a head on.

    Attributes
    ----------
    manifest : Manifest
        Of one split, labels being those of the head's classes.
    splits : tuple of str
        Of the data set, that the images are.
    why : str
        Which images these are, in words.
    unknown : int
        Images left out, since the head does not know their class.
    met : Met or None
        How many of them the head has met; None if the cache does not tell.
    """

    manifest: Manifest
    splits: tuple[str, ...]
    why: str
    unknown: int
    met: Met | None

    @property
    def rows(self) -> Rows:
        """The images."""
        return self.manifest.splits[SPLIT]

    @property
    def present(self) -> int:
        """Classes that have an image; 0 of numbers."""
        labels = self.rows.labels
        if labels.dtype.kind == "f":
            return 0
        return int(labels.any(0).sum()) if labels.ndim == 2 else len(np.unique(labels))

    def notes(self, saved: SavedHead, cache: Path) -> list[str]:
        """What is to be said of them before they are scored."""
        lines = [self.why]
        if 0 < self.present < len(saved.classes):
            lines.append(
                f"note: there are images of {self.present} of the head's {len(saved.classes)} classes: means over "
                "classes are over these, macro F1 also over those that are answered"
            )
        if self.met is None:
            lines.append(f"note: {cache} does not tell whether the head has met any of these images before")
        return lines

    def record(self) -> dict[str, Any]:
        """The same as JSON values."""
        met = None if self.met is None else {"trained_on": self.met.trained, "chosen_on": self.met.chosen}
        present = {"classes_present": self.present} if self.present else {}
        return {
            "data": self.manifest.source,
            "splits": list(self.splits),
            **present,
            "unknown_left_out": self.unknown,
            "met_before": met,
        }


def gather_images(
    saved: SavedHead,
    data: str,
    store: FeatureStore,
    *,
    split: str | None,
    reading: Reading,
    follow_links: bool,
    skip_unknown: bool,
    watcher: Watcher,
) -> Gathered:
    """The labelled images that are asked for: of the head's own data set its test split, of others all of them, or
    the test split that they come with, if nothing else is said.

    Parameters
    ----------
    saved : SavedHead
    data : str
        As ``--data`` names it.
    store : FeatureStore
        Of the cache, which may know the data set.
    split, reading, follow_links, skip_unknown, watcher
        As `fixgrid.evaluate` takes them.

    Raises
    ------
    FixgridError
        See `fixgrid.evaluate`.
    """
    learnt = recall_learnt(saved, store)
    found, own, whole = _read_data(saved, data, store, learnt, reading, follow_links, watcher)
    expect_task(found, saved)
    splits = choose_splits(tuple(found.splits), split, whole=whole)
    for one in splits if own else ():
        say_other_images(saved, found, one, watcher)
    scored = label_as(found, splits, saved, skip_unknown=skip_unknown)
    n, total = len(scored.splits[SPLIT]), sum(map(len, found.splits.values()))
    unknown = sum(len(found.splits[one]) for one in splits) - n
    why = say_scored(n + unknown, total, splits, own=own, asked=split is not None, unknown=unknown)
    met = None if learnt is None else count_met(learnt, scored.splits[SPLIT])
    return Gathered(scored, splits, why, unknown, met)


def choose_splits(given: Sequence[str], asked: str | None, *, whole: bool = False) -> tuple[str, ...]:
    """Which splits are scored: those asked for, else test where there is one, else all.

    Images that come ``whole``, of which none has a split, are given as test.

    Raises
    ------
    UsageError
        If there are no such splits.
    """
    if whole and asked not in (None, "all"):
        raise UsageError(
            f"found --of {asked!r} for images that come without splits; expected none, since all of them are "
            "scored: leave --of out."
        )
    if asked in given:
        return (str(asked),)
    if asked not in (None, "all"):
        raise UsageError(f"found --of {asked!r}; expected one of {', '.join([*given, 'all'])}.")
    return ("test",) if asked is None and "test" in given else tuple(given)


def say_scored(n: int, total: int, splits: Sequence[str], *, own: bool, asked: bool, unknown: int = 0) -> str:
    """Which images are scored, and why these.

    Parameters
    ----------
    n, total : int
        Images of the splits, and of all.
    splits : sequence of str
        Those that are scored.
    own : bool
        Whether the head was fitted on the data set.
    asked : bool
        Whether the user named them.
    unknown : int
        Of n, those that are left out.
    """
    if n == total:
        said = f"scored: all {n:,} images"
    else:
        whose = "" if asked else " of the head's own data" if own else " that they come with"
        more = "" if asked else "; --of all scores all"
        said = f"scored: {n:,} of {total:,} images, the split {' and '.join(splits)}{whose}{more}"
    return said + f", less {unknown:,} of classes that the head does not know" * (unknown > 0)


def _read_data(
    saved: SavedHead,
    data: str,
    store: FeatureStore,
    learnt: Learnt | None,
    reading: Reading,
    follow_links: bool,
    watcher: Watcher,
) -> tuple[Manifest, bool, bool]:
    """The data set, whether it is the head's own, and whether none of its images has a split.

    Read as it was extracted, or as is said, or as the head takes it. Splits are dealt of the head's own alone.
    """
    known, _ = find_source(store, data)
    options = list(known.options) if known else []
    reading = reading if reading != Reading() else Reading.recall(options)
    if not known and not reading.task and saved.task in ("multilabel", "regression"):
        reading = replace(reading, task=saved.task)
    own = known is not None and is_own(saved, known, learnt)

    def read(deal: bool) -> tuple[Manifest, tuple[str, ...]]:
        return read_manifest(
            data,
            cache_dir=store.root,
            seed=int(options[options.index("--seed") + 1]) if "--seed" in options else 0,
            follow_links=follow_links or "--follow-links" in options,
            reading=reading,
            progress=watcher.show_hashed,
            download_progress=watcher.show_download,
            list_progress=watcher.show_listed,
            deal=deal,
        )

    found, notes = read(deal=own)
    if not known and tuple(found.splits) == ("test",) and count_images(saved) == len(found.splits["test"]):
        with suppress(DataError):  # they may be the head's own, of which this cache has no record
            dealt, more = read(deal=True)
            if is_own(saved, dealt, learnt):
                found, notes, own = dealt, more, True
    for note in (note for note in notes if note != UNSPLIT):
        watcher.notice(f"note: {note}")
    return found, own or is_own(saved, found, learnt), UNSPLIT in notes


def count_images(saved: SavedHead) -> int:
    """Images of the data set that a head was fitted on; 0 if its file does not tell."""
    return sum(int(facts.get("images", 0)) for facts in saved.data.get("splits", {}).values())


def is_own(saved: SavedHead, found: Manifest, learnt: Learnt | None) -> bool:
    """Whether a data set is the one that a head was fitted on, as it was or changed since.

    It is if a split has the same images; or if it has the name, and some of the training images as far as known.
    """
    then = saved.data.get("splits", {})
    if any(then.get(split, {}).get("rows_sha256") == rows.digest for split, rows in found.splits.items()):
        return True
    if saved.data.get("source") != found.source:
        return False
    return learnt is None or any(count_met(learnt, rows).trained for rows in found.splits.values())

"""Predict and evaluate: a kept head on images that it has never seen."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .cache.disk import is_refused
from .cache.errors import DataError, DiskError, UsageError
from .cache.features import FeatureSet
from .cache.rows import Manifest
from .cache.shard import Status
from .cache.store import FeatureStore
from .cache.view import read_view
from .embed.extraction import Extraction
from .embed.listing import SPLIT, hash_listing, list_images
from .embed.listing import read_paths as read_paths
from .embed.manifest import read_manifest
from .embed.outcome import Outcome
from .embed.replica import adopt_known, build_replica, find_trunk
from .embed.sizing import Machine
from .embed.trunks.source import is_own
from .embed.watcher import Quiet, Watcher
from .extracting import say_remarks
from .freshness import say_other_images
from .heads.artifact import SavedHead, load_head
from .heads.figures import HeadFigures, measure_head
from .heads.head_table import format_figures
from .heads.predictions import Prediction, format_predictions, join_blocks, predict_images, score_images
from .preprocessing import wrap_module
from .recording import records

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk


PREDICTIONS = "predictions"
"""Folder in the cache's, of what `predict` and `evaluate` have seen."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a head says of images.

    Attributes
    ----------
    predictions : list of Prediction
        One per image, in the order in which they were named.
    outcome : Outcome
        What computing their features took.
    names : tuple of bytes
        Paths as they were named.
    """

    predictions: list[Prediction]
    outcome: Outcome
    names: tuple[bytes, ...]

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_predictions(self.predictions, style)


def _summarise_predictions(found: Predicted) -> dict[str, Any]:
    called = Counter(prediction.top[0][0] for prediction in found.predictions if prediction.top)
    return {**found.outcome.count(), "classes": dict(called.most_common(10))}


def _summarise_figures(found: Evaluated) -> dict[str, Any]:
    figures = found.figures
    return {"images": figures.n, "top1": figures.top1._asdict(), "bad": len(found.outcome.bad)}


@records(_summarise_predictions)
def predict(
    head: str | Path,
    images: str | Path | Iterable[str | Path | bytes],
    *,
    trunk: str | nn.Module | OwnTrunk | None = None,
    weights: str | Path | None = None,
    cache: str | Path = "features",
    top: int = 5,
    follow_links: bool = False,
    called: str = "",
    backend: str = "auto",
    device: str = "auto",
    workers: int | str = "auto",
    engine: str = "local",
    watcher: Watcher | None = None,
) -> Predicted:
    """Classify images with a kept head: calibrated probabilities.

    Trunk, view and precision come from the head alone; features are cached, and taken from the cache where it has
    them.

    Parameters
    ----------
    head : str or Path
        What `fixgrid.fit_head` wrote, with or without suffix.
    images : str, Path, or several files, folders and patterns
    trunk : str, nn.Module or OwnTrunk, optional
        What the head was fitted on, if it was the user's own: a module, ``FILE.py:function`` or ``FILE.onnx``.
    weights : str or Path, optional
        Where a named trunk's weights are now.
    cache : str or Path
    top : int
        Classes per image.
    follow_links : bool
        Follow links that stay inside a folder.
    called : str
        How this set of images is called in the cache; a later one of the same name takes its place.
    backend, device, workers, engine
        See `fixgrid.embed.sizing.Machine`.
    watcher : Watcher, optional

    Raises
    ------
    FixgridError
        If the head, the trunk or an image cannot be used. Images that cannot be decoded are in the outcome.
    """
    watcher, folder = watcher or Quiet(), Path(cache).expanduser()
    replica = _Replica(head, trunk, weights, folder, Machine(backend, device, str(workers), engine), watcher)
    typed = [os.fsencode(image) for image in ([images] if isinstance(images, str | Path) else images)]
    named = list_images(typed, follow_links=follow_links)
    called = called or shlex.join(map(os.fsdecode, typed))
    manifest, notes = hash_listing(named, called, memo_folder=folder / "hashes", progress=watcher.show_hashed)
    for note in (*named.notes, *notes):
        watcher.notice(f"note: {note}")
    extraction, outcome = replica.see(manifest)
    codes = map(max, zip(*(entry.read_status().tolist() for entry in extraction.entries.values()), strict=True))
    statuses = [Status(code).name.lower() for code in codes]
    found = predict_images(replica.saved, replica.read(extraction), named.names, statuses, top)
    return Predicted(found, outcome, named.names)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """How a head does on labelled images.

    Attributes
    ----------
    figures : HeadFigures
    outcome : Outcome
        Its bad images are not in the figures.
    """

    figures: HeadFigures
    outcome: Outcome

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_figures(self.figures, style)


@records(_summarise_figures)
def evaluate(
    head: str | Path,
    data: str | Path,
    *,
    split: str = "test",
    trunk: str | nn.Module | OwnTrunk | None = None,
    weights: str | Path | None = None,
    cache: str | Path = "features",
    follow_links: bool = False,
    backend: str = "auto",
    device: str = "auto",
    workers: int | str = "auto",
    engine: str = "local",
    watcher: Watcher | None = None,
) -> Evaluated:
    """Score a kept head on a split of labelled images, its own or others of the same classes.

    Parameters
    ----------
    head, trunk, weights, cache, follow_links, backend, device, workers, engine, watcher
        As `predict` takes them.
    data : str or Path
        As `fixgrid.extract` takes it. Its classes are matched by name, and each must be one of the head's.
    split : {"train", "val", "test"}

    Raises
    ------
    FixgridError
        As `predict`; also if the data have no such split, a class the head does not know, or no usable image.
    """
    watcher, folder = watcher or Quiet(), Path(cache).expanduser()
    replica = _Replica(head, trunk, weights, folder, Machine(backend, device, str(workers), engine), watcher)
    found, notes = read_manifest(
        str(data),
        cache_dir=folder,
        follow_links=follow_links,
        progress=watcher.show_hashed,
        download_progress=watcher.show_download,
    )
    for note in notes:
        watcher.notice(f"note: {note}")
    manifest = _label_as(found, split, replica.saved.classes)
    say_other_images(replica.saved, found, split, watcher)
    extraction, outcome = replica.see(manifest)
    blocks = list(replica.read(extraction))
    y = np.concatenate([block.y for block in blocks]) if blocks else np.zeros(0, np.int64)
    if not len(y):
        raise DataError(f"found no usable image in the split {split} of {data}; expected some to score.")
    scores = np.concatenate([score_images(replica.saved, block.X) for block in blocks])
    return Evaluated(measure_head(scores, y, replica.saved.classes, replica.saved.temperature), outcome)


def _label_as(found: Manifest, split: str, classes: Sequence[str]) -> Manifest:
    """One split of a data set, its labels those of a head's classes."""
    if split not in found.splits:
        raise UsageError(f"found --of {split!r}; expected one of {', '.join(found.splits)}.")
    unknown = sorted(set(found.classes) - set(classes))
    if unknown:
        raise DataError(
            f"found {len(unknown)} class(es) in {found.source} unknown to the head, such as {unknown[0]!r}; "
            "expected classes of the data it was fitted on, by name."
        )
    rows = found.splits[split]
    index = np.array([classes.index(name) for name in found.classes], np.int64)
    return Manifest(found.source, found.root, (), {SPLIT: replace(rows, labels=index[rows.labels])})


def find_own(
    saved: SavedHead, trunk: str | nn.Module | OwnTrunk | None, weights: str | Path | None, watcher: Watcher
) -> OwnTrunk | None:
    """The user's own trunk of a head, if one is given; a file gets the weights that it had, if no others are named.

    Raises
    ------
    UsageError
        If the head was fitted on a library's trunk, or see `wrap_module`.
    """
    if trunk is None:
        return None
    if not is_own(str(saved.trunk.get("architecture"))):  # before anything is run
        raise UsageError(f"found a module of one's own for a head on {saved.trunk.get('trunk')}; give none.")
    if not isinstance(trunk, str):
        return wrap_module(trunk, None, watcher)
    place = weights or ("" if trunk.endswith(".onnx") else str(saved.trunk.get("weights") or ""))
    return wrap_module(trunk, Path(place).expanduser() if place else None, watcher)


class _Replica:
    """A kept head and the trunk and views that it was fitted on, ready to see other images the same way."""

    def __init__(
        self,
        head: str | Path,
        trunk: str | nn.Module | OwnTrunk | None,
        weights: str | Path | None,
        folder: Path,
        machine: Machine,
        watcher: Watcher,
    ) -> None:
        self.folder, self.machine, self.watcher = folder, machine.resolve(), watcher
        self.saved = load_head(Path(head).expanduser())
        self.views = [read_view(spec) for spec in self.saved.seen]
        own = find_own(self.saved, trunk, weights, watcher)
        place = Path(weights).expanduser() if weights else None
        self.trunk = find_trunk(self.saved.trunk, self.views, place, folder / "trunks", own=own)

    def see(self, manifest: Manifest) -> tuple[Extraction, Outcome]:
        """Features of the images, from the cache or kept there where that may be written to, and what that took."""
        # A cache of its own: images to classify are no data set that fit-head, grid or cache gc should meet.
        try:
            return self._see(manifest, self.folder / PREDICTIONS)
        except DiskError as error:
            if not is_refused(error):
                raise
        self._passing = tempfile.TemporaryDirectory(prefix="fixgrid-")  # for as long as its rows are read
        self.watcher.notice(f"note: {self.folder / PREDICTIONS} may not be written: what is computed is not kept")
        return self._see(manifest, Path(self._passing.name))

    def _see(self, manifest: Manifest, place: Path) -> tuple[Extraction, Outcome]:
        from .embed.backends.kept import SHELF
        from .embed.machine import extract_here

        extraction = build_replica(FeatureStore(place), manifest, self.trunk.facts, self.saved.trunk, self.views)
        for known in {self.folder, self.folder / PREDICTIONS} - {place}:
            adopt_known(extraction, FeatureStore(known))
        asked, shelf = [(extraction, self.trunk)], self.folder / SHELF
        outcome = extract_here(asked, self.watcher, self.machine, max_bad=1.0, shelf=shelf)
        say_remarks([extraction], self.watcher)
        return extraction, outcome

    def read(self, extraction: Extraction) -> Iterator[FeatureSet]:
        """Blocks of the images that have features in every view."""
        rows = extraction.manifest.splits[SPLIT]
        return join_blocks([entry.open().read_blocks(rows) for entry in extraction.entries.values()])

"""Predict and evaluate: a kept head on images that it has never seen."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache.disk import is_refused
from .cache.errors import DiskError, UsageError
from .cache.features import FeatureSet
from .cache.rows import Manifest
from .cache.shard import Status
from .cache.store import FeatureStore
from .cache.view import read_view
from .embed.extraction import Extraction
from .embed.listing import SPLIT, hash_listing, list_images
from .embed.listing import read_paths as read_paths
from .embed.outcome import Outcome
from .embed.replica import adopt_known, build_replica, find_trunk
from .embed.sizing import Machine
from .embed.trunks.source import is_own
from .embed.watcher import Quiet, Watcher
from .heads.artifact import SavedHead, load_head
from .heads.predictions import Prediction, format_predictions, join_blocks, predict_images
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
    task : str
        What the head answers, of `fixgrid.cache.rows.TASKS`.
    """

    predictions: list[Prediction]
    outcome: Outcome
    names: tuple[bytes, ...]
    task: str = "multiclass"

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_predictions(self.predictions, style, self.task)


def _summarise_predictions(found: Predicted) -> dict[str, Any]:
    said = (prediction.labels or [name for name, _ in prediction.top[:1]] for prediction in found.predictions)
    called = Counter(name for names in said for name in names)
    return {**found.outcome.count(), "classes": dict(called.most_common(10))}


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
    images : str, Path, or several
        Files, folders and patterns.
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
    replica = Replica(head, trunk, weights, folder, Machine(backend, device, str(workers), engine), watcher)
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
    return Predicted(found, outcome, named.names, replica.saved.task)


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


class Replica:
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
        return extraction, extract_here(asked, self.watcher, self.machine, max_bad=1.0, shelf=shelf)

    def read(self, extraction: Extraction) -> Iterator[FeatureSet]:
        """Blocks of the images that have features in every view."""
        rows = extraction.manifest.splits[SPLIT]
        return join_blocks([entry.open().read_blocks(rows) for entry in extraction.entries.values()])

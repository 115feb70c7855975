"""Predict and evaluate: a kept head on images that it has never seen."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache.mirror import open_folder
from .embed.listing import hash_listing, list_images
from .embed.listing import read_paths as read_paths
from .embed.outcome import Outcome
from .embed.sizing import Machine
from .embed.watcher import Quiet, Watcher
from .heads.artifact import load_head
from .heads.doubts import ask_doubts, find_shift
from .heads.novelty import Shift
from .heads.predictions import Prediction, format_predictions, join_blocks, predict_images
from .keeping import find_head
from .recording import records
from .seeing import Replica, list_statuses

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk


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
    shift : Shift or None
        How the images lie against those that chose the head; None if its file does not say.
    """

    predictions: list[Prediction]
    outcome: Outcome
    names: tuple[bytes, ...]
    task: str = "multiclass"
    shift: Shift | None = None

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_predictions(self.predictions, style, self.task)


def _summarise_predictions(found: Predicted) -> dict[str, Any]:
    said = (prediction.labels or [name for name, _ in prediction.top[:1]] for prediction in found.predictions)
    called = Counter(name for names in said for name in names)
    shift = {"shift": found.shift.record()} if found.shift else {}
    return {**found.outcome.count(), "classes": dict(called.most_common(10)), **shift}


@records(_summarise_predictions)
def predict(
    head: str | Path,
    images: str | Path | Iterable[str | Path | bytes],
    *,
    trunk: str | nn.Module | OwnTrunk | None = None,
    weights: str | Path | None = None,
    cache: str | Path = "features",
    top: int = 5,
    coverage: str | float | None = None,
    unknown: str | float | None = None,
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
        What `fixgrid.fit_head` wrote, with or without suffix, or the name of a head kept beside the cache.
    images : str, Path, or several files, folders and patterns
    trunk : str, nn.Module or OwnTrunk, optional
        What the head was fitted on, if it was the user's own: a module, ``FILE.py:function`` or ``FILE.onnx``.
    weights : str or Path, optional
        Where a named trunk's weights are now.
    cache : str or Path
    top : int
        Classes per image.
    coverage : str or float, optional
        Share of images, as ``.9`` or ``90%``, whose class is to be in the set that each is given, see
        `fixgrid.heads.conformal`; of numbers, in an interval.
    unknown : str or float, optional
        Share of images of known classes, as ``.05`` or ``5%``, that may be called unknown, see
        `fixgrid.heads.novelty`.
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
    watcher, folder = watcher or Quiet(), open_folder(cache)
    watcher.phase("looking at the head and its trunk")
    saved, machine = load_head(find_head(head, folder, watcher)), Machine(backend, device, str(workers), engine)
    asked = ask_doubts(saved, coverage, unknown)
    replica = Replica(saved.trunk, saved.seen, trunk, weights, folder, machine, watcher)
    typed = [os.fsencode(image) for image in ([images] if isinstance(images, str | Path) else images)]
    named = list_images(typed, follow_links=follow_links)
    called = called or shlex.join(map(os.fsdecode, typed))
    manifest, notes = hash_listing(named, called, memo_folder=folder / "hashes", progress=watcher.show_hashed)
    for note in (*named.notes, *notes):
        watcher.notice(f"note: {note}")
    extraction, outcome = replica.see(manifest)
    watcher.phase("scoring images")
    blocks = join_blocks(replica.read(extraction))
    found = predict_images(saved, blocks, named.names, list_statuses(extraction), top, asked)
    shift = find_shift(saved, found)
    if shift and shift.is_strong:
        watcher.notice(f"note: {shift.describe()}")
    return Predicted(found, outcome, named.names, saved.task, shift)

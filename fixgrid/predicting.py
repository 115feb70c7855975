"""Predict and evaluate: a kept head on images that it has never seen."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .cache.shard import Status
from .cache.store import FeatureStore
from .cache.view import read_view
from .embed.extraction import Outcome
from .embed.listing import SPLIT, hash_listing, list_images
from .embed.replica import adopt_known, build_replica, find_trunk
from .embed.sizing import Machine
from .embed.watcher import Quiet, Watcher
from .extracting import identify_given
from .heads.artifact import load_head
from .heads.predictions import Prediction, join_blocks, predict_images

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
    """

    predictions: list[Prediction]
    outcome: Outcome
    names: tuple[bytes, ...]


def predict(
    head: str | Path,
    images: str | Path | Iterable[str | Path | bytes],
    *,
    trunk: nn.Module | OwnTrunk | None = None,
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
    trunk : nn.Module or OwnTrunk, optional
        The module that the head was fitted on, if it was one of the user's own.
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
    from .embed.machine import extract_here

    watcher, folder = watcher or Quiet(), Path(cache).expanduser()
    saved = load_head(Path(head).expanduser())
    views = [read_view(spec) for spec in saved.seen]
    several = [images] if isinstance(images, str | Path) else images
    typed = [os.fsencode(image) for image in several]
    named = list_images(typed, follow_links=follow_links)
    machine = Machine(backend, device, str(workers), engine).resolve()
    known = find_trunk(
        saved.trunk,
        views,
        Path(weights).expanduser() if weights else None,
        folder / "trunks",
        own=None if trunk is None else identify_given(trunk),
    )
    called = called or shlex.join(map(os.fsdecode, typed))
    manifest, notes = hash_listing(named, called, memo_folder=folder / "hashes", progress=watcher.show_hashed)
    for note in (*named.notes, *notes):
        watcher.notice(f"note: {note}")
    # A cache of its own: images to classify are no data set that fit-head, grid or cache gc should meet.
    extraction = build_replica(FeatureStore(folder / "predictions"), manifest, known.facts, saved.trunk, views)
    adopt_known(extraction, FeatureStore(folder))
    outcome = extract_here(extraction, known, watcher, machine, max_bad=1.0)
    entries, rows = [outcome.entries[SPLIT, view] for view in views], manifest.splits[SPLIT]
    codes = map(max, zip(*(entry.read_status().tolist() for entry in entries), strict=True))
    statuses = [Status(code).name.lower() for code in codes]
    blocks = join_blocks([entry.read_blocks(rows) for entry in entries])
    return Predicted(predict_images(saved, blocks, named.names, statuses, top), outcome, named.names)

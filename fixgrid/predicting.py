"""Predict and evaluate: a kept head on images that it has never seen."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .cache.errors import DataError, UsageError
from .cache.rows import Manifest
from .embed.listing import SPLIT, hash_listing, list_images
from .embed.listing import read_paths as read_paths
from .embed.manifest import read_manifest
from .embed.outcome import Outcome
from .embed.sizing import Machine
from .embed.watcher import Quiet, Watcher
from .freshness import say_other_images
from .heads.artifact import load_head
from .heads.figures import HeadFigures, measure_head
from .heads.head_table import format_figures
from .heads.predictions import Prediction, format_predictions, join_blocks, predict_images, score_images
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
    saved, machine = load_head(Path(head).expanduser()), Machine(backend, device, str(workers), engine)
    replica = Replica(saved.trunk, saved.seen, trunk, weights, folder, machine, watcher)
    typed = [os.fsencode(image) for image in ([images] if isinstance(images, str | Path) else images)]
    named = list_images(typed, follow_links=follow_links)
    called = called or shlex.join(map(os.fsdecode, typed))
    manifest, notes = hash_listing(named, called, memo_folder=folder / "hashes", progress=watcher.show_hashed)
    for note in (*named.notes, *notes):
        watcher.notice(f"note: {note}")
    extraction, outcome = replica.see(manifest)
    blocks = join_blocks(replica.read(extraction))
    found = predict_images(saved, blocks, named.names, list_statuses(extraction), top)
    return Predicted(found, outcome, named.names)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """How a head does on labelled images.

    Attributes
    ----------
    figures : HeadFigures
    outcome : Outcome
        What computing their features took; its bad images are not in the figures.
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
    saved, machine = load_head(Path(head).expanduser()), Machine(backend, device, str(workers), engine)
    replica = Replica(saved.trunk, saved.seen, trunk, weights, folder, machine, watcher)
    found, notes = read_manifest(
        str(data),
        cache_dir=folder,
        follow_links=follow_links,
        progress=watcher.show_hashed,
        download_progress=watcher.show_download,
    )
    for note in notes:
        watcher.notice(f"note: {note}")
    manifest = _label_as(found, split, saved.classes)
    say_other_images(saved, found, split, watcher)
    extraction, outcome = replica.see(manifest)
    blocks = list(join_blocks(replica.read(extraction)))
    y = np.concatenate([block.y for block in blocks]) if blocks else np.zeros(0, np.int64)
    if not len(y):
        raise DataError(f"found no usable image in the split {split} of {data}; expected some to score.")
    scores = np.concatenate([score_images(saved, block.X) for block in blocks])
    return Evaluated(measure_head(scores, y, saved.classes, saved.temperature), outcome)


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

"""Evaluate: a kept head on labelled images, its own or others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .cache.errors import DataError, UsageError
from .cache.rows import Manifest
from .embed.listing import SPLIT
from .embed.manifest import read_manifest
from .embed.outcome import Outcome
from .embed.sizing import Machine
from .embed.watcher import Quiet, Watcher
from .freshness import say_other_images
from .heads.artifact import SavedHead, load_head
from .heads.figures import HeadFigures, measure_head
from .heads.head_table import format_figures
from .heads.predictions import join_blocks, score_images
from .recording import records
from .seeing import Replica

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk


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


def _summarise_figures(found: Evaluated) -> dict[str, Any]:
    figures = found.figures
    main = figures.main
    return {"images": figures.n, main.name: main.value._asdict(), "bad": len(found.outcome.bad)}


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
    manifest = _label_as(found, split, saved)
    say_other_images(saved, found, split, watcher)
    extraction, outcome = replica.see(manifest)
    blocks = list(join_blocks(replica.read(extraction)))
    if not any(len(block.y) for block in blocks):
        raise DataError(f"found no usable image in the split {split} of {data}; expected some to score.")
    groups = [block.group for block in blocks if block.group is not None]
    figures = measure_head(
        np.concatenate([score_images(saved, block.X) for block in blocks]),
        np.concatenate([block.y for block in blocks]),
        saved.classes,
        saved.temperature,
        task=saved.task,
        group=np.concatenate(groups) if groups else None,
        thresholds=saved.thresholds,
    )
    return Evaluated(figures, outcome)


def _label_as(found: Manifest, split: str, saved: SavedHead) -> Manifest:
    """One split of a data set, its labels those of a head's classes."""
    classes, one = saved.classes, ("multiclass", "ordinal")
    if found.task == "unlabelled":
        raise DataError(
            f"found no labels in {found.source}, expected some to score a head by: class folders, or a table with "
            "a column of labels; predict answers without."
        )
    if found.task != saved.task and not (found.task in one and saved.task in one):
        raise DataError(
            f"found {found.task} labels in {found.source}; expected {saved.task} ones, which the head answers: "
            "see --task."
        )
    if split not in found.splits:
        raise UsageError(f"found --of {split!r}; expected one of {', '.join(found.splits)}.")
    rows = found.splits[split]
    if found.task == "regression":
        return Manifest(found.source, found.root, found.classes, {SPLIT: rows}, task=found.task)
    unknown = sorted(set(found.classes) - set(classes))
    if unknown:
        raise DataError(
            f"found {len(unknown)} class(es) in {found.source} unknown to the head, such as {unknown[0]!r}; "
            "expected classes of the data it was fitted on, by name."
        )
    index = np.array([classes.index(name) for name in found.classes], np.int64)
    if found.task == "multilabel":
        labels = np.zeros((len(rows), len(classes)), np.bool_)
        labels[:, index] = rows.labels
    else:
        labels = index[rows.labels]
    return Manifest(found.source, found.root, classes, {SPLIT: replace(rows, labels=labels)}, task=found.task)

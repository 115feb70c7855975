"""Evaluate: a kept head on labelled images, its own or others."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .asking import takes
from .cache.datasets import find_source
from .cache.errors import DataError, UsageError
from .cache.rows import Manifest
from .cache.store import FeatureStore
from .embed.listing import SPLIT
from .embed.manifest import read_manifest
from .embed.outcome import Outcome
from .embed.sizing import Machine
from .embed.sources.reading import Reading
from .embed.watcher import Quiet, Watcher
from .freshness import say_other_images
from .heads.artifact import SavedHead, load_head
from .heads.figures import HeadFigures
from .heads.head_table import format_figures
from .heads.measuring import measure_head
from .heads.novelty import Shift
from .heads.predictions import join_blocks, measure_doubts, score_images
from .recording import records
from .requests import TableRequest
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
    shift : Shift or None
        How the images lie against those that chose the head; None if its file does not say.
    """

    figures: HeadFigures
    outcome: Outcome
    shift: Shift | None = None

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_figures(self.figures, style, {"shift": self.shift.record()} if self.shift else {})


def _summarise_figures(found: Evaluated) -> dict[str, Any]:
    figures = found.figures
    main = figures.main
    shift = {"shift": found.shift.record()} if found.shift else {}
    return {"images": figures.n, main.name: main.value._asdict(), "bad": len(found.outcome.bad), **shift}


@dataclass(frozen=True)
class EvaluateRequest(TableRequest):
    """Which head, and on what.

    Attributes
    ----------
    head, trunk, weights, cache, follow_links, backend, device, workers, engine, watcher
        As `fixgrid.predict` takes them.
    data : str or Path
        As `fixgrid.extract` takes it. Its classes are matched by name, and each must be one of the head's.
    split : {"train", "val", "test"}
    """

    head: str | Path
    data: str | Path
    _: KW_ONLY
    split: str = "test"
    trunk: str | nn.Module | OwnTrunk | None = None
    weights: str | Path | None = None
    cache: str | Path = "features"
    follow_links: bool = False
    backend: str = "auto"
    device: str = "auto"
    workers: int | str = "auto"
    engine: str = "local"
    watcher: Watcher = field(default_factory=Quiet, compare=False, repr=False)


@takes(EvaluateRequest)
@records(_summarise_figures)
def evaluate(request: EvaluateRequest) -> Evaluated:
    """Score a kept head on a split of labelled images, its own or others of the same classes.

    Of data that this cache was extracted from, splits and labels are read as they were then, unless it is said
    otherwise. Arguments are those of `EvaluateRequest`.

    Raises
    ------
    FixgridError
        As `fixgrid.predict`; also if the data have no such split, a class that the head does not know, or no usable
        image.
    """
    watcher, folder = request.watcher, Path(request.cache).expanduser()
    saved, data = load_head(Path(request.head).expanduser()), str(request.data)
    machine = Machine(request.backend, request.device, str(request.workers), request.engine)
    replica = Replica(saved.trunk, saved.seen, request.trunk, request.weights, folder, machine, watcher)
    found = _read_data(request, data, folder, saved.task)
    manifest = _label_as(found, request.split, saved)
    say_other_images(saved, found, request.split, watcher)
    extraction, outcome = replica.see(manifest)
    blocks = list(join_blocks(replica.read(extraction)))
    if not any(len(block.y) for block in blocks):
        raise DataError(f"found no usable image in the split {request.split} of {data}; expected some to score.")
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
    known, shift = measure_doubts(saved, blocks)
    return Evaluated(replace(figures, figures=(*figures.figures, *known)), outcome, shift)


def _read_data(request: EvaluateRequest, data: str, folder: Path, task: str) -> Manifest:
    """The data set as it was extracted, else as is said, else as a head for ``task`` takes it."""
    known, _ = find_source(FeatureStore(folder), data)
    options = list(known.options) if known else []
    reading = request.reading if request.reading != Reading() else Reading.recall(options)
    if not known and not reading.task and task in ("multilabel", "regression"):
        reading = replace(reading, task=task)
    found, notes = read_manifest(
        data,
        cache_dir=folder,
        seed=int(options[options.index("--seed") + 1]) if "--seed" in options else 0,
        follow_links=request.follow_links or "--follow-links" in options,
        reading=reading,
        progress=request.watcher.show_hashed,
        download_progress=request.watcher.show_download,
    )
    for note in notes:
        request.watcher.notice(f"note: {note}")
    return found


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

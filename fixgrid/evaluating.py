"""Evaluate: a kept head on labelled images, its own or others."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .asking import takes
from .cache.errors import DataError
from .cache.mirror import open_folder
from .cache.store import FeatureStore
from .embed.outcome import Outcome
from .embed.sizing import Machine
from .embed.watcher import Quiet, Watcher
from .gathering import Gathered, gather_images
from .heads.answers import Answers, judge_answers
from .heads.artifact import load_head
from .heads.breakdown import format_breakdown
from .heads.figures import HeadFigures
from .heads.head_table import figures_record, format_evaluation
from .heads.mistakes import WrongAnswer, name_mistakes
from .heads.novelty import Shift
from .heads.predictions import join_blocks, measure_doubts, score_images
from .keeping import find_head
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
    answers : Answers
        Image by image.
    mistakes : list of WrongAnswer
        Those that are wrong, the worst first, with their files.
    outcome : Outcome
        What computing their features took; its bad images are not in the figures.
    gathered : Gathered
        Which images were scored, and why those.
    shift : Shift or None
        How the images lie against those that chose the head; None if its file does not say.
    """

    answers: Answers
    mistakes: list[WrongAnswer]
    outcome: Outcome
    gathered: Gathered
    shift: Shift | None = None

    @property
    def figures(self) -> HeadFigures:
        """Of all images, and class by class."""
        return self.answers.figures

    @property
    def warning(self) -> str:
        """A line if the head has met some of the images before; empty if not, or if that cannot be told."""
        return self.gathered.met.describe(len(self.gathered.rows)) if self.gathered.met else ""

    def format(
        self,
        style: str = "table",
        *,
        per_class: bool = False,
        confused: int | None = None,
        mistakes: int | None = None,
    ) -> str:
        """As ``table``, ``md``, ``csv`` or ``json``, with the tables of `format_breakdown` that are asked for."""
        record, tables = {**figures_record(self.figures), **self.gathered.record()}, (per_class, confused, mistakes)
        record |= {"shift": self.shift.record()} if self.shift else {}
        return format_breakdown(record, self.answers, style, *tables, wrong=self.mistakes, whole=format_evaluation)


def _summarise_figures(found: Evaluated) -> dict[str, Any]:
    figures = found.figures
    main = figures.main
    scored = {"images": figures.n, **found.gathered.record()}
    shift = {"shift": found.shift.record()} if found.shift else {}
    return {**scored, main.name: main.value.record(), "bad": len(found.outcome.bad), **shift}


@dataclass(frozen=True)
class EvaluateRequest(TableRequest):
    """Which head, and on what.

    Attributes
    ----------
    head, trunk, weights, cache, follow_links, backend, device, workers, engine, watcher
        As `fixgrid.predict` takes them.
    data : str or Path
        As `fixgrid.extract` takes it; one class will do. Classes are matched by name, and each must be one of the
        head's.
    split : {"train", "val", "test", "all"}, optional
        Which images are scored. If not given, test of the head's own data set; of other data that come with splits
        test, too, if there is one; else all.
    confused : int
        Most confused pairs of classes to measure, if more than ten.
    skip_unknown : bool
        Leave out images of classes that the head does not know, in place of refusing them.
    """

    head: str | Path
    data: str | Path
    _: KW_ONLY
    split: str | None = None
    confused: int = 0
    skip_unknown: bool = False
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
    """Score a kept head on labelled images, its own or others of the same classes.

    Of data that this cache was extracted from, labels are read as they were then, unless it is said otherwise.
    Arguments are those of `EvaluateRequest`.

    Raises
    ------
    FixgridError
        As `fixgrid.predict`; also if the data have no such split, a class that the head does not know, or no usable
        image.
    """
    watcher, folder = request.watcher, open_folder(request.cache)
    watcher.phase("looking at the head and its trunk")
    saved = load_head(find_head(request.head, folder, watcher))
    machine = Machine(request.backend, request.device, str(request.workers), request.engine)
    replica = Replica(saved.trunk, saved.seen, request.trunk, request.weights, folder, machine, watcher)
    gathered = gather_images(
        saved,
        str(request.data),
        FeatureStore(folder),
        split=request.split,
        reading=request.reading,
        follow_links=request.follow_links,
        skip_unknown=request.skip_unknown,
        watcher=watcher,
    )
    for line in gathered.notes(saved, folder):
        watcher.notice(line)
    extraction, outcome = replica.see(gathered.manifest)
    watcher.phase("scoring images")
    blocks = list(join_blocks(replica.read(extraction)))
    if not any(len(block.y) for block in blocks):
        raise DataError(f"found no usable image among those of {request.data}; expected some to score.")
    groups = [block.group for block in blocks if block.group is not None]
    known, shift = measure_doubts(saved, blocks)
    answers = judge_answers(
        np.concatenate([score_images(saved, block.X) for block in blocks]),
        np.concatenate([block.y for block in blocks]),
        np.concatenate([block.row for block in blocks]),
        saved.classes,
        saved.temperature,
        n_confused=max(request.confused, 10),
        task=saved.task,
        group=np.concatenate(groups) if groups else None,
        thresholds=saved.thresholds,
        more=known,
    )
    paths = gathered.rows.paths
    return Evaluated(answers, name_mistakes(answers, saved.classes, paths), outcome, gathered, shift)

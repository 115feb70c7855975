"""Grid, heads and learning curves: what is asked of cached features, no trunk needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .asking import takes
from .cache.disk import expect_writable
from .cache.holdings import POOLED
from .cache_requests import CurveRequest, GridRequest, HeadRequest
from .embed.watcher import Watcher
from .feature_requests import spread
from .freshness import say_changes
from .heads.answers import Answers
from .heads.breakdown import format_breakdown
from .heads.cell import Cell
from .heads.curve import CurvePoint, fit_curve, read_shares
from .heads.families import keep_linear
from .heads.figures import HeadFigures
from .heads.fit import Fitted, fit_best
from .heads.grid import run_grids
from .heads.head_table import fit_record, format_curve
from .heads.kept import describe_pairs, keep_fitted
from .heads.leak import say_below, warn_of_leak
from .heads.mistakes import WrongAnswer, name_mistakes
from .heads.question import Asked
from .heads.recipe import FITTING, count_passes, list_recipes
from .heads.table import Notes, format_cells
from .heads.verdict import Verdict, judge_cells
from .keeping import keep_head
from .recording import records


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a grid, one of them chosen on val.

    Attributes
    ----------
    verdict : Verdict
        The cells, marked, and how far val can be trusted.
    notes : Notes
        What it cost, and a warning where the trunk has seen the labels.
    """

    verdict: Verdict[Cell]
    notes: Notes

    @property
    def cells(self) -> list[Cell]:
        """All of them."""
        return self.verdict.cells

    @property
    def best(self) -> Cell:
        """The cell that val chose."""
        return self.verdict.best

    @property
    def cheapest(self) -> Cell | None:
        """The cheapest cell that val cannot tell from it; None if costs are not known."""
        return self.verdict.cheapest

    def format(self, style: str = "table", top: int | None = None) -> str:
        """As ``table``, ``md``, ``csv`` or ``json``; see `format_cells`."""
        return format_cells(self.verdict, self.notes, style, top)


@dataclass(frozen=True, eq=False)
class KeptHead:
    """A head that val chose and that is kept.

    Attributes
    ----------
    fitted : Fitted
    answers : Answers
        On test, image by image.
    mistakes : list of WrongAnswer
        Those that are wrong, the worst first, with their files.
    record : dict
        How it was chosen and how it did, as its file has it.
    files : (Path, Path)
        Coefficients and record.
    warning : str
        See `Grid.notes`.
    """

    fitted: Fitted
    answers: Answers
    mistakes: list[WrongAnswer]
    record: dict[str, Any]
    files: tuple[Path, Path]
    warning: str

    @property
    def figures(self) -> HeadFigures:
        """On test, class by class too."""
        return self.answers.figures

    def format(
        self,
        style: str = "table",
        *,
        per_class: bool = False,
        confused: int | None = None,
        mistakes: int | None = None,
    ) -> str:
        """As ``table``, ``md``, ``csv`` or ``json``, with the tables of `format_breakdown` that are asked for."""
        tables = per_class, confused, mistakes
        record = {**self.record, "warning": self.warning} if style == "json" else self.record
        said = format_breakdown(record, self.answers, style, *tables, wrong=self.mistakes)
        return said + say_below(self.warning, style)


@dataclass(frozen=True, eq=False)
class Curve:
    """A learning curve, and a warning where the trunk has seen the labels."""

    points: list[CurvePoint]
    warning: str

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_curve(self.points, style) + say_below(self.warning, style)


def _summarise_grid(found: Grid) -> dict[str, Any]:
    best = found.best
    return {
        "cells": len(found.cells),
        **best.axes._asdict(),
        "train_res": best.train_res,
        "test_res": best.test_res,
        "family": best.family,
        "correction": best.correction,
        "metric": best.metric,
        "units": best.units,
        "val": best.val.record(),
        "test": best.test.record(),
    }


def _summarise_head(kept: KeptHead) -> dict[str, Any]:
    return {"files": [str(file) for file in kept.files], **kept.record}


def _summarise_curve(found: Curve) -> dict[str, Any]:
    points = found.points
    return {
        "metric": points[0].metric,
        "points": [{"share": one.share, "images": one.images, "test": one.test.value} for one in points],
    }


@takes(GridRequest)
@records(_summarise_grid)
def grid(request: GridRequest) -> Grid:
    """How good every train x test resolution pair is, the best marked by val, ties called ties.

    Arguments are those of `GridRequest`.

    Raises
    ------
    FixgridError
        If the cache lacks what is asked for, or an option names what there is not.
    """
    asks = request.list_asks()
    say_changes(asks[0].holdings, request.folder, request.watcher)
    return make_grid(asks, request.on_cell, request.watcher)


def make_grid(asks: Sequence[Asked], on_cell: Callable[[Cell], None] | None, watcher: Watcher) -> Grid:
    """The cells of all questions, judged together; ``on_cell`` is called with each as it is made."""
    cells = []
    total = sum(1 for asked in asks for _ in list_recipes(asked))
    watcher.phase(FITTING, 0, total, "cells")
    for cell in run_grids(asks):
        cells.append(cell)
        watcher.phase(FITTING, len(cells), total, "cells")
        if on_cell is not None:
            on_cell(cell)
    watcher.phase("comparing cells")
    return Grid(judge_cells(cells), Notes(*count_passes(asks), warn_of_leak(*(asked.holdings for asked in asks))))


@takes(HeadRequest)
@records(_summarise_head)
def fit_head(request: HeadRequest) -> KeptHead:
    """Fit the head of the best resolution pair, chosen on val, score it on test once, and keep it.

    Arguments are those of `HeadRequest`.

    Raises
    ------
    FixgridError
        As `grid`; also if it cannot be written.
    """
    out = Path(request.out).expanduser() if request.out else None
    if out:
        expect_writable(out)
    asks = request.list_asks()
    say_changes(asks[0].holdings, request.folder, request.watcher)
    wanted = asks[0].options.families
    families = keep_linear(wanted)
    if families != wanted:
        kept_ones = ",".join(families)
        request.watcher.notice(f"note: knn heads are the training features, and not kept: chosen among {kept_ones}")
    linear = [dataclasses.replace(asked.options, families=families) for asked in asks]
    asks = [dataclasses.replace(asked, options=options) for asked, options in zip(asks, linear, strict=True)]
    fitted = fit_best(asks, request.prefer, request.watcher.phase)
    asked = next(asked for asked in asks if asked is fitted.ask)
    holdings = asked.holdings
    request.watcher.phase("scoring the head")
    classes, test = holdings.manifest.classes, holdings.manifest.splits["test"]
    answers = fitted.answer(classes, n_confused=request.confused)
    record = fit_record(fitted, answers.figures)
    how = {
        "tried": [f"{train}:{test}" for train, test in asked.pairs],
        "search": fitted.choice.note,
        "mean_of": asked.options.mean_of,
        "drop_duplicates": request.drop_duplicates,
        **({"folds": {**asked.folds.facts, "of": asked.folds.deck.splits}} if asked.folds else {}),
        **({} if holdings.features == POOLED else {"features": holdings.features}),
    }
    saved = keep_fitted(fitted, holdings, {**record, **how}, _describe_asked(request, asked, wanted))
    files = keep_head(saved, holdings, request.folder, out, request.watcher)
    wrong = name_mistakes(answers, classes, test.paths)
    return KeptHead(fitted, answers, wrong, record, files, warn_of_leak(holdings))


def _describe_asked(request: HeadRequest, asked: Asked, families: Sequence[str]) -> dict[str, Any]:
    """What tells the question from others of the same features and labels, as JSON values."""
    options = asked.options
    strengths: Any = request.strengths
    return {
        "heads": list(families),
        "gap": list(options.corrections),
        "pairs": describe_pairs(request.pairs, asked.pairs),
        **{name: sorted(map(str, spread(getattr(request, name)))) for name in ("features", "crop_ratio")},
        "train_view": "+".join(options.train_kinds),
        "test_view": options.test_kind,
        "prefer": request.prefer,
        "mean_of": options.mean_of,
        "strengths": strengths if strengths in (None, "full") else list(options.strengths),
        "refit": options.refit,
        "drop_duplicates": asked.dropped,
    }


@takes(CurveRequest)
@records(_summarise_curve)
def curve(request: CurveRequest) -> Curve:
    """What some of the training images would have given: a point for each share, chosen on val, scored on test.

    Arguments are those of `CurveRequest`.

    Raises
    ------
    FixgridError
        As `grid`; also if a share is none.
    """
    shares = read_shares(request.shares)
    asked = dataclasses.replace(request, repeats=1).ask()
    say_changes(asked.holdings, request.folder, request.watcher)
    points = fit_curve(asked, shares, repeats=request.repeats, phase=request.watcher.phase)
    return Curve(points, warn_of_leak(asked.holdings))

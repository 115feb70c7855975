"""Cells as a table for a terminal, Markdown, CSV or JSON. Pure text: nothing here prints."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fixgrid.cache.text import FORMATS, WIDTH, say_left_out, show_text, to_columns, to_csv, to_markdown
from fixgrid.cache.width import measure_width

from .cell import Axes, Cell, Cost, Trial, differs
from .measures import MEASURES, Measure
from .metrics import Estimate
from .verdict import Verdict

_HEADERS = ("train_res", "test_res", "size ratio", "GMAC", "ms", "val", "test", "95 % interval", "C", "")
_SPARE = ("size ratio", "C", "strength", "ms", "GMAC")  # columns that a reader misses least, the first first
_NAMED = 22  # characters of a trunk's name in a row


@dataclass(frozen=True)
class Notes:
    """What stands below a table.

    Attributes
    ----------
    passes_run, passes_avoided : int
        Trunk passes (one per split, view and resolution) that this grid cost, and that a training per cell
        would have cost on top.
    warning : str
        A line about leaked labels; empty where there is no leak to warn of.
    folds : int
        Folds that chose in place of val; 0 if val did.
    """

    passes_run: int = 0
    passes_avoided: int = 0
    warning: str = ""
    folds: int = 0


def format_cells(verdict: Verdict[Cell], notes: Notes, style: str, top: int | None = None) -> str:
    """The grid in one of `FORMATS`, ending in a newline.

    Parameters
    ----------
    verdict : Verdict
    notes : Notes
    style : str
    top : int, optional
        Show so many of the best on val, and what else is marked for its cost; JSON and CSV hold all.

    Raises
    ------
    ValueError
        If ``style`` is not one of them.
    """
    cells = verdict.cells
    records = [cell_record(cell) for cell in cells]
    if style == "json":
        judged = {"n_val": verdict.n_val, "optimism": verdict.optimism, "resolution": verdict.resolution}
        return json.dumps({"cells": records, **judged, **vars(notes)}, indent=2) + "\n"
    if style == "csv":
        return to_csv(records)
    if style not in FORMATS:
        raise ValueError(f"unknown format {style!r}: expected one of {', '.join(FORMATS)}")
    shown = _take_top(cells, top)
    rows = _cell_rows(cells, shown)
    left_out: list[str] = []
    if style == "table":
        rows, left_out = _fit_columns(rows)
    lines = to_markdown(rows) if style == "md" else to_columns(rows)
    hidden = len(cells) - len(shown)
    return "\n".join([*lines, "", *explain_cells(verdict, notes, left_out, hidden)]) + "\n"


def _take_top(cells: Sequence[Cell], top: int | None) -> list[Cell]:
    """Those of the best accuracies on val and those that are marked for their cost, in their order."""
    bar = sorted((cell.val.value for cell in cells), reverse=True)[:top][-1:] if top else []
    return [cell for cell in cells if not bar or cell.val.value >= bar[0] or cell.front or cell.cheap]


def cell_record(cell: Cell) -> dict[str, Any]:
    """A cell as flat JSON values; percentages are fractions."""
    cost: dict[str, Any] = cell.cost._asdict() if cell.cost else dict.fromkeys(Cost._fields)
    return {
        **cell.axes._asdict(),
        "train_res": cell.train_res,
        "test_res": cell.test_res,
        "size_ratio": round(cell.apparent, 4),
        **record_estimate("val", cell.val),
        **record_estimate("test", cell.test),
        "family": cell.family,
        "correction": cell.correction,
        "metric": cell.metric,
        "units": cell.units,
        "n_test": len(cell.row),
        "C": cell.strength,
        **cost,
        **{name: getattr(cell, name) for name in ("chosen", "tie", "val_tie", "test_p", "val_p", "front", "cheap")},
        "search": cell.note,
    }


def explain_cells(verdict: Verdict[Cell], notes: Notes, left_out: Sequence[str] = (), hidden: int = 0) -> list[str]:
    """What the table means and has no room for, in lines of at most 80 columns."""
    said = _explain_marks(verdict) + explain_choice(verdict, notes.folds) if verdict.cells else []
    said.append(
        f"Cost: {notes.passes_run} passes of the trunk, where passes for each cell alone would be "
        f"{notes.passes_run + notes.passes_avoided}; heads were fitted on cached features."
    )
    if hidden:
        said.append(f"Not shown: {hidden} cells that are worse on val; the formats csv and json have them.")
    if left_out:
        said.append(say_left_out(left_out))
    said += [notes.warning] if notes.warning else []
    return [line for text in said for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]


def _explain_marks(verdict: Verdict[Cell]) -> list[str]:
    """What the last column means, as far as it is used."""
    cells, best = verdict.cells, verdict.best
    said = [
        f"* chosen on val, not on test: {name_cell(best, cells)}. {name_figure(best)}"
        f"{format_estimate(best.test, best.measure)} on {len(best.row)} test {best.units}."
    ]
    counted = {mark: sum(_mark(cell).startswith(mark) for cell in cells) for mark in "=vt"}
    words = {"=": "neither val nor test can", "v": "val cannot", "t": "test cannot"}
    for mark, count in counted.items():
        if count:
            tied = f"{count} cell{'s' * (count > 1)} that {words[mark]} tell from it"
            said.append(f"{mark} {tied}{': a tie, not a loss' if mark == '=' else ''}.")
    if any(counted.values()):
        said[-1] += " Told at 5 % for all comparisons together (maxT, Westfall & Young 1993)."
    cheap, fronted = verdict.cheapest, [cell for cell in cells if cell.front]
    if cheap is not None and len(cells) > 1:
        saved = "" if cheap is best else f": {_show_gmac(cheap)} instead of {_show_gmac(best)} GMAC an image"
        said.append(f"c cheapest that val cannot tell from it: {name_cell(cheap, cells)}{saved}.")
    if len(fronted) > 1:
        said.append(f"f front: none of the {len(cells)} cells that costs as little is as good on val.")
    return said


def explain_choice(verdict: Verdict[Any], folds: int = 0) -> list[str]:
    """How far val can be trusted with the choice among so many."""
    best, k = verdict.best, len(verdict.cells)
    if k == 1:
        return []
    unit = best.measure.unit
    optimism, value, least = (
        f"{unit * figure:.{digits if unit == 100 else 3}f}"
        for figure, digits in ((verdict.optimism, 1), (best.val.value, 1), (verdict.resolution, 0))
    )
    luck = f"{optimism} of its {value}{best.measure.suffix} are"
    if not float(optimism):
        luck = f"hardly any of its {value}{best.measure.suffix} is"
    said = (
        f"Val: best of {k} on {verdict.n_val} {best.units}; {luck} the luck of being the best (BBC-CV, Tsamardinos "
        "et al. 2018)."
    )
    if verdict.decides:
        return [said]
    more = "" if folds else ": --folds 5 lets more images choose"
    return [
        f"{said} It cannot tell the best from most others, nor any difference below {least}"
        f"{' points' * (unit == 100)}{more}."
    ]


def name_figure(cell: Trial) -> str:
    """What its figure is, where that is not accuracy: ``mAP ``."""
    return "" if cell.metric == "accuracy" else f"{cell.measure.title} "


def name_cell(cell: Trial, cells: Sequence[Trial]) -> str:
    """A cell in words, with whatever it may differ in from the others."""
    where = f"train at {cell.train_res} px, test at {cell.test_res} px"
    return ", ".join(filter(None, [name_axes(cell, cells), *_name_kinds(cell, cells), where]))


def label_cell(cell: Trial, cells: Sequence[Trial]) -> str:
    """As `name_cell`, but short: for legends and rows."""
    where = f"{cell.train_res}→{cell.test_res} px"
    return ", ".join(filter(None, [name_axes(cell, cells), *_name_kinds(cell, cells), where]))


def _name_kinds(cell: Trial, cells: Sequence[Trial]) -> list[str]:
    """Its family and correction, where cells differ in them."""
    names = ("family", "correction")
    return [getattr(cell, name) for name in names if len({getattr(other, name) for other in cells}) > 1]


def name_axes(cell: Trial, cells: Sequence[Trial]) -> str:
    """Those of a cell's axes in which the cells differ, in words."""
    words = {"crop_ratio": "crop ratio {}", "train_view": "{} views for training", "test_view": "{} views for test"}
    values = [
        (name, value)
        for name, value in cell.axes._asdict().items()
        if differs(name, [other.axes for other in cells])
    ]
    return ", ".join(words.get(name, "{}").format(show_trunk(value)) for name, value in values)


def show_trunk(name: str) -> str:
    """A trunk's name without the folders of its file, its middle left out if it is still long."""
    short = show_text(name.rsplit("/", 1)[-1] if "/" in name and ":" in name.rsplit("/", 1)[-1] else name)
    return short if len(short) <= _NAMED else f"{short[: _NAMED // 2 - 1]}…{short[-_NAMED // 2 :]}"


def format_estimate(estimate: Estimate, measure: Measure = MEASURES["accuracy"]) -> str:
    """A figure with its interval: ``94.73 % [94.01, 95.37]``, or ``0.873 [0.811, 0.920]``."""
    return f"{measure.show(estimate.value)}{measure.suffix} {show_interval(estimate, measure)}".rstrip()


def show_interval(estimate: Estimate, measure: Measure = MEASURES["accuracy"]) -> str:
    """The ends of its interval; nothing where there is none."""
    return "" if math.isnan(estimate.low) else f"[{measure.show(estimate.low)}, {measure.show(estimate.high)}]"


def record_estimate(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    """An estimate as three flat JSON values, empty if there is none."""
    ends = estimate.record().values() if estimate else (None,) * 3
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def _cell_rows(cells: Sequence[Cell], shown: Sequence[Cell]) -> list[tuple[str, ...]]:
    """Header and rows of those shown; what is equal in all cells is no column."""
    others = {cell.family for cell in cells} - {"logistic"}
    header = tuple("strength" if others and name == "C" else name for name in _HEADERS)
    rows = [header, *(_cell_row(cell) for cell in shown)]
    for name, known in (("GMAC", any(c.cost for c in cells)), ("ms", any(c.cost and c.cost.ms for c in cells))):
        rows = rows if known else _drop_column(rows, name)
    for name in ("correction", "family"):
        values = [getattr(cell, name) for cell in shown]
        rows = _add_column(rows, name, values) if len({getattr(cell, name) for cell in cells}) > 1 else rows
    for axis in reversed(Axes._fields):
        values = [getattr(cell.axes, axis) for cell in shown]
        shorter = list(map(show_trunk, values)) if axis == "trunk" else values
        rows = _add_column(rows, axis, shorter) if differs(axis, [cell.axes for cell in cells]) else rows
    return rows


def _add_column(rows: list[tuple[str, ...]], name: str, values: Sequence[str]) -> list[tuple[str, ...]]:
    return [(head, *row) for head, row in zip([name, *values], rows, strict=True)]


def _drop_column(rows: list[tuple[str, ...]], name: str) -> list[tuple[str, ...]]:
    at = rows[0].index(name)
    return [(*row[:at], *row[at + 1 :]) for row in rows]


def _fit_columns(rows: list[tuple[str, ...]]) -> tuple[list[tuple[str, ...]], list[str]]:
    """The rows as 80 columns have room for them, and the names of the columns that are left out.

    Both resolutions go into one column before any but the size ratio is left out.
    """
    left_out: list[str] = []
    for name in _SPARE:
        if name in rows[0] and max(map(measure_width, to_columns(rows))) > WIDTH:
            rows = _drop_column(rows, name)
            left_out.append(name)
        if max(map(measure_width, to_columns(rows))) > WIDTH and "train_res" in rows[0]:
            rows = _join_pairs(rows)
    return rows, left_out


def _join_pairs(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    at = rows[0].index("train_res")
    pairs = ["pair, px", *(f"{row[at]}:{row[at + 1]}" for row in rows[1:])]
    return [(*row[:at], pair, *row[at + 2 :]) for row, pair in zip(rows, pairs, strict=True)]


def _cell_row(cell: Cell) -> tuple[str, ...]:
    return (
        str(cell.train_res),
        str(cell.test_res),
        f"{cell.apparent:.2f}",
        _show_gmac(cell),
        f"{cell.cost.ms:.1f}" if cell.cost and cell.cost.ms else "",
        cell.measure.show(cell.val.value),
        cell.measure.show(cell.test.value),
        show_interval(cell.test, cell.measure),
        f"{cell.strength:.2e}",
        _mark(cell),
    )


def _mark(cell: Cell) -> str:
    """See `_explain_marks`."""
    told = "*" if cell.chosen else "=" if cell.tie and cell.val_tie else "v" * cell.val_tie + "t" * cell.tie
    return told + "c" * cell.cheap + "f" * cell.front


def _show_gmac(cell: Trial) -> str:
    return f"{cell.cost.gmac:.2f}" if cell.cost else ""

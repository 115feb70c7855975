"""Cells as a table for a terminal, Markdown, CSV or JSON. Pure text: nothing here prints."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fixgrid.cache.text import FORMATS, WIDTH, format_records, to_columns, to_csv, to_markdown

from .curve import CurvePoint
from .figures import HeadFigures
from .fit import Fitted
from .grid import Cell
from .metrics import Estimate

_HEADERS = ("train_res", "test_res", "size ratio", "val", "test", "95 % interval", "C", "")
# Of a head on some images: field, title, unit.
_FIGURES = {
    "top1": ("accuracy, %", 100),
    "top5": ("top-5, %", 100),
    "class_mean": ("mean of classes, %", 100),
    "nll": ("log-loss, nats", 1),
    "calibration": ("calibration error, %", 100),
}
_SPARE = ("size ratio", "C", "strength")  # columns that a reader misses least, the first first


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
    """

    passes_run: int = 0
    passes_avoided: int = 0
    warning: str = ""


def format_cells(cells: Sequence[Cell], notes: Notes, style: str) -> str:
    """The grid in one of `FORMATS`, ending in a newline.

    Raises
    ------
    ValueError
        If ``style`` is not one of them.
    """
    plain = all(cell.features == "pooled" for cell in cells)
    records = [({} if plain else {"features": cell.features}) | cell_record(cell) for cell in cells]
    if style == "json":
        return json.dumps({"cells": records, **vars(notes)}, indent=2) + "\n"
    if style == "csv":
        return to_csv(records)
    if style not in FORMATS:
        raise ValueError(f"unknown format {style!r}: expected one of {', '.join(FORMATS)}")
    rows = _cell_rows(cells)
    left_out: list[str] = []
    if style == "table":
        rows, left_out = _fit_columns(rows)
    lines = to_markdown(rows) if style == "md" else to_columns(rows)
    return "\n".join([*lines, "", *explain_cells(cells, notes, left_out)]) + "\n"


def fit_record(fitted: Fitted, figures: HeadFigures) -> dict[str, Any]:
    """A kept head as JSON values: how it was chosen, and its figures on test with their intervals."""
    measured = {name: getattr(figures, name)._asdict() for name in ("top5", "class_mean", "nll", "calibration")}
    return {
        "train_res": fitted.train_res,
        "test_res": fitted.test_res,
        "family": fitted.family,
        "correction": fitted.correction,
        "strength": float(fitted.choice.strength),
        "val": fitted.choice.val._asdict(),
        "test": fitted.score.accuracy._asdict(),
        "n_val": fitted.n_val,
        "n_test": figures.n,
        **measured,
        "temperature": figures.temperature,
    }


def format_fit(record: dict[str, Any], style: str) -> str:
    """What `fit_record` gives in one of `FORMATS`, ending in a newline."""
    if style == "json":
        return json.dumps(record, indent=2) + "\n"
    named = {"val": ("val accuracy, %", 100), "test": ("test accuracy, %", 100)}
    named |= {name: (f"test {title}", unit) for name, (title, unit) in _FIGURES.items() if name != "top1"}
    rows = [
        {"figure": title, **{part: f"{unit * value:.2f}" for part, value in record[name].items()}}
        for name, (title, unit) in named.items()
    ]
    if style == "csv":
        return to_csv(rows)
    chosen = (
        f"chosen on val: train at {record['train_res']} px, test at {record['test_res']} px\n"
        f"head {record['family']}, gap {record['correction']}, strength {record['strength']:.2e}, "
        f"temperature {record['temperature']:.2f}\n"
    )
    return f"{chosen}\n{format_records(rows, style)}\n{record['n_test']} test images; 95 % intervals\n"


def format_figures(figures: HeadFigures, style: str) -> str:
    """How a head did on some images, in one of `FORMATS`, ending in a newline."""
    if style == "json":
        measured = {name: getattr(figures, name)._asdict() for name in _FIGURES}
        return json.dumps({"n": figures.n, **measured, "temperature": figures.temperature}, indent=2) + "\n"
    rows = []
    for name, (title, unit) in _FIGURES.items():
        shown = {part: f"{unit * value:.2f}" for part, value in getattr(figures, name)._asdict().items()}
        rows.append({"figure": title, **shown})
    return format_records(rows, style)


def format_curve(points: Sequence[CurvePoint], style: str) -> str:
    """A learning curve in one of `FORMATS`, ending in a newline."""
    if style in ("json", "csv"):
        return format_records([_point_record(point) for point in points], style)
    rows = [
        {
            "share, %": f"{100 * point.share:g}",
            "images": point.images,
            "pair, px": f"{point.train_res}:{point.test_res}",
            "strength": f"{point.strength:.2e}",
            "val": f"{100 * point.val.value:.2f}",
            "test": f"{100 * point.test.value:.2f}",
            "95 % interval": _interval(point.test),
        }
        for point in points
    ]
    return format_records(rows, style)


def _point_record(point: CurvePoint) -> dict[str, Any]:
    estimates = {**_estimate_record("val", point.val), **_estimate_record("test", point.test)}
    return {**{name: value for name, value in vars(point).items() if name not in ("val", "test")}, **estimates}


def cell_record(cell: Cell) -> dict[str, Any]:
    """A cell as flat JSON values; accuracies are fractions."""
    return {
        "train_res": cell.train_res,
        "test_res": cell.test_res,
        "size_ratio": round(cell.apparent, 4),
        **_estimate_record("val", cell.val),
        **_estimate_record("test", cell.test),
        "family": cell.family,
        "correction": cell.correction,
        "n_test": len(cell.row),
        "C": cell.strength,
        "chosen": cell.chosen,
        "tie": cell.tie,
        "search": cell.note,
    }


def explain_cells(cells: Sequence[Cell], notes: Notes, left_out: Sequence[str] = ()) -> list[str]:
    """What the table means and which columns it has no room for, in lines of at most 80 columns."""
    best = next((cell for cell in cells if cell.chosen), None)
    said = []
    if best is not None:
        ties = sum(cell.tie for cell in cells)
        said.append(
            f"* chosen on val, not on test: train at {best.train_res} px, test at {best.test_res} px. "
            f"{format_estimate(best.test)} on {len(best.row)} test images."
        )
        if ties:
            said.append(
                f"= {ties} cell{'s' * (ties > 1)} that these test images cannot tell from it "
                "(McNemar, 5 %): a tie, not a loss."
            )
    said.append(
        f"Cost: {notes.passes_run} passes of the trunk, where passes for each cell alone would be "
        f"{notes.passes_run + notes.passes_avoided}; heads were fitted on cached features."
    )
    if left_out:
        said.append(f"Not shown for want of room: {', '.join(left_out)}; the other formats have them.")
    said += [notes.warning] if notes.warning else []
    return [line for text in said for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]


def format_estimate(estimate: Estimate) -> str:
    """A proportion in percent with its interval: ``94.73 % [94.01, 95.37]``."""
    return f"{100 * estimate.value:.2f} % {_interval(estimate)}"


def _interval(estimate: Estimate) -> str:
    return f"[{100 * estimate.low:.2f}, {100 * estimate.high:.2f}]"


def _estimate_record(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _cell_rows(cells: Sequence[Cell]) -> list[tuple[str, ...]]:
    """Header and rows; family and correction are columns where cells differ in them."""
    others = {cell.family for cell in cells} - {"logistic"}
    header = tuple("strength" if others and name == "C" else name for name in _HEADERS)
    rows = [header, *(_cell_row(cell) for cell in cells)]
    for name in ("correction", "family", "features"):
        values = [str(getattr(cell, name)) for cell in cells]
        if len(set(values)) > 1:
            rows = [(head, *row) for head, row in zip([name, *values], rows, strict=True)]
    return rows


def _fit_columns(rows: list[tuple[str, ...]]) -> tuple[list[tuple[str, ...]], list[str]]:
    """The rows without as many of `_SPARE` as 80 columns have no room for, and the names of those."""
    left_out: list[str] = []
    for name in (name for name in _SPARE if name in rows[0]):
        if max(map(len, to_columns(rows))) <= WIDTH:
            break
        at = rows[0].index(name)
        rows = [(*row[:at], *row[at + 1 :]) for row in rows]
        left_out.append(name)
    return rows, left_out


def _cell_row(cell: Cell) -> tuple[str, ...]:
    return (
        str(cell.train_res),
        str(cell.test_res),
        f"{cell.apparent:.2f}",
        f"{100 * cell.val.value:.2f}",
        f"{100 * cell.test.value:.2f}",
        _interval(cell.test),
        f"{cell.strength:.2e}",
        "*" if cell.chosen else "=" if cell.tie else "",
    )

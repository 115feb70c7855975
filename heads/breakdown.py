"""The figures of a kept head by class, and which classes it takes for one another, as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixgrid.cache.text import escape_markdown, format_records, shorten_names, show_text

from .figures import ClassRow, Confusion, HeadFigures
from .head_table import format_fit
from .table import format_estimate, record_estimate

Show = Callable[[str], str]  # how a name from the data is shown


def format_breakdown(
    record: dict[str, Any], figures: HeadFigures, style: str, per_class: bool, n_confused: int | None
) -> str:
    """What `heads.table.format_fit` gives, and the tables asked for, in one of `heads.table.FORMATS`.

    JSON has them as lists beside the figures; CSV has them alone, an empty line between two, since a file of
    comma-separated values is one table. JSON holds names as they are; the others escape what a terminal or a
    table would obey.

    Parameters
    ----------
    record : dict
        From `heads.table.fit_record`.
    figures : HeadFigures
    style : str
    per_class : bool
        Whether there is a table of classes.
    n_confused : int or None
        Length of the table of confused pairs; None leaves it out.
    """
    shows: dict[str, Show] = {"json": str, "md": escape_markdown}
    show = shows.get(style, show_text)
    row_of = _class_record if style in ("json", "csv") else _class_cells
    tables: dict[str, list[dict[str, Any]]] = {}
    if per_class:
        several = any(row.average_precision for row in figures.per_class)
        tables["per_class"] = [row_of(row, show, several) for row in figures.per_class]
    if n_confused is not None:
        tables["confused"] = [_pair_record(pair, show) for pair in figures.confused[:n_confused]]
    if style == "json":
        return format_fit({**record, **tables}, figures, style)
    if style == "csv":
        parts = [format_records(rows, style) for rows in tables.values() if rows]
        return "\n".join(parts or [format_fit(record, figures, style)])
    short = dict.fromkeys(("class", "first", "second"), shorten_names)
    parts = [
        format_records(rows, style, shortened=short) if rows else f"{_say_none(figures)}\n"
        for rows in tables.values()
    ]
    return "\n".join([format_fit(record, figures, style), *dict.fromkeys(parts)])


def _say_none(figures: HeadFigures) -> str:
    """Why a table is empty."""
    if not figures.per_class:
        return "labels are numbers, not classes"
    if any(row.average_precision for row in figures.per_class):
        return "images may have several labels: none is taken for another"
    return "no test image was taken for another class"


def _class_record(row: ClassRow, show: Show, several: bool) -> dict[str, Any]:
    record = {
        "class": show(row.name),
        "n": row.n,
        **record_estimate("recall" if several else "accuracy", row.recall),
        "precision": row.precision,
    }
    return {**record, **record_estimate("average_precision", row.average_precision)} if several else record


def _class_cells(row: ClassRow, show: Show, several: bool) -> dict[str, Any]:
    own, precision = {"class": show(row.name), "n": row.n}, _show_share(row.precision)
    if not several:
        return {
            **own,
            "accuracy, 95 % interval": row.recall and format_estimate(row.recall),
            "precision": precision,
        }
    return {
        **own,
        "recall": _show_share(row.recall.value if row.recall else None),
        "precision": precision,
        "average precision, 95 % interval": row.average_precision and format_estimate(row.average_precision),
    }


def _show_share(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.2f} %"


def _pair_record(pair: Confusion, show: Show) -> dict[str, Any]:
    ends = {"first": show(pair.first), "second": show(pair.second)}
    return {**ends, "first as second": pair.there, "second as first": pair.back}

"""The figures of a kept head by class, and which classes it takes for one another, as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixgrid.cache.text import escape_markdown, format_records, show_text

from .figures import HeadFigures
from .head_table import format_fit
from .per_class import ClassRow, Confusion
from .table import format_estimate

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
        tables["per_class"] = [row_of(row, show) for row in figures.per_class]
    if n_confused is not None:
        tables["confused"] = [_pair_record(pair, show) for pair in figures.confused[:n_confused]]
    if style == "json":
        return format_fit({**record, **tables}, figures, style)
    parts = [format_records(rows, style) for rows in tables.values()]
    return "\n".join(parts if style == "csv" and parts else [format_fit(record, figures, style), *parts])


def _class_record(row: ClassRow, show: Show) -> dict[str, Any]:
    value, low, high = row.recall or (None, None, None)
    accuracy = {"accuracy": value, "accuracy_low": low, "accuracy_high": high}
    return {"class": show(row.name), "n": row.n, **accuracy, "precision": row.precision}


def _class_cells(row: ClassRow, show: Show) -> dict[str, Any]:
    accuracy = row.recall and format_estimate(row.recall)
    precision = None if row.precision is None else f"{100 * row.precision:.2f} %"
    return {"class": show(row.name), "n": row.n, "accuracy, 95 % interval": accuracy, "precision": precision}


def _pair_record(pair: Confusion, show: Show) -> dict[str, Any]:
    ends = {"first": show(pair.first), "second": show(pair.second)}
    return {**ends, "first as second": pair.there, "second as first": pair.back}

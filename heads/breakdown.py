"""A head's figures by class, the classes that it takes for one another, and its wrong answers, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fixgrid.cache.text import escape_markdown, format_records, show_text, tell_apart, to_csv

from .answers import Answers, bin_answers
from .figures import ClassRow, Confusion, HeadFigures
from .head_table import format_fit
from .mistakes import WrongAnswer, format_mistakes, name_fields, record_mistakes
from .table import format_estimate, record_estimate

Whole = Callable[[dict[str, Any], HeadFigures, str], str]
"""Makes a text of the figures of all images, as `heads.head_table.format_fit` does."""


def format_breakdown(
    record: dict[str, Any],
    answers: Answers,
    style: str,
    per_class: bool = False,
    n_confused: int | None = None,
    n_mistakes: int | None = None,
    *,
    wrong: Sequence[WrongAnswer] = (),
    whole: Whole = format_fit,
) -> str:
    """What ``whole`` gives, and the tables asked for, in one of `fixgrid.cache.text.FORMATS`.

    JSON has them as lists beside the figures, and always the bins of a reliability diagram; CSV has them alone, an
    empty line between two, since a file of comma-separated values is one table; of nothing it is the header. JSON
    holds names as they are; the others escape what a terminal or a table would obey, and number classes that would
    be shown alike.

    Parameters
    ----------
    record : dict
        The figures of all images as JSON values.
    answers : Answers
    style : str
    per_class : bool
        Whether there is a table of classes.
    n_confused, n_mistakes : int or None
        Length of the tables of confused pairs and of wrong answers; None leaves one out. JSON and CSV have all
        wrong answers.
    wrong : sequence of WrongAnswer
        All of them.
    whole : callable
    """
    figures = answers.figures
    classes = [row.name for row in figures.per_class]
    show = escape_markdown if style == "md" else show_text
    shown = dict(zip(classes, classes if style == "json" else tell_apart(classes, show), strict=True))
    row_of = _class_record if style in ("json", "csv") else _class_cells
    several = answers.task == "multilabel"
    tables: dict[str, list[dict[str, Any]]] = {}
    if per_class:
        tables["per_class"] = [row_of(row, shown, several) for row in figures.per_class]
    if n_confused is not None:
        tables["confused"] = [_pair_record(pair, shown) for pair in figures.confused[:n_confused]]
    if style in ("json", "csv"):
        if n_mistakes is not None:
            tables["mistakes"] = record_mistakes(wrong, classes, style)
        if style == "json":
            return whole({**record, "reliability": _list_bins(answers), **tables}, figures, style)
        fields: dict[str, Iterable[str]] = {
            "per_class": _class_record(ClassRow("", 0, None, None), {"": ""}, several),
            "confused": _pair_record(Confusion("", "", 0, 0), {"": ""}),
            "mistakes": name_fields(answers.task),
        }
        parts = [to_csv(rows, fields[name]) for name, rows in tables.items()]
        return "\n".join(parts or [whole(record, figures, style)])
    names = ("class", "first", "second")
    texts = [
        format_records(rows, style, broken=names) if rows else f"{_say_none(figures)}\n" for rows in tables.values()
    ]
    if n_mistakes is not None:
        texts.append(format_mistakes(wrong, classes, style, n_mistakes, figures.n))
    return "\n".join([whole(record, figures, style), *dict.fromkeys(texts)])


def _list_bins(answers: Answers) -> list[dict[str, Any]]:
    bins = bin_answers(answers)
    return [{"n": one.n, "confidence": one.confidence, **record_estimate("right", one.rate)} for one in bins]


def _say_none(figures: HeadFigures) -> str:
    """Why a table is empty."""
    if not figures.per_class:
        return "labels are numbers, not classes"
    if any(row.average_precision for row in figures.per_class):
        return "images may have several labels: none is taken for another"
    return "no image was taken for another class"


def _class_record(row: ClassRow, shown: Mapping[str, str], several: bool) -> dict[str, Any]:
    record = {
        "class": shown[row.name],
        "n": row.n,
        **record_estimate("recall" if several else "accuracy", row.recall),
        "precision": row.precision,
    }
    return {**record, **record_estimate("average_precision", row.average_precision)} if several else record


def _class_cells(row: ClassRow, shown: Mapping[str, str], several: bool) -> dict[str, Any]:
    own, precision = {"class": shown[row.name], "n": row.n}, _show_share(row.precision)
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


def _pair_record(pair: Confusion, shown: Mapping[str, str]) -> dict[str, Any]:
    ends = {"first": shown[pair.first], "second": shown[pair.second]}
    return {**ends, "first as second": pair.there, "second as first": pair.back}

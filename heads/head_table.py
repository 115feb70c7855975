"""A kept head, its figures and a learning curve as a table for a terminal, Markdown, CSV or JSON. Pure text."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from fixgrid.cache.text import format_records, to_csv

from .curve import CurvePoint
from .figures import Figure, HeadFigures
from .fit import Fitted
from .judging import name_interval
from .measures import MEASURES
from .metrics import Estimate
from .table import record_estimate, show_interval


def fit_record(fitted: Fitted, figures: HeadFigures) -> dict[str, Any]:
    """A kept head as JSON values: how it was chosen, and its figures on test with their intervals."""
    metric = fitted.metric
    measured = {figure.name: figure.value.record() for figure in figures.figures if not _is_of(metric, figure)}
    return {
        "train_res": fitted.train_res,
        "test_res": fitted.test_res,
        "family": fitted.family,
        "correction": fitted.correction,
        "strength": float(fitted.choice.strength),
        "metric": metric,
        "units": fitted.units,
        "val": fitted.choice.val.record(),
        "test": fitted.score.figure.record(),
        "n_val": fitted.n_val,
        "n_test": len(fitted.score.unit),
        **measured,
        "temperature": figures.temperature,
    }


def _is_of(metric: str, figure: Figure) -> bool:
    """Whether a figure is what chose."""
    return metric == {"top1": "accuracy", "macro_f1": "f1"}.get(figure.name, figure.name)


def format_fit(record: dict[str, Any], figures: HeadFigures, style: str) -> str:
    """What `fit_record` gives in one of `FORMATS`, ending in a newline."""
    if style == "json":
        return json.dumps(record, indent=2) + "\n"
    measure = MEASURES[record.get("metric", "accuracy")]
    found = {
        split: [math.nan if end is None else end for end in record[split].values()] for split in ("val", "test")
    }
    chosen = [
        Figure(measure.name, f"{split} {measure.title}", measure.unit, Estimate(*ends))
        for split, ends in found.items()
    ]
    others = [figure._replace(title=f"test {figure.title}") for figure in figures.figures if figure.name in record]
    rows = [show_figure(figure) for figure in (*chosen, *others)]
    if style == "csv":
        return to_csv(rows)
    chosen_line = (
        f"chosen on val: train at {record['train_res']} px, test at {record['test_res']} px\n"
        f"head {record['family']}, gap {record['correction']}, strength {record['strength']:.2e}, "
        f"temperature {record['temperature']:.2f}\n"
    )
    counted = f"{figures.say_size('test images')}; {figures.said_intervals}\n"
    return f"{chosen_line}\n{format_records(rows, style)}\n{counted}"


def figures_record(figures: HeadFigures) -> dict[str, Any]:
    """How a head did on some images, as JSON values."""
    measured = {figure.name: figure.value.record() for figure in figures.figures}
    groups = {"n_groups": figures.n_groups} if figures.n_groups else {}
    return {"n": figures.n, **groups, **measured, "temperature": figures.temperature}


def format_figures(figures: HeadFigures, style: str) -> str:
    """How a head did on some images, in one of `FORMATS`, ending in a newline."""
    return format_evaluation(figures_record(figures), figures, style)


def format_evaluation(record: dict[str, Any], figures: HeadFigures, style: str) -> str:
    """The same, of a record that tells more as JSON."""
    if style == "json":
        return json.dumps(record, indent=2) + "\n"
    return format_records([show_figure(figure) for figure in figures.figures], style)


def show_figure(figure: Figure) -> dict[str, str]:
    """A row: percent with two digits; kappa and R2 with three; all else with four significant ones, or two."""
    title = f"{figure.title}, %" if figure.unit == 100 else figure.title
    return {"figure": title, **{part: _show(figure, value) for part, value in figure.value.record().items()}}


def _show(figure: Figure, value: float | None) -> str:
    if value is None:
        return ""
    if figure.unit == 100 or figure.name == "nll":
        return f"{figure.unit * value:.2f}"
    return MEASURES[figure.name].show(value) if figure.name in MEASURES else f"{value:.4g}"


def format_curve(points: Sequence[CurvePoint], style: str) -> str:
    """A learning curve in one of `FORMATS`, ending in a newline."""
    repeated, measure = any(point.seeds > 1 for point in points), points[0].measure
    if style in ("json", "csv"):
        return format_records([_point_record(point, repeated) for point in points], style)
    rows = [
        {
            "share, %": f"{100 * point.share:g}",
            "images": point.images,
            "pair, px": f"{point.train_res}:{point.test_res}",
            **({} if repeated else {"strength": f"{point.strength:.2e}", "val": measure.show(point.val.value)}),
            "test": measure.show(point.test.value),
            "95 % interval": show_interval(point.test, measure),
            **({"seeds": point.seeds, **_show_mean(point)} if repeated else {}),
        }
        for point in points
    ]
    shown = f"{'test, mean' if repeated else 'val, test'}: {measure.title}{', %' * (measure.unit == 100)}"
    said = [shown] if points[0].metric != "accuracy" else []
    if repeated:
        interval = name_interval(measure, points[0].units)
        said.append(f"test: the first draw, {interval}; mean: all draws, Student's t; both 95 %")
    return format_records(rows, style) + "".join(f"\n{line}\n" for line in said)


def _show_mean(point: CurvePoint) -> dict[str, str]:
    mean = point.mean_test
    return {
        "mean": point.measure.show(mean.value) if mean else "",
        "t-interval": show_interval(mean, point.measure) if mean else "",
    }


def _point_record(point: CurvePoint, repeated: bool) -> dict[str, Any]:
    estimates = {**record_estimate("val", point.val), **record_estimate("test", point.test)}
    named = ("val", "test", "seeds", "mean_test")
    record = {**{name: value for name, value in vars(point).items() if name not in named}, **estimates}
    if not repeated:
        return record
    return {**record, "seeds": point.seeds, **record_estimate("mean_test", point.mean_test)}

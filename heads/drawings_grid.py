"""Drawings about resolutions: the grid, figures against compute, and the learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .cell import Cell
from .drawings import BLUE, GREEN, INK, ORANGE, PAPER, QUIET, Drawing, draw, label_figure, label_log
from .metrics import Estimate
from .table import cell_record, label_cell, record_estimate
from .views import TestRes, list_resolutions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .curve import CurvePoint

_RAMP = ("#eef4fa", "#c3d9ec", "#84b3d8", "#3f83bb", "#14508c", "#0a2a55")  # one hue: lightness alone tells
_DARK = 0.0569  # relative luminance of the dark ink, and .05
_CELL_PT = 64
_MOST_INTERVALS = 60


def _say(point: Cell | CurvePoint, value: float) -> str:
    return f"{point.measure.shorten(value)}{point.measure.suffix.strip()}"


def draw_grid(cells: Sequence[Cell]) -> Drawing:
    """The heat map of the test figure over train_res x test_res, for one family and one correction."""
    rows = sorted({cell.train_res for cell in cells})
    columns = sorted({cell.test_res for cell in cells}, key=list_resolutions)
    best = next(cell for cell in cells if cell.chosen)
    values = [cell.test.value for cell in cells]
    alt = (
        f"Heat map of test {best.measure.title}, {len(rows)} training by {len(columns)} test resolutions, from "
        f"{_say(best, min(values))} to {_say(best, max(values))}. "
        f"Chosen: train {best.train_res} px, test {best.test_res} px, {_say(best, best.test.value)}. "
        "The table below it has every number."
    )
    width = max(360, 56 + _CELL_PT * len(columns))

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        _paint_cells(axes, cells, rows, columns)
        axes.set_xlabel("test resolution, px")
        axes.set_ylabel("training resolution, px")

    return draw("grid", alt, [cell_record(c) for c in cells], fill, max(150, 50 + 58 * len(rows)), width_pt=width)


def _paint_cells(axes: Axes, cells: Sequence[Cell], rows: list[int], columns: list[TestRes]) -> None:
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.patches import Rectangle

    ramp = LinearSegmentedColormap.from_list("lightness", _RAMP)
    values = [cell.test.value for cell in cells]
    scale = Normalize(min(values), max(max(values), min(values) + 0.01))
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), [str(res) for res in columns])
    axes.set_yticks(range(len(rows)), [str(res) for res in rows])
    for cell in cells:
        x, y = columns.index(cell.test_res), rows.index(cell.train_res)
        shade = float(scale(cell.test.value))
        axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=ramp(shade), edgecolor="none"))
        colour = _choose_ink(ramp(shade))
        mark = "★ " if cell.chosen else "= " if cell.tie else ""
        value, low, high = map(cell.measure.shorten, cell.test)
        axes.text(x, y - 0.1, f"{mark}{value}", ha="center", va="center", color=colour, size=12)
        interval = "" if cell.test.low != cell.test.low else f"{low}{' to ' if cell.test.low < 0 else '-'}{high}"
        axes.text(x, y + 0.24, interval, ha="center", va="center", color=colour, size=8.5)
        if cell.chosen:
            frame = Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, fill=False, edgecolor=ORANGE, linewidth=3)
            axes.add_patch(frame)


def _choose_ink(ground: Sequence[float]) -> str:
    """Black or white, whichever is told better from a colour (WCAG 2.2, contrast ratio)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in ground[:3]]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05
    return "#ffffff" if 1.05 / light > light / _DARK else "#111418"


def draw_front(cells: Sequence[Cell]) -> Drawing:
    """Test figure of every cell against multiply-adds per test image, with the front that val decided.

    Parameters
    ----------
    cells : sequence of Cell
        Judged, and with costs.
    """
    front = sorted((cell for cell in cells if cell.front), key=_gmac)
    several = len({cell.axes for cell in cells}) > 1
    names = [label_cell(cell, cells) for cell in front]
    named = ", ".join(f"{name} {_say(cell, cell.test.value)}" for name, cell in zip(names, front, strict=True))
    measure = cells[0].measure
    alt = f"Test {measure.title} against multiply-adds per image. The front, cheapest first: {named}."

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(list(map(_gmac, front)), [cell.test.value for cell in front], "-", color=BLUE, zorder=2)
        for cell in (cell for cell in cells if cell.cost and not cell.front):
            if len(cells) > _MOST_INTERVALS:  # of hundreds, intervals would hide the dots
                axes.plot([_gmac(cell)], [cell.test.value], ".", color=QUIET, markersize=4, alpha=0.5, zorder=1)
            else:
                _mark_estimate(axes, _gmac(cell), cell.test, QUIET, "")
        for number, (name, cell) in enumerate(zip(names, front, strict=True), 1):
            colour = ORANGE if cell.chosen else GREEN if cell.cheap else BLUE
            label = f"{number}  {name}, {_gmac(cell):.2g}" if several else ""
            _mark_estimate(axes, _gmac(cell), cell.test, colour, label)
            # The cheapest below its mark, so that neither the axis nor the line to the next crosses its name.
            offset, side = ((7, -12), "left") if number == 1 else ((-7, 5), "right")
            text = str(number) if several else f"{cell.train_res}→{cell.test_res}"
            at = _gmac(cell), cell.test.value
            axes.annotate(text, at, offset, textcoords="offset points", ha=side, color=INK)
        axes.set_xscale("log")
        label_log(axes.xaxis)
        axes.margins(x=0.2, y=0.08)
        label_figure(axes.yaxis, measure)
        axes.set_xlabel("GMAC per test image")
        axes.set_ylabel(f"{measure.title} on test")
        if several:
            figure.legend(
                loc="outside lower left", alignment="left", title="cell, GMAC", fontsize=9, title_fontsize=9
            )

    return draw("front", alt, [cell_record(cell) for cell in cells], fill, 270 + 16 * len(front) * several)


def _gmac(cell: Cell) -> float:
    return cell.cost.gmac if cell.cost else float("nan")


def _mark_estimate(axes: Axes, x: float, estimate: Estimate, colour: str, label: str) -> None:
    axes.plot([x, x], [estimate.low, estimate.high], "-", color=colour, linewidth=1.2, zorder=2)
    face = PAPER if colour == QUIET else colour
    axes.plot([x], [estimate.value], "o", color=colour, markerfacecolor=face, markersize=6, zorder=3, label=label)


def draw_curve(points: Sequence[CurvePoint]) -> Drawing:
    """Test figure against the number of training images, with intervals."""
    named = ", ".join(f"{point.images} images {_say(point, point.test.value)}" for point in points)
    measure = points[0].measure
    alt = f"Learning curve, test {measure.title} by number of training images: {named}."

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        x = [point.images for point in points]
        low, high = ([getattr(point.test, end) for point in points] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(x, [point.test.value for point in points], "o-", color=BLUE, markersize=5)
        axes.set_xscale("log")
        label_log(axes.xaxis)
        label_figure(axes.yaxis, measure)
        axes.set_xlabel("training images")
        axes.set_ylabel(f"{measure.title} on test")

    return draw("curve", alt, [_curve_record(point) for point in points], fill, 250)


def _curve_record(point: CurvePoint) -> dict[str, Any]:
    chosen = {"train_res": point.train_res, "test_res": point.test_res, "strength": point.strength}
    share = {"share": point.share, "images": point.images, "metric": point.metric}
    return {**share, **record_estimate("test", point.test), "val": point.val.value, **chosen}

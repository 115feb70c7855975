"""Figures about resolutions: the grid, accuracy against compute, and the learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .cell import Cell
from .drawings import BLUE, INK, ORANGE, PAPER, QUIET, Drawing, draw, label_log, label_percent
from .metrics import Estimate
from .table import cell_record
from .views import TestRes, list_resolutions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .curve import CurvePoint

_RAMP = ("#eef4fa", "#c3d9ec", "#84b3d8", "#3f83bb", "#14508c", "#0a2a55")  # one hue: lightness alone tells
_CELL_PT = 64


def draw_grid(cells: Sequence[Cell]) -> Drawing:
    """The heat map of test accuracy over train_res x test_res, for one family and one correction."""
    rows = sorted({cell.train_res for cell in cells})
    columns = sorted({cell.test_res for cell in cells}, key=list_resolutions)
    best = next(cell for cell in cells if cell.chosen)
    alt = (
        f"Heat map of test accuracy, {len(rows)} training by {len(columns)} test resolutions, from "
        f"{min(c.test.value for c in cells):.1%} to {max(c.test.value for c in cells):.1%}. "
        f"Chosen: train {best.train_res} px, test {best.test_res} px, {best.test.value:.1%}. "
        "The table beside it has every number."
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
        colour = "#ffffff" if shade > 0.55 else "#111418"
        mark = "★ " if cell.chosen else "= " if cell.tie else ""
        axes.text(x, y - 0.1, f"{mark}{100 * cell.test.value:.1f}", ha="center", va="center", color=colour, size=12)
        interval = f"{100 * cell.test.low:.1f}-{100 * cell.test.high:.1f}"
        axes.text(x, y + 0.24, interval, ha="center", va="center", color=colour, size=8.5)
        if cell.chosen:
            frame = Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, fill=False, edgecolor=ORANGE, linewidth=3)
            axes.add_patch(frame)


def find_front(cells: Sequence[Cell], macs: Mapping[TestRes, int]) -> list[Cell]:
    """The cells that no cell of the same or less compute beats on val, from the cheapest on."""
    front: list[Cell] = []
    for cell in sorted(cells, key=lambda cell: (macs[cell.test_res], -cell.val.value)):
        if not front or cell.val.value > front[-1].val.value:
            front.append(cell)
    return front


def draw_compute(cells: Sequence[Cell], macs: Mapping[TestRes, int]) -> Drawing:
    """Test accuracy of every cell against multiply-adds per test image, with the front that val sees."""
    front = find_front(cells, macs)
    named = ", ".join(f"{c.train_res} to {c.test_res} px {c.test.value:.1%}" for c in front)
    alt = f"Test accuracy against multiply-adds per image. The front, cheapest first: {named}."
    records = [
        {**cell_record(c), "gmac": macs[c.test_res] / 1e9, "front": any(c is f for f in front)} for c in cells
    ]

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        x = [macs[cell.test_res] / 1e9 for cell in front]
        axes.plot(x, [cell.test.value for cell in front], "-", color=BLUE, zorder=2)
        for cell in cells:
            on_front = any(cell is f for f in front)
            _mark_estimate(axes, macs[cell.test_res] / 1e9, cell.test, BLUE if on_front else QUIET, on_front)
        axes.set_xscale("log")
        label_log(axes.xaxis)
        axes.margins(x=0.2, y=0.08)
        for cell in front:
            at = macs[cell.test_res] / 1e9, cell.test.value
            text = f"{cell.train_res}→{cell.test_res}"
            # The cheapest below its mark, so that neither the axis nor the line to the next crosses its name.
            offset, side = ((7, -12), "left") if cell is front[0] else ((-7, 5), "right")
            axes.annotate(text, at, offset, textcoords="offset points", ha=side, color=INK)
        label_percent(axes.yaxis)
        axes.set_xlabel("GMAC per test image")
        axes.set_ylabel("right on test")

    return draw("compute", alt, records, fill, 270)


def _mark_estimate(axes: Axes, x: float, estimate: Estimate, colour: str, solid: bool) -> None:
    axes.plot([x, x], [estimate.low, estimate.high], "-", color=colour, linewidth=1.2, zorder=2)
    face = colour if solid else PAPER
    axes.plot([x], [estimate.value], "o", color=colour, markerfacecolor=face, markersize=6, zorder=3)


def draw_curve(points: Sequence[CurvePoint]) -> Drawing:
    """Test accuracy against the number of training images, with intervals."""
    named = ", ".join(f"{point.images} images {point.test.value:.1%}" for point in points)
    alt = f"Learning curve, test accuracy by number of training images: {named}."

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        x = [point.images for point in points]
        low, high = ([getattr(point.test, end) for point in points] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(x, [point.test.value for point in points], "o-", color=BLUE, markersize=5)
        axes.set_xscale("log")
        label_log(axes.xaxis)
        label_percent(axes.yaxis)
        axes.set_xlabel("training images")
        axes.set_ylabel("right on test")

    return draw("curve", alt, [_curve_record(point) for point in points], fill, 250)


def _curve_record(point: CurvePoint) -> dict[str, Any]:
    test = {"test": point.test.value, "test_low": point.test.low, "test_high": point.test.high}
    chosen = {"train_res": point.train_res, "test_res": point.test_res, "strength": point.strength}
    return {"share": point.share, "images": point.images, **test, "val": point.val.value, **chosen}

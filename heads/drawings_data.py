"""Figures about images and classes: how many, how large, how cropped, how well recognised, how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .answers import Bin
from .drawings import BLUE, GREEN, INK, ORANGE, QUIET, Drawing, draw, label_percent, name_rows, show_name
from .figures import ClassRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ROWS = 150  # named rows of one figure; the table and the CSV have every class
_ROW_PT = 14
_MARKS = {"train": (BLUE, "o"), "val": (ORANGE, "D"), "test": (GREEN, "s")}


class CropShown(Protocol):
    """What `embed.pictures.Crop` knows."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Fractions of the photograph."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """As the trunk gets them."""

    @property
    def jpeg(self) -> bytes:
        """The same."""

    @property
    def flip(self) -> bool:
        """Whether it is mirrored."""

    @property
    def scale(self) -> float:
        """Pixels of the crop for one of the photograph."""


class PrincipleShown(Protocol):
    """What `embed.pictures.Principle` knows."""

    @property
    def width(self) -> int:
        """Of the photograph, px."""

    @property
    def height(self) -> int:
        """Of the photograph, px."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The photograph, perhaps smaller."""

    @property
    def jpeg(self) -> bytes:
        """The same."""

    @property
    def training(self) -> Sequence[CropShown]:
        """Crops of the training view."""

    @property
    def test(self) -> Sequence[CropShown]:
        """Crops of the test view."""


def draw_counts(classes: Sequence[str], counts: Mapping[str, NDArray[np.int64]]) -> Drawing:
    """Images per class and split; of more classes than can be named, their sorted counts."""
    total = sum(counts.values())
    spread = ", ".join(f"{split} {n.min()} to {n.max()}" for split, n in counts.items())
    alt = f"Images per class and split for {len(classes)} classes: {spread}. The table of classes has every number."
    named = len(classes) <= _MOST_ROWS
    order = np.argsort(-np.asarray(total), kind="stable")

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        for split, n in counts.items():
            colour, mark = _MARKS[split]
            if named:
                axes.plot(n[order], range(len(order)), mark, color=colour, markersize=4.5, label=split)
            else:
                axes.plot(-np.sort(-n), color=colour, label=split)
        if named:
            name_rows(axes, [classes[i] for i in order])
            axes.set_xlim(0)
        else:
            axes.set_ylim(0)
            axes.set_xlabel("classes, the largest first")
        (axes.set_xlabel if named else axes.set_ylabel)("images")
        figure.legend(loc="outside upper center", ncols=3)

    records = [
        {"class": show_name(name), **{split: int(n[i]) for split, n in counts.items()}}
        for i, name in enumerate(classes)
    ]
    return draw("counts", alt, records, fill, 74 + _ROW_PT * len(classes) if named else 250)


def draw_sizes(sizes: NDArray[np.int64], side_px: int) -> Drawing:
    """Distribution of widths and heights, px, with the side that the test view resizes the short one to."""
    short = sizes.min(1)
    alt = (
        f"Widths and heights of {len(sizes)} images: median {np.median(sizes[:, 0]):.0f} x "
        f"{np.median(sizes[:, 1]):.0f} px; shortest side {short.min()} to {short.max()} px, "
        f"{(short < side_px).mean():.0%} of them under the {side_px} px that the chosen test view resizes it to."
    )
    low, high = sizes.min(), np.quantile(sizes, 0.995)
    edges = np.linspace(low - 0.5, max(high, low + 20) + 0.5, 41)

    def fill(figure: Figure) -> None:
        over, under = figure.subplots(2, 1, sharex=True)
        for axes, side, name, colour in ((over, 0, "width", BLUE), (under, 1, "height", GREEN)):
            axes.hist(np.minimum(sizes[:, side], edges[-1]), edges, color=colour)
            axes.axvline(side_px, color=ORANGE, linewidth=1.6)
            axes.set_ylabel("images")
            axes.set_title(name, loc="left", size=10, color=INK)
        at = 0.02 if side_px < (edges[0] + edges[-1]) / 2 else -0.02
        over.annotate(
            f"resized to {side_px}",
            (side_px, 1),
            (6 if at > 0 else -6, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="left" if at > 0 else "right",
            va="top",
            color=INK,
        )
        under.set_xlabel("px")

    values, n = np.unique(sizes, axis=0, return_counts=True)
    records = [
        {"width_px": int(w), "height_px": int(h), "images": int(k)} for (w, h), k in zip(values, n, strict=True)
    ]
    return draw("sizes", alt, records, fill, 280)


def draw_principle(shown: PrincipleShown) -> Drawing:
    """A photograph with its training and test crops, and the crops in pixels of one size."""
    alt = "One photograph with the boxes of its training and test crops, and each crop as the trunk sees it."
    crops = [(crop, ORANGE, f"training {i}") for i, crop in enumerate(shown.training, 1)]
    crops += [(crop, BLUE, "test") for crop in shown.test]

    def fill(figure: Figure) -> None:
        axes = figure.subplots(1, len(crops) + 1, width_ratios=[1.4, *(len(c.pixels) / 224 for c, _, _ in crops)])
        axes[0].imshow(shown.pixels)
        height, width = shown.pixels.shape[:2]
        for crop, colour, _ in crops:
            _draw_box(axes[0], crop.box, width, height, colour)
        axes[0].set_title(f"photograph, {shown.width} x {shown.height} px", size=10)
        for panel, (crop, colour, name) in zip(axes[1:], crops, strict=True):
            panel.imshow(crop.pixels)
            panel.set_title(f"{name}: 100 px are {100 * crop.scale:.0f}", size=10, color=colour)
        for panel in axes:
            panel.set_axis_off()

    records = [
        {"crop": name, **dict(zip(("left", "top", "right", "bottom"), crop.box, strict=True)), "scale": crop.scale}
        for crop, _, name in crops
    ]
    return draw("principle", alt, records, fill, 200, width_pt=240 * (len(crops) + 1), with_svg=False)


def _draw_box(axes: Axes, box: tuple[float, float, float, float], width: int, height: int, colour: str) -> None:
    from matplotlib.patches import Rectangle

    left, top, right, bottom = box
    size = (right - left) * width, (bottom - top) * height
    axes.add_patch(Rectangle((left * width, top * height), *size, fill=False, edgecolor=colour, linewidth=2))


def draw_reliability(bins: Sequence[Bin]) -> Drawing:
    """How often the head is right against how sure it is; dots grow with the images behind them."""
    named = "; ".join(f"sure {b.confidence:.0%}, right {b.accuracy.value:.0%} of {b.n}" for b in bins)
    alt = f"Reliability diagram on test, {len(bins)} bins: {named}."

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], "--", color=QUIET, linewidth=1)
        most = max(b.n for b in bins)
        for b in bins:
            axes.plot([b.confidence] * 2, [b.accuracy.low, b.accuracy.high], "-", color=BLUE, linewidth=1.2)
        area = [14 + 120 * b.n / most for b in bins]
        axes.scatter([b.confidence for b in bins], [b.accuracy.value for b in bins], area, color=BLUE, zorder=3)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.03)
        label_percent(axes.xaxis)
        label_percent(axes.yaxis)
        axes.set_xlabel("how sure")
        axes.set_ylabel("how often right")

    records: list[dict[str, Any]] = [
        {"n": b.n, "confidence": b.confidence, "accuracy": b.accuracy.value, "low": b.accuracy.low}
        | {"high": b.accuracy.high}
        for b in bins
    ]
    return draw("reliability", alt, records, fill, 300)


def draw_classes(rows: Sequence[ClassRow], mean: float) -> Drawing:
    """Accuracy within each class with its interval, the worst first; of very many classes only the worst."""
    known = sorted((row for row in rows if row.recall), key=lambda row: row.recall.value if row.recall else 0)
    shown = known[:_MOST_ROWS]
    named = ", ".join(f"{show_name(row.name)} {row.recall.value:.0%}" for row in known[:3] if row.recall)
    within = f"Accuracy within {len(shown)} of {len(known)} classes"
    alt = f"{within}, the worst first: {named}. The table has every number."

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        for y, row in enumerate(shown):
            if row.recall is not None:
                axes.plot([row.recall.low, row.recall.high], [y, y], "-", color=BLUE, linewidth=1.2)
                axes.plot([row.recall.value], [y], "o", color=BLUE, markersize=5)
        axes.axvline(mean, color=ORANGE, linewidth=1.4)
        name_rows(axes, [row.name for row in shown])
        axes.set_xlim(-0.01, 1.02)
        label_percent(axes.xaxis)
        axes.set_xlabel("right on test; line: mean of the classes")

    return draw("classes", alt, [_class_record(row) for row in rows], fill, 50 + _ROW_PT * len(shown))


def _class_record(row: ClassRow) -> dict[str, Any]:
    value, low, high = row.recall or (None, None, None)
    return {
        "class": show_name(row.name),
        "n": row.n,
        "recall": value,
        "low": low,
        "high": high,
        "precision": row.precision,
    }

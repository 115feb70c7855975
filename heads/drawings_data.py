"""Drawings about images and their labels: how many, how large, how cropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.text import show_text

from .drawings import BLUE, GREEN, INK, MOST_ROWS, ORANGE, PAPER, ROW_PT, Drawing, clip_name, draw, name_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_APART = 0.22  # of a row, between marks of splits
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


def draw_counts(
    classes: Sequence[str], counts: Mapping[str, NDArray[np.int64]], *, ordered: bool = False
) -> Drawing:
    """Images per class and split, the largest first unless classes have an order; of very many sorted counts."""
    total = sum(counts.values())
    spread = ", ".join(f"{split} {n.min()} to {n.max()}" for split, n in counts.items())
    alt = f"Images per class and split for {len(classes)} classes: {spread}. The CSV file has every number."
    named = len(classes) <= MOST_ROWS
    order = np.arange(len(classes)) if ordered else np.argsort(-np.asarray(total), kind="stable")

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (split, n) in enumerate(counts.items()):
            colour, mark = _MARKS[split]
            if named:  # a little above each other, so that equal counts are seen
                at = np.arange(len(order)) + _APART * (place - (len(counts) - 1) / 2)
                axes.plot(n[order], at, mark, color=colour, markersize=4.5, label=split)
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
        {"class": show_text(name), **{split: int(n[i]) for split, n in counts.items()}}
        for i, name in enumerate(classes)
    ]
    return draw("counts", alt, records, fill, 74 + ROW_PT * len(classes) if named else 250)


def draw_values(values: Mapping[str, NDArray[np.float64]], name: str) -> Drawing:
    """Distribution of the images' numbers in each split, by name."""
    every = np.concatenate(list(values.values()))
    edges = np.histogram_bin_edges(every, bins=30)
    counts = {split: np.histogram(part, edges)[0] for split, part in values.items()}
    spread = ", ".join(f"{split} {part.min():.4g} to {part.max():.4g}" for split, part in values.items())
    alt = f"{show_text(name)} of {len(every)} images: {spread}."

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        for split, n in counts.items():
            axes.stairs(n / n.sum(), edges, color=_MARKS[split][0], label=split)
        axes.set_xlabel(clip_name(name))
        axes.set_ylabel("share of the split")
        figure.legend(loc="outside upper center", ncols=3)

    records = [
        {"from": float(edges[i]), "to": float(edges[i + 1]), **{split: int(n[i]) for split, n in counts.items()}}
        for i in range(len(edges) - 1)
    ]
    return draw("values", alt, records, fill, 250)


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
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
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
        for crop, colour, _ in crops:  # training below and broader, so that equal boxes are both seen
            _draw_box(axes[0], crop.box, width, height, colour, 5 if colour == ORANGE else 2)
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


def _draw_box(
    axes: Axes, box: tuple[float, float, float, float], width: int, height: int, colour: str, line_pt: float
) -> None:
    from matplotlib.patches import Rectangle

    left, top, right, bottom = box
    size = (right - left) * width, (bottom - top) * height
    axes.add_patch(Rectangle((left * width, top * height), *size, fill=False, edgecolor=colour, linewidth=line_pt))

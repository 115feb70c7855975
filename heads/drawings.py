"""How a figure is set, and how it becomes a PNG, an SVG that follows the page's colours, and a table of numbers."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fixgrid.cache.text import show_text, tell_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .measures import Measure

# On white paper; a page replaces each by its own colour of that name, so that a dark page stays readable. Blue,
# vermilion and green are Okabe and Ito's (2008), which colour-blind readers tell apart.
COLOURS = {
    "ink": "#1b1f24",
    "quiet": "#5b6570",
    "rule": "#d4d9df",
    "paper": "#fefefe",
    "blue": "#0072b2",
    "orange": "#d05a00",
    "green": "#008a65",
}
INK, QUIET, RULE, PAPER, BLUE, ORANGE, GREEN = COLOURS.values()
WIDTH_PT = 360  # a phone's width: set for the smallest screen, larger ones show two side by side
_DPI = 200
MOST_ROWS = 150
"""Named rows of one figure; the table and the CSV have every class."""
ROW_PT = 14
_NAME_LENGTH = 24  # characters of a name beside an axis
_PHOTO_DPI = 90  # photographs double in size with every 40 %
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fixgrid",
    "text.parse_math": False,  # a class may be called $x$
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.7,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": PAPER,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.4,
    "errorbar.capsize": 0,
}


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure and its numbers.

    Attributes
    ----------
    name : str
        File name without suffix.
    alt : str
        What it shows, for who cannot see it.
    png : bytes
    svg : str
        An ``<svg>`` element for an HTML page that defines ``--ink`` and the other `COLOURS`; empty where the page
        shows pixels another way.
    records : list of dict
        The numbers drawn.
    width_pt : int
        `WIDTH_PT`, or more for what a phone has to scroll.
    """

    name: str
    alt: str
    png: bytes
    svg: str
    records: list[dict[str, Any]]
    width_pt: int = WIDTH_PT


def draw(
    name: str,
    alt: str,
    records: list[dict[str, Any]],
    fill: Callable[[Figure], None],
    height_pt: float,
    *,
    width_pt: int = WIDTH_PT,
    with_svg: bool = True,
) -> Drawing:
    """The figure that ``fill`` draws, in both formats; no user's settings and no global state move it.

    Parameters
    ----------
    name, alt, records
        See `Drawing`.
    fill : callable
        Puts axes and marks into an empty figure.
    height_pt, width_pt : float
        1/72 inch; text is 10 pt.
    with_svg : bool
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        # A script that the drawing's font lacks is shown as boxes in the PNG; the page has its reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure((width_pt / 72, height_pt / 72), layout="constrained")
        FigureCanvasAgg(figure)
        fill(figure)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=_DPI if with_svg else _PHOTO_DPI)
        if with_svg:
            figure.savefig(svg, format="svg", metadata={"Date": None}, transparent=True)
    text = inline_svg(svg.getvalue(), name, alt) if with_svg else ""
    return Drawing(name, alt, png.getvalue(), text, records, width_pt)


def inline_svg(svg: bytes, name: str, alt: str) -> str:
    """A drawing as one element of an HTML page: its own ids, the page's fonts and colours, and a name.

    Parameters
    ----------
    svg : bytes
        As matplotlib writes it.
    name : str
        Put before every id, which must be unique in a page.
    alt : str
    """
    root = ET.fromstring(svg)
    parents = {child: parent for parent in root.iter() for child in parent}
    for element in list(root.iter()):
        element.tag = element.tag.rpartition("}")[2]
        if element.tag in ("metadata", "style"):
            parents[element].remove(element)
        element.attrib = {_plain(key): _restyle(value, name) for key, value in element.attrib.items()}
    _keep_ids(root, name)
    box = root.attrib["viewBox"]
    root.attrib = {"viewBox": box, "role": "img", "aria-label": alt, "class": "drawing"}
    return ET.tostring(root, encoding="unicode")


def _plain(key: str) -> str:
    return key.rpartition("}")[2]


def _restyle(value: str, name: str) -> str:
    value = re.sub(r"font-family: [^;]*;? ?", "", value)
    value = re.sub(r"url\(#", f"url(#{name}-", re.sub(r"^#(?=[\w-]+$)(?![0-9a-f]{6}$)", f"#{name}-", value))
    for colour, hexadecimal in COLOURS.items():
        value = value.replace(hexadecimal, f"var(--{colour})")
    return value


def _keep_ids(root: ET.Element, name: str) -> None:
    text = " ".join(value for element in root.iter() for value in element.attrib.values())
    used = set(re.findall(rf"#({re.escape(name)}-[\w-]+)", text))
    for element in root.iter():
        own = element.attrib.pop("id", "")
        if f"{name}-{own}" in used:
            element.attrib["id"] = f"{name}-{own}"


def clip_name(name: str) -> str:
    """A name that fits beside an axis: the middle of a long one is left out."""
    name = show_text(name)
    return name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH * 2 // 3]}…{name[1 - _NAME_LENGTH // 3 :]}"


def label_percent(axis: Any) -> None:
    """Ticks of a matplotlib axis of fractions, as 85 %."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def label_figure(axis: Any, measure: Measure) -> None:
    """Ticks of a matplotlib axis of figures: in percent where they are shown so."""
    if measure.unit == 100:
        label_percent(axis)


def label_log(axis: Any) -> None:
    """Ticks of a logarithmic matplotlib axis with data on it, as 0.2, 0.5, 1; closer within one decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_data_interval()
    steps = (1.0, 2.0, 5.0) if high > 10 * low else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    axis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row for each name, the first at the top."""
    axes.set_yticks(range(len(names)), tell_apart(names, clip_name))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)

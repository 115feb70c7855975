"""The map of images as a figure: a point for each, its name where a pointer rests on it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from fixgrid.cache.errors import CacheError
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.text import show_text, tell_apart

from .drawings import BLUE, GREEN, ORANGE, QUIET, Drawing, clip_name, draw
from .findings import MOST_COMPARED
from .map import ImageMap, map_images
from .twins import choose_res

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KINDS = [(colour, mark) for mark, colour in product("o^sX", (BLUE, ORANGE, GREEN))]
"""Told apart by colour and form: of more classes the largest have one each, all others are small and grey."""
_HEIGHT_PT = 340
_LINE_PT = 16  # of the legend, in two columns below


def draw_maps(holdings: Holdings) -> list[Drawing]:
    """The map of a data set's images; none where center views of a split are not cached, or images are too many."""
    manifest = holdings.manifest
    if sum(map(len, manifest.splits.values())) > MOST_COMPARED:
        return []
    try:
        found = map_images(holdings, choose_res(holdings))
    except CacheError:
        return []
    return [draw_map(found, manifest.classes if manifest.task in ("multiclass", "ordinal") else ())]


def draw_map(found: ImageMap, classes: Sequence[str]) -> Drawing:
    """A point for each image, those of the largest classes each with a colour and a form of its own.

    Parameters
    ----------
    found : ImageMap
    classes : sequence of str
        Names by which points are told apart; none where labels are no class.
    """
    known = set(map(show_text, classes))  # as labels are
    count = Counter(label for label in found.labels if label in known)
    named = [name for name, _ in count.most_common(len(_KINDS))]
    kinds: dict[str, tuple[str, str]] = dict(zip(named, _KINDS, strict=False))
    order = sorted(range(len(found.labels)), key=lambda i: found.labels[i] in kinds)  # the grey ones beneath
    groups: dict[str, list[int]] = {}
    for i in order:
        groups.setdefault(found.labels[i] if found.labels[i] in kinds else "", []).append(i)

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        marks = []
        for name, members in groups.items():
            usual = (QUIET if kinds else BLUE, "o")
            colour, mark = kinds.get(name, usual)
            x, y = found.places[members].T
            size = 14 if name or not kinds else 6
            marks.append(axes.scatter(x, y, size, colour, marker=mark, linewidths=0, alpha=0.8))
        if kinds:
            texts = tell_apart([name or "other classes" for name in groups], clip_name)
            place = {"loc": "upper left", "bbox_to_anchor": (0, 0), "ncols": 2}
            axes.legend(marks, texts, markerscale=1.4, handletextpad=0.2, **place)

    height = _HEIGHT_PT + _LINE_PT * ((len(groups) + 1) // 2) * bool(kinds)
    drawing = draw("map", _say_map(found, named, len(classes)), _list_records(found), fill, height)
    drawn = [i for members in groups.values() for i in members]
    titles = [f"{found.labels[i]}: {found.paths[i]}" if found.labels[i] else found.paths[i] for i in drawn]
    return replace(drawing, svg=name_points(drawing.svg, titles))


def _say_map(found: ImageMap, named: Sequence[str], classes: int) -> str:
    some = f"{len(found.paths):,} of {found.total:,}" if len(found.paths) < found.total else f"{found.total:,}"
    told = ""
    if named:
        which = "their class" if len(named) == classes else f"the {len(named)} largest of {classes} classes"
        told = f", coloured by {which}"
    return f"Map of {some} images by their features{told}: what lies close looks alike to the trunk."


def _list_records(found: ImageMap) -> list[dict[str, Any]]:
    return [
        {"split": split, "row": row, "path": path, "label": label, "x": round(float(x), 4), "y": round(float(y), 4)}
        for (split, row), path, label, (x, y) in zip(
            found.ends, found.paths, found.labels, np.asarray(found.places), strict=True
        )
    ]


def name_points(svg: str, titles: Sequence[str]) -> str:
    """A figure whose first marks have titles, which browsers show at the pointer and readers read out.

    Parameters
    ----------
    svg : str
        As `draw` gives it; marks are ``<use>`` elements in the order in which they were drawn.
    titles : sequence of str
    """
    root = ET.fromstring(svg)
    marks = list(root.iter("use"))
    for mark, title in zip(marks[: len(titles)], titles, strict=True):
        ET.SubElement(mark, "title").text = title
    return ET.tostring(root, encoding="unicode")

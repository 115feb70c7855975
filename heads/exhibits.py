"""What a report shows: figures drawn from findings, photographs taken from an album, and how it was all made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import say_command
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.text import show_path

from .answers import Answers, bin_answers, list_mistakes, pick_example
from .drawings import Drawing
from .drawings_data import (
    PrincipleShown,
    draw_classes,
    draw_counts,
    draw_principle,
    draw_reliability,
    draw_sizes,
)
from .drawings_grid import draw_curve, draw_front, draw_grid
from .drawings_map import draw_maps
from .findings import Findings
from .report import Report, Shot, TwinShot
from .twins import Twin, looks_alike

TWINS_SHOWN = 6
_CONFUSED_SHOWN = 4  # pairs of classes
HOW = {"bytes": "the same file", "pixels": "the same pixels", "near": "nearly alike"}


class Album(Protocol):
    """Photographs of a data set, by split and row id; None where one is gone or is not what was hashed."""

    def measure(self) -> NDArray[np.int64]:
        """Width and height of each that can be read, px: int64, shape (n, 2)."""

    def resize_side(self, view: Mapping[str, Any]) -> int:
        """Side that a view resizes the short side to, px."""

    def thumbnail(self, split: str, row: int) -> bytes | None:
        """A small JPEG."""

    def principle(
        self, split: str, row: int, train: Mapping[str, Any], test: Mapping[str, Any]
    ) -> PrincipleShown | None:
        """One photograph with the crops of a training and a test view."""


def fill_report(found: Findings, album: Album, *, made: dict[str, str], leak: str, copies: Sequence[str]) -> Report:
    """All of the page.

    Parameters
    ----------
    found : Findings
    album : Album
    made : dict of str to str
        How it was made, as far as the command line knows.
    leak : str
        A line about labels that the trunk has seen; empty if it has not.
    copies : sequence of str
        What is known of equal files where images were not compared.
    """
    asked, twins = found.asked, found.twins
    manifest = asked.holdings.manifest
    images = sum(len(rows) for rows in manifest.splits.values())
    return Report(
        manifest.source,
        asked.holdings.trunk,
        manifest.classes,
        found.verdict,
        found.answers,
        {drawing.name: drawing for drawing in draw_all(found, album)},
        show_mistakes(found.answers, manifest.classes, album),
        show_confused(found.answers, manifest.classes, album),
        " ".join([say_not_compared(), *copies]) if twins is None else say_twins(twins, images),
        show_twins(twins or [], asked.holdings, album),
        {**made, **describe_making(found)},
        [line for line in (warn_of_twins(twins or [], images, asked.dropped), leak) if line],
    )


def say_not_compared() -> str:
    """Why there are no look-alikes on the page, and what looks for them."""
    return (
        "Near duplicates were not looked for: there are too many images for a report, or center views of a split "
        f"are not cached. {say_command('duplicates')} looks for them."
    )


def describe_making(found: Findings) -> dict[str, str]:
    """What a repetition needs: images, weights, views, head, and the versions that computed the features."""
    best, entry = found.best, found.used["test"][0]
    images = {
        f"images of {split}": f"{len(rows)}, rows sha256 {rows.digest}"
        for split, rows in found.asked.holdings.manifest.splits.items()
    }
    views = {
        f"{split} view": "; ".join(_dump(dict(e.spec.view)) for e in part) for split, part in found.used.items()
    }
    keys = {f"{split} key": "; ".join(e.spec.key for e in part) for split, part in found.used.items()}
    made = {name: value for name, value in entry.provenance.items() if name not in ("trunk", "versions")}
    return {
        **images,
        "head": f"{best.family}, gap {best.correction}, strength {best.strength:.3g} ({best.note})",
        "weights sha256": str(entry.spec.trunk["weights_sha256"]),
        "precision": f"{entry.spec.precision}, stored as {entry.spec.dtype}",
        **views,
        **keys,
        "features computed": _dump(made),
        "versions": _dump(entry.provenance.get("versions", {})),
    }


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def draw_all(found: Findings, album: Album) -> list[Drawing]:
    """Every figure for which there are numbers."""
    figures, manifest = found.answers.figures, found.asked.holdings.manifest
    counts = {
        split: np.bincount(rows.labels, minlength=len(manifest.classes)) for split, rows in manifest.splits.items()
    }
    sizes = album.measure()
    return [
        draw_grid(found.alike),
        draw_reliability(bin_answers(found.answers)),
        *([draw_front(found.cells)] if found.verdict.cheapest else []),
        draw_curve(found.curve),
        draw_classes(figures.per_class, figures["class_mean"].value),
        draw_counts(manifest.classes, counts),
        *([draw_sizes(sizes, album.resize_side(found.used["test"][-1].spec.view))] if len(sizes) else []),
        *draw_maps(found.asked.holdings),
        *_draw_principle(found, album),
    ]


def _draw_principle(found: Findings, album: Album) -> list[Drawing]:
    """The training and the test crop on the first of a few test photographs that is still what it was."""
    train, test = found.used["train"][0].spec.view, found.used["test"][-1].spec.view
    shown = (album.principle("test", row, train, test) for row in found.answers.row[:5].tolist())
    return [draw_principle(one) for one in shown if one is not None][:1]


def show_mistakes(answers: Answers, classes: Sequence[str], album: Album) -> list[Shot]:
    """The wrong answers that the head was surest of."""
    return _take_shots(answers, classes, album, list_mistakes(answers))


def show_confused(answers: Answers, classes: Sequence[str], album: Album) -> list[Shot]:
    """One test image of each class of the most confused pairs."""
    number = {name: i for i, name in enumerate(classes)}
    pairs = [(number[c.first], number[c.second]) for c in answers.figures.confused[:_CONFUSED_SHOWN]]
    found = [pick_example(answers, *ends) for a, b in pairs for ends in ((a, b), (b, a))]
    return _take_shots(answers, classes, album, [place for place in dict.fromkeys(found) if place is not None])


def _take_shots(answers: Answers, classes: Sequence[str], album: Album, places: Sequence[int]) -> list[Shot]:
    return [
        Shot(jpeg, classes[answers.y[i]], classes[answers.guess[i]], float(answers.confidence[i]))
        for i in places
        if (jpeg := album.thumbnail("test", int(answers.row[i]))) is not None
    ]


def show_twins(twins: Sequence[Twin], holdings: Holdings, album: Album) -> list[TwinShot]:
    """The first pairs with their photographs: leaks before the others, differing labels before equal ones."""
    order = sorted(twins, key=lambda twin: (not leaks(twin), not twin.conflict, -twin.cosine))
    return [_take_twins(twin, holdings, album) for twin in order[:TWINS_SHOWN]]


def _take_twins(twin: Twin, holdings: Holdings, album: Album) -> TwinShot:
    ends = []
    for split, row in (twin.first, twin.second):
        rows = holdings.manifest.splits[split]
        label = holdings.manifest.classes[int(rows.labels[row])]
        ends.append((album.thumbnail(split, row), split, label, show_path(rows.paths[row])))
    return TwinShot(HOW[twin.how], twin.cosine, twin.conflict, ends)


def leaks(twin: Twin) -> bool:
    """Whether a training image is a val or test image too."""
    return twin.first[0] == "train" and twin.second[0] != "train"


def say_twins(twins: Sequence[Twin], images: int) -> str:
    """How many pairs there are, of which kinds, across which splits, and how many have two labels."""
    if not twins:
        return "No two images are the same or nearly alike."
    kinds = [f"{n} {what}" for how, what in HOW.items() if (n := sum(twin.how == how for twin in twins))]
    where: dict[str, int] = {}
    for twin in twins:
        a, b = twin.first[0], twin.second[0]
        name = f"within {a}" if a == b else f"across {a} and {b}"
        where[name] = where.get(name, 0) + 1
    across = sorted(where, key=lambda name: name.startswith("within"))
    conflicts = sum(twin.conflict for twin in twins)
    labels = f"; the labels of {conflicts} differ" if conflicts else ""
    pairs = f"Pairs of images that are the same or nearly alike: {len(twins)} ({', '.join(kinds)})"
    doubt = " So many look alike to this trunk that near ones may well be different images." * looks_alike(
        twins, images
    )
    return f"{pairs}; {', '.join(f'{where[name]} {name}' for name in across)}{labels}.{doubt}"


def warn_of_twins(twins: Sequence[Twin], images: int, dropped: bool) -> str:
    """A line for the top of the page if val or test images are training images too; empty if none is.

    Parameters
    ----------
    twins : sequence of Twin
    images : int
        Of all splits.
    dropped : bool
        Training was without them.
    """
    same = {twin.second for twin in twins if leaks(twin) and twin.how != "near"}
    near = {twin.second for twin in twins if leaks(twin)} - same
    said = [f"{len(same)} the same as a training image"] if same else []
    said += [f"{len(near)} nearly alike one"] if near and not looks_alike(twins, images) else []
    if not said or dropped:
        return ""
    return f"Leak: of the val and test images, {' and '.join(said)}. --drop-duplicates trains without them."

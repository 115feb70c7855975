"""What a report shows: figures drawn from findings, photographs taken from an album, and how it was all made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fixgrid.cache.errors import say_command
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.rows import Rows
from fixgrid.cache.shard import Status
from fixgrid.cache.text import show_path, tell_apart

from .answers import bin_answers
from .doubtful import Doubtful
from .drawings import Drawing
from .drawings_answers import (
    MOST_ORDERED,
    draw_classes,
    draw_errors,
    draw_numbers,
    draw_order,
    draw_reliability,
)
from .drawings_data import draw_counts, draw_principle, draw_sizes, draw_values
from .drawings_grid import draw_curve, draw_front, draw_grid
from .drawings_map import draw_maps
from .findings import Findings
from .mistakes import name_mistakes
from .report import Report, TwinShot, say_label
from .shots import Album, show_confused, show_examples, show_mistakes
from .twin_table import DOUBT, say_unseen
from .twins import Twin, looks_alike

TWINS_SHOWN = 6
HOW = {
    "bytes": "the same file",
    "pixels": "the same pixels",
    "copy": "one picture",
    "mirrored": "one picture mirrored",
    "cropped": "one picture cropped",
    "scene": "the same scene",
    "near": "nearly alike",
}


def fill_report(
    found: Findings,
    album: Album,
    *,
    made: dict[str, str],
    leak: str,
    copies: Sequence[str],
    doubtful: Doubtful | None = None,
    files: str = "report_files",
    options: Mapping[str, str] | None = None,
) -> Report:
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
    doubtful : Doubtful, optional
        Labels that are probably wrong.
    files, options
        See `Report`.
    """
    asked, twins = found.asked, found.twins.pairs if found.twins else []
    unseen = found.twins.unseen if found.twins else 0
    manifest = asked.holdings.manifest
    images = sum(len(rows) for rows in manifest.splits.values())
    classes, paths = tuple(tell_apart(manifest.classes)), manifest.splits["test"].paths
    shown = found.answers, classes, paths
    return Report(
        manifest.source,
        asked.holdings.trunk,
        classes,
        found.verdict,
        found.answers,
        {drawing.name: drawing for drawing in draw_all(found, album)},
        show_mistakes(*shown, album),
        show_confused(*shown, album),
        show_examples(*shown, album),
        say_twins(twins, images, unseen) if found.twins else " ".join([say_not_compared(), *copies]),
        show_twins(twins, asked.holdings, album),
        {**made, **describe_making(found)},
        [line for line in (warn_of_twins(twins, images, asked.dropped), leak, warn_of_skipped(found)) if line],
        name_mistakes(*shown),
        doubtful,
        files,
        "folds of train and val" if asked.folds else "val",
        options or {},
    )


def warn_of_skipped(found: Findings) -> str:
    """A line about images that have no features, and so are in no figure; empty if all have some."""
    said, first = [], ""
    splits = found.asked.holdings.manifest.splits
    for split, rows in splits.items():
        lost = [np.flatnonzero(entry.read_status() != Status.OK) for entry in found.used.get(split, ())]
        skipped = np.unique(np.concatenate([*lost, np.empty(0, np.int64)])).tolist()
        if skipped:
            said.append(f"{split} {len(skipped)}")
            first = first or show_path(rows.paths[skipped[0]])
    images = sum(map(len, splits.values()))
    return (
        f"Without features, and so in no figure: {', '.join(said)} of {images:,} images; first {first}."
        if said
        else ""
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
        f"images of {split}": f"{len(rows)}{_say_groups(rows)}, rows sha256 {rows.digest}"
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


def _say_groups(rows: Rows) -> str:
    return "" if rows.groups is None else f" in {len(np.unique(rows.groups))} groups"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def draw_all(found: Findings, album: Album) -> list[Drawing]:
    """Every figure for which there are numbers."""
    bins, sizes = bin_answers(found.answers), album.measure()
    return [
        draw_grid(found.alike),
        *([draw_reliability(bins)] if bins else []),
        *([draw_front(found.cells)] if found.verdict.cheapest else []),
        draw_curve(found.curve),
        *_draw_labels(found),
        *([draw_sizes(sizes, album.resize_side(found.used["test"][-1].spec.view))] if len(sizes) else []),
        *draw_maps(found.asked.holdings),
        *_draw_principle(found, album),
    ]


def _draw_labels(found: Findings) -> list[Drawing]:
    """What suits the labels: how well each class is known and how many images it has; of numbers the answers."""
    answers, manifest = found.answers, found.asked.holdings.manifest
    classes, task = tell_apart(manifest.classes), answers.task
    labels = {split: rows.labels for split, rows in manifest.splits.items()}
    if task == "regression":
        return [
            draw_numbers(answers, classes[0]),
            draw_errors(answers, classes[0]),
            draw_values(labels, classes[0]),
        ]
    ordered = task == "ordinal"
    rows = answers.figures.per_class
    if task == "multilabel":
        return [
            draw_classes(rows, answers.figures["map"].value),
            draw_counts(classes, {split: y.sum(0) for split, y in labels.items()}),
        ]
    counts = {split: np.bincount(y, minlength=len(classes)) for split, y in labels.items()}
    return [
        *([draw_order(answers, classes)] if ordered and len(classes) <= MOST_ORDERED else []),
        draw_classes(rows, answers.figures["class_mean"].value, ordered=ordered),
        draw_counts(classes, counts, ordered=ordered),
    ]


def _draw_principle(found: Findings, album: Album) -> list[Drawing]:
    """The training and the test crop on the first of a few test photographs that is still what it was."""
    train, test = found.used["train"][0].spec.view, found.used["test"][-1].spec.view
    shown = (album.principle("test", row, train, test) for row in found.answers.row[:5].tolist())
    return [draw_principle(one) for one in shown if one is not None][:1]


def show_twins(twins: Sequence[Twin], holdings: Holdings, album: Album) -> list[TwinShot]:
    """The first pairs with their photographs: leaks before the others, differing labels before equal ones."""
    order = sorted(twins, key=lambda twin: (not twin.leaks, not twin.conflict, -twin.cosine))
    return [_take_twins(twin, holdings, album) for twin in order[:TWINS_SHOWN]]


def _take_twins(twin: Twin, holdings: Holdings, album: Album) -> TwinShot:
    ends = []
    for split, row in (twin.first, twin.second):
        rows = holdings.manifest.splits[split]
        label = say_label(holdings.manifest.name_label(rows.labels[row]))
        ends.append((album.thumbnail(split, row), split, label, show_path(rows.paths[row])))
    return TwinShot(HOW[twin.how], twin.cosine, twin.conflict, ends)


def say_twins(twins: Sequence[Twin], images: int, unseen: int = 0) -> str:
    """How many pairs there are, of which kinds, across which splits, and how many have two labels."""
    if not twins:
        return f"No two images are the same or nearly alike{say_unseen(unseen)}."
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
    doubt = f" {DOUBT}" * looks_alike(twins, images)
    return f"{pairs}; {', '.join(f'{where[name]} {name}' for name in across)}{labels}{say_unseen(unseen)}.{doubt}"


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
    same = {twin.second for twin in twins if twin.leaks and twin.is_proven}
    near = {twin.second for twin in twins if twin.leaks} - same
    counts = {"the same picture as": len(same), "much like": 0 if looks_alike(twins, images) else len(near)}
    said = [f"{n} {'is' if n == 1 else 'are'} {how} a training image" for how, n in counts.items() if n]
    if not said or dropped:
        return ""
    return f"Leak: of the val and test images, {' and '.join(said)}. --drop-duplicates trains without them."

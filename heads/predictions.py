"""What a kept head says of images: calibrated probabilities, and the best few classes of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.text import (
    escape_markdown,
    format_records,
    join_names,
    shorten_names,
    shorten_paths,
    show_path,
    show_text,
    write_path,
)

from .artifact import SavedHead
from .doubts import NOTHING, Asked, Doubt, list_asked, list_doubts, record_doubt, show_doubt
from .figures import Figure
from .knn import unit_rows
from .metrics import log_chances
from .novelty import Shift, find_p, rate_novelty
from .select import score_views
from .subset import keep_rows
from .views import join_views, see_views


@dataclass(frozen=True)
class Prediction(Doubt):
    """One image's classes, and what is said beside them: see `Doubt`.

    Attributes
    ----------
    path : bytes
        As the user named it.
    status : str
        ``ok``, or why there are no features to score.
    top : tuple of (class, probability)
        The most probable first; empty unless the status is ok. Of numbers what they are, and the number.
    labels : tuple of str, or None
        Of several classes those that the image is given, by their thresholds.
    """

    path: bytes
    status: str
    top: tuple[tuple[str, float], ...] = ()
    labels: tuple[str, ...] | None = None


def score_images(saved: SavedHead, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of ``X`` (n, V, D), one for each class: float32, shape (n, K); normalised
    and corrected as the head says."""
    return score_views(saved.head, _see_images(saved, X), saved.link)


def rate_images(saved: SavedHead, X: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """How strange the images ``X`` (n, V, D) are: float32, shape (n,); None if the head cannot tell."""
    return rate_novelty(saved.calibration.means, _see_images(saved, X)) if saved.calibration else None


def _see_images(saved: SavedHead, X: NDArray[np.float32]) -> NDArray[np.float32]:
    return see_views(unit_rows(X) if saved.normalised else X, saved.corrections, str(saved.figures.get("mean_of")))


def measure_doubts(saved: SavedHead, blocks: Sequence[FeatureSet]) -> tuple[tuple[Figure, ...], Shift | None]:
    """Coverage and unknown images among labelled ones, and their shift; nothing if the head cannot tell."""
    if saved.calibration is None:
        return (), None
    scores, y = (
        np.concatenate(part) for part in ([score_images(saved, b.X) for b in blocks], [b.y for b in blocks])
    )
    novelty = np.concatenate(
        [rate_novelty(saved.calibration.means, _see_images(saved, block.X)) for block in blocks]
    )
    groups = [block.group for block in blocks if block.group is not None]
    group = np.concatenate(groups) if groups else None
    known, p = saved.calibration, find_p(saved.calibration.novelty, novelty)
    figures = known.measure(scores, novelty, y, saved.temperature, saved.task, group)
    return figures, known.measure_shift(p, group)


def join_blocks(kinds: Sequence[Iterator[FeatureSet]]) -> Iterator[FeatureSet]:
    """Blocks of the same rows, seen in several ways, as blocks of the images that have features in all of them."""
    for blocks in zip(*kinds, strict=True):
        rows = reduce(np.intersect1d, (block.row for block in blocks))
        yield join_views([keep_rows(block, rows) for block in blocks])


def predict_images(
    saved: SavedHead,
    blocks: Iterable[FeatureSet],
    paths: Sequence[bytes],
    statuses: Sequence[str],
    top: int,
    asked: Asked = NOTHING,
) -> list[Prediction]:
    """One prediction per row, in row order; rows without features have none.

    Parameters
    ----------
    saved : SavedHead
    blocks : iterable of FeatureSet
        The ok rows; one block is held at a time.
    paths, statuses : sequence, length n
        Of every row.
    top : int
        Classes per image, all of them if there are fewer.
    asked : Asked
        What to say beside them.
    """
    best: dict[int, tuple[tuple[str, float], ...]] = {}
    given: dict[int, tuple[str, ...]] = {}
    doubts: dict[int, Doubt] = {}
    for block in blocks:
        scores, rows = score_images(saved, block.X), block.row.tolist()
        doubts |= zip(rows, list_doubts(saved, asked, scores, rate_images(saved, block.X)), strict=True)
        if saved.link == "identity":
            best |= {
                row: ((saved.classes[0], value),) for row, value in zip(rows, scores[:, 0].tolist(), strict=True)
            }
            continue
        logs = log_chances(scores, saved.link, saved.temperature)
        if saved.link == "sigmoid":
            above = np.exp(logs) >= (0.5 if saved.thresholds is None else saved.thresholds)
            for row, mine in zip(rows, above, strict=True):
                given[row] = tuple(saved.classes[k] for k in np.flatnonzero(mine))
        # By the logarithms, stable: probabilities that underflow keep their order, ties go to the first class.
        order = np.argsort(-logs, axis=1, kind="stable")[:, :top]
        chances = np.exp(np.take_along_axis(logs, order, axis=1))
        for row, classes, values in zip(rows, order.tolist(), chances.tolist(), strict=True):
            best[row] = tuple(zip((saved.classes[k] for k in classes), values, strict=True))
    return [
        Prediction(path, status, best.get(row, ()), given.get(row), **vars(doubts.get(row, Doubt())))
        for row, (path, status) in enumerate(zip(paths, statuses, strict=True))
    ]


def format_predictions(predictions: Sequence[Prediction], style: str, task: str = "multiclass") -> str:
    """Predictions of a head of some task in one of `heads.table.FORMATS`, ending in a newline.

    JSON holds paths and classes as they are; the others escape what a terminal or a table would obey.
    """
    asked = list_asked(predictions)
    if style == "json":
        return format_records(
            [_full_record(p, task) | record_doubt(p, asked, flat=False) for p in predictions], style
        )
    columns = max((len(p.top) for p in predictions), default=0)
    if style == "csv":
        lines = [_flat_record(p, columns, task) | record_doubt(p, asked, flat=True) for p in predictions]
        return format_records(lines, style)
    escape = escape_markdown if style == "md" else str
    cells = [dict(_show_cells(p, columns, escape, task)) for p in predictions]
    ranks = [str(rank + 1) for rank in range(max(columns, 1))]
    named = dict.fromkeys(escape(show_text(name)) for p in predictions for name, _ in p.top)
    return format_records(
        [row | dict(show_doubt(p, asked, escape)) for row, p in zip(cells, predictions, strict=True)],
        style,
        broken=["labels", "set"],
        shortened={"image": shorten_paths, **dict.fromkeys(ranks, partial(_shorten_ranked, [*named]))},
        spare=ranks[:0:-1],
    )


def _shorten_ranked(names: Sequence[str], cells: Sequence[str], width: int) -> list[str]:
    """Cells of a rank, of which the probability stays whole; of all names of the table none looks like another."""
    start = len("100.0 % ")
    short = dict(zip(names, shorten_names(names, max(width - start, 1)), strict=True))
    return [
        cell[:start] + short[cell[start:]] if cell[start:] in short else shorten_names([cell], width)[0]
        for cell in cells
    ]


def _full_record(p: Prediction, task: str) -> dict[str, Any]:
    record: dict[str, Any] = {"path": write_path(p.path, "json"), "status": p.status}
    if task == "regression":
        return {**record, "value": p.top[0][1] if p.top else None}
    if task == "multilabel":
        record["labels"] = None if p.labels is None else list(p.labels)
    return {**record, "top": [{"class": name, "probability": value} for name, value in p.top]}


def _flat_record(p: Prediction, columns: int, task: str) -> dict[str, Any]:
    record: dict[str, Any] = {"path": write_path(p.path, "csv"), "status": p.status}
    if task == "regression":
        return {**record, "value": p.top[0][1] if p.top else None}
    if task == "multilabel":
        record["labels"] = join_names(map(show_text, p.labels or ()))
    for rank in range(columns):
        name, value = p.top[rank] if rank < len(p.top) else ("", None)
        record |= {f"class_{rank + 1}": show_text(name), f"probability_{rank + 1}": value}
    return record


def _show_cells(p: Prediction, columns: int, escape: Any, task: str) -> Iterator[tuple[str, str]]:
    yield "image", escape(show_path(p.path))
    if task == "regression":
        name = next((show_text(name) for name, _ in p.top), "value")
        yield escape(name), f"{p.top[0][1]:.6g}" if p.top else f"skipped: {p.status}"
        return
    if task == "multilabel":
        yield "labels", ", ".join(escape(show_text(name)) for name in p.labels or ())
    for rank in range(columns):
        shown = "" if rank or p.top else f"skipped: {p.status}"
        if rank < len(p.top):
            name, value = p.top[rank]
            shown = f"{100 * value:5.1f} % {escape(show_text(name))}"
        yield str(rank + 1), shown
    if not columns:
        yield "1", f"skipped: {p.status}"

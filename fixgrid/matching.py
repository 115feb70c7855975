"""Match labelled images to a kept head: of the task that it answers, and of its classes by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cache.errors import DataError
from .cache.rows import Manifest, Rows
from .cache.strings import Strings
from .cache.text import show_text
from .embed.listing import SPLIT
from .heads.artifact import SavedHead

_MOST_NAMED = 3


def expect_task(found: Manifest, saved: SavedHead) -> None:
    """Refuse labels of another kind than the head answers.

    Raises
    ------
    DataError
        Naming the data set.
    """
    one = ("multiclass", "ordinal")
    if found.task == "unlabelled":
        raise DataError(
            f"found no labels in {found.source}, expected some to score a head by: class folders, or a table with "
            "a column of labels; predict answers without."
        )
    if found.task != saved.task and not (found.task in one and saved.task in one):
        raise DataError(
            f"found {found.task} labels in {found.source}; expected {saved.task} ones, which the head answers: "
            "see --task."
        )


def label_as(found: Manifest, splits: Sequence[str], saved: SavedHead, *, skip_unknown: bool = False) -> Manifest:
    """The images of some splits as one, their labels those of a head's classes.

    Raises
    ------
    DataError
        If it does not know some of the classes that they are of, unless those are to be skipped.
    """
    rows = _join_rows([found.splits[split] for split in splits])
    if found.task == "regression":
        return Manifest(found.source, found.root, found.classes, {SPLIT: rows}, task=found.task)
    place = {name: number for number, name in enumerate(saved.classes)}
    index = np.array([place.get(name, -1) for name in found.classes], np.int64)
    if found.task == "multilabel":
        known = index >= 0
        strange = rows.labels[:, ~known].any(1)
        named = [found.classes[i] for i in np.flatnonzero(~known & rows.labels.any(0)).tolist()]
        labels = np.zeros((len(rows), len(place)), np.bool_)
        labels[:, index[known]] = rows.labels[:, known]
    else:
        labels = index[rows.labels]
        strange = labels < 0
        named = [found.classes[i] for i in np.unique(rows.labels[strange]).tolist()]
    if named and not skip_unknown:
        raise DataError(_refuse_unknown(named, saved.classes, found.source, int(strange.sum()), len(rows)))
    rows = replace(rows, labels=labels).take(np.flatnonzero(~strange))
    if not len(rows):
        raise DataError(
            f"found no image of a class that the head knows in {found.source}; expected some of its "
            f"{len(place)} classes, by name, such as {show_text(saved.classes[0])}."
        )
    return Manifest(found.source, found.root, saved.classes, {SPLIT: rows}, task=found.task)


def _join_rows(parts: Sequence[Rows]) -> Rows:
    first, *others = parts
    if not others:
        return first

    def join(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    paths = Strings.gather(path for part in parts for path in part.paths)
    groups = None if first.groups is None else join("groups")
    return Rows(paths, join("sizes"), join("sha256"), join("labels"), groups)


def _refuse_unknown(unknown: Sequence[str], classes: Sequence[str], source: str, n: int, total: int) -> str:
    """A line that names some classes, and what may have been meant by them."""
    folded = {name.casefold(): name for name in classes}
    said = []
    for name in unknown[:_MOST_NAMED]:
        near = [show_text(folded[one]) for one in get_close_matches(name.casefold(), folded, 1)]
        said.append(show_text(name) + "".join(f" (did you mean {one}?)" for one in near))
    more = ", ..." * (len(unknown) > _MOST_NAMED)
    rest = f", or leave out their {n:,} of {total:,} images with --skip-unknown" * (n < total)
    what = "a class" if len(unknown) == 1 else f"{len(unknown)} classes"
    return (
        f"found {what} in {source} that the head does not know: {', '.join(said)}{more}; expected some of its "
        f"{len(classes)}, by name: rename them{rest}."
    )

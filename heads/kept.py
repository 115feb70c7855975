"""What is kept of a chosen head: which question it answers, of which images, and what it may be called."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.rows import Rows

from .artifact import SavedHead, load_head, name_files
from .fit import Fitted
from .question import Pair
from .source import Place, Source

LONGEST = 200
"""Bytes of a head's default name; most file systems take 255, suffix included."""
_SHORT = 6


def describe_pairs(asked: str | Sequence[Pair] | None, chosen: Sequence[Pair]) -> str | list[str]:
    """Pairs of resolutions as they were asked for: ``all`` that the cache holds, or those named."""
    return "all" if asked is None else [f"{train}:{test}" for train, test in chosen]


def describe_training(
    source: Source, places: Sequence[Place], holdings: Holdings, *, refit: bool, pooled: Sequence[str] = ("train",)
) -> dict[str, Any]:
    """The images that a head learnt from: by split how many, the digest of their rows, how many were dropped.

    Parameters
    ----------
    source : Source
        Of the features that it was fitted on.
    places : sequence of (split, kind, px)
        All that it was fitted, chosen and scored on.
    holdings : Holdings
        Features of all images.
    refit : bool
        Whether val was trained on as well.
    pooled : sequence of str
        Splits whose images are the training images of ``source``, with their row ids one split after another.
    """
    found: dict[str, Any] = {}
    for split in ("train", *["val"] * refit):
        mine = [place for place in places if place[0] == split]
        taken = reduce(np.union1d, [source.load(*place).row for place in mine])
        start = 0
        for name in pooled if split == "train" else (split,):
            all_rows = holdings.manifest.splits[name]
            part = taken[(taken >= start) & (taken < start + len(all_rows))] - start
            held = reduce(np.union1d, [holdings.list_rows(name, kind, res) for _, kind, res in mine])
            found[name] = {"images": len(part), "rows_sha256": all_rows.take(part).digest}
            if len(held) > len(part):
                found[name]["dropped"] = len(held) - len(part)
            start += len(all_rows)
    return found


def name_question(saved: SavedHead) -> str:
    """Hex sha256 of the question that a head answers; empty if its file does not tell, as of earlier versions.

    Keys hold the trunk's version, kind of features, views and rows; classes and labels are beside them.
    """
    if not saved.asked:
        return ""
    facts = [saved.asked, saved.keys, saved.classes, saved.data.get("splits")]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("ascii")).hexdigest()


def choose_stem(folder: Path, data: str, rest: str, question: str) -> Path:
    """Where a head goes that nobody named: ``data-rest``, or that and digits of its question where another is.

    A name that would be too long loses the end of ``data``, and has the digits, too.
    """
    stems = _list_stems(folder, data, rest, question)
    return next((stem for stem in stems if find_question(stem) in (None, question)), stems[-1])


def find_stem(folder: Path, data: str, rest: str, question: str) -> Path | None:
    """Where the head of a question is among those of `choose_stem`; None if it is not there."""
    stems = _list_stems(folder, data, rest, question)
    return next((stem for stem in stems if find_question(stem) == question), None)


def _list_stems(folder: Path, data: str, rest: str, question: str) -> list[Path]:
    room = max(LONGEST - len(os.fsencode(rest)), LONGEST // 4)
    cut = os.fsencode(data)[:room].decode("utf-8", "ignore")
    name = f"{cut}-{rest}"
    names = [name, f"{name}-{question[:_SHORT]}", f"{name}-{question[: 2 * _SHORT]}"]
    return [folder / text for text in names[cut != data :]]


def find_question(stem: Path) -> str | None:
    """The question of the head in a place; empty if that cannot be told, None if nothing is there."""
    if not any(map(os.path.lexists, name_files(stem))):
        return None
    try:
        return name_question(load_head(stem))
    except CacheError:
        return ""


def keep_fitted(
    fitted: Fitted, holdings: Holdings, figures: Mapping[str, Any], asked: Mapping[str, Any] | None = None
) -> SavedHead:
    """The head with what a later run needs to compute features for it, and where those it saw came from.

    Parameters
    ----------
    fitted : Fitted
    holdings : Holdings
        That it was fitted from.
    figures : mapping
        How it did, and how it was chosen.
    asked : mapping, optional
        What was asked for, see `SavedHead`.

    Raises
    ------
    UsageError
        If its test features are of several trunks.
    """
    rows = holdings.manifest.splits
    used = {split: [holdings.entry(*place) for place in fitted.places if place[0] == split] for split in rows}
    entry, views = used["test"][0], [dict(entry.spec.view) for entry in used["test"]]
    if len({entry.spec.trunk["weights_sha256"] for entry in used["test"]}) > 1:
        raise UsageError(
            f"found a batchnorm head on trunks recalibrated at {fitted.test_res} px, which cannot be kept yet; "
            "expected one test resolution: name such --pairs, or leave batchnorm out of --gap."
        )
    identity = {name: value for each in used["test"] for name, value in each.spec.trunk.items()}
    return SavedHead(
        fitted.head,
        holdings.manifest.classes,
        fitted.temperature,
        task=holdings.manifest.task,
        thresholds=fitted.thresholds,
        keys={split: [entry.spec.key for entry in entries] for split, entries in used.items()},
        trunk={**identity, **entry.describe_trunk()},
        view=views[0] if len(views) == 1 else {},
        views=views if len(views) > 1 else [],
        corrections=fitted.corrections,
        calibration=fitted.calibration,
        figures=dict(figures),
        data={
            "source": holdings.manifest.source,
            "splits": {split: describe_rows(part) for split, part in rows.items()},
        },
        asked=dict(asked or {}),
        trained_on=describe_training(
            fitted.ask.source if fitted.ask else holdings,
            fitted.places,
            holdings,
            refit=fitted.ask is not None and fitted.ask.options.refit,
            pooled=fitted.ask.folds.deck.splits if fitted.ask and fitted.ask.folds else ("train",),
        ),
    )


def describe_rows(rows: Rows) -> dict[str, Any]:
    """The images of a split and their labels, as a head's file tells them from others."""
    labels = hashlib.sha256(rows.labels.tobytes()).hexdigest()
    return {"images": len(rows), "rows_sha256": rows.digest, "labels_sha256": labels}

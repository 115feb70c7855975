"""What heads say of labels that they did not learn from: folds of train and val, and a head of both for test."""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.phase import Phase, keep_silent

from .ask import choose_families
from .deck import Folds, make_deck
from .families import FAMILIES
from .memo import Memo
from .metrics import read_likelihoods, smooth_loss
from .pool import Pool
from .select import Head, HeadPath
from .source import Shelf
from .subset import keep_rows
from .training import Part, Training

Answered: TypeAlias = tuple[NDArray[np.float32], NDArray[np.bool_], float]
"""Scores, which labels were learnt, strength: as `HeldOut` has them."""
_SEMANTICS = 1  # raise it with any change that moves an answer
_MOST_KEPT = 4_000_000  # scores that are remembered at most: 16 MB
_COARSE = 2  # of the strengths every second is tried: half a decade apart
_NO_BETTER = 2  # in a row, after which the likeliest has been


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Answers to the images of a data set, each by a head that did not learn from it.

    Attributes
    ----------
    split : array of str, shape (n,)
    row : int64 array, shape (n,)
        Row ids in the split.
    y : array, shape (n,) or (n, K)
        Labels, as `fixgrid.cache.rows.Rows` has them.
    scores : float32 array, shape (n, K)
    learnt : bool array, shape of y
        Whether the head learnt from other images with this label; True of numbers.
    strength : float
        Of the heads: the likeliest by the answers of the folds.
    """

    split: NDArray[np.str_]
    row: NDArray[np.int64]
    y: NDArray[Any]
    scores: NDArray[np.float32]
    learnt: NDArray[np.bool_]
    strength: float


def answer_held_out(
    holdings: Holdings, res: int, n: int = 5, folder: Path | None = None, phase: Phase = keep_silent
) -> HeldOut:
    """Let heads of center views answer every labelled image that they did not learn from.

    Of train and val each fold by heads of the others: copies and groups are on one side. Test images by a head of
    train and val; one that is there to the byte, by the head that did not learn from it.

    Parameters
    ----------
    holdings : Holdings
    res : int
        px; center views of every split are cached.
    n : int
        Folds.
    folder : Path, optional
        Where answers are remembered.
    phase : callable
        Is told how many strengths are tried.

    Raises
    ------
    UsageError
        See `Folds`.
    """
    splits = holdings.manifest.splits
    learns = {split: rows for split, rows in splits.items() if split != "test"}
    source = Shelf(Pool(holdings, {split: len(rows) for split, rows in learns.items()}))
    pool = source.load("train", "center", res)
    test = source.load("test", "center", res) if "test" in splits else keep_rows(pool, np.empty(0, np.int64))
    places = [(split, "center", res) for split in splits]
    task = holdings.manifest.task
    facts = {"held out": _SEMANTICS, "folds": n, "n_classes": holdings.n_classes, "task": task}
    memo = Memo(folder, holdings.identify) if folder else None
    name = memo.name(facts, places) if memo else ""
    scores, learnt, strength = _read(memo.recall(name) if memo else None, pool, test)
    if not len(scores):
        folds = Folds(make_deck(learns), n)
        scores, learnt, strength = _answer(Training(source, (("center", res),), folds), pool, test, task, phase)
        if memo and scores.size <= _MOST_KEPT:
            memo.keep(name, _write(scores, learnt, strength))
    starts = np.cumsum([0, *map(len, learns.values())])
    place = np.searchsorted(starts, pool.row, side="right") - 1
    split = np.concatenate([np.array(list(learns))[place], np.full(len(test.row), "test")])
    row = np.concatenate([pool.row - starts[place], test.row])
    return HeldOut(split, row, np.concatenate([pool.y, test.y]), scores, learnt, strength)


def _answer(whole: Training, pool: FeatureSet, test: FeatureSet, task: str, phase: Phase) -> Answered:
    (family,) = choose_families(None, task, balanced=False)
    strength, scores, learnt = _answer_folds(whole.parts, family, pool, phase)
    if not len(test.row):
        return scores, learnt, strength
    phase("fitting the head that judges test")
    said, known = _score(whole.path(family).head(strength), test), _know(test.y, pool.y)
    for part in whole.parts:
        copies = _find_copies(test, part.take(pool))
        if copies.any():
            said[copies] = _score(part.training.path(family).head(strength), test)[copies]
            known[copies] = _know(test.y, part.training.rows[1])[copies]
    return np.concatenate([scores, said]), np.concatenate([learnt, known]), strength


def _write(scores: NDArray[np.float32], learnt: NDArray[np.bool_], strength: float) -> dict[str, Any]:
    """What answers are remembered as, JSON values."""
    parts = {"scores": scores.astype("<f4"), "learnt": np.packbits(learnt)}
    return {**{name: b64encode(part.tobytes()).decode() for name, part in parts.items()}, "strength": strength}


def _read(record: Mapping[str, Any] | None, pool: FeatureSet, test: FeatureSet) -> Answered:
    """Remembered answers; none if there are none."""
    if record is None:
        return np.empty((0, 1), np.float32), np.empty(0, bool), 0.0
    n, shape = len(pool.row) + len(test.row), pool.y.shape[1:]
    bits = np.unpackbits(np.frombuffer(b64decode(record["learnt"]), np.uint8), count=n * math.prod(shape))
    scores = np.frombuffer(b64decode(record["scores"]), "<f4").reshape(n, -1).astype(np.float32)
    return scores, bits.astype(bool).reshape(n, *shape), record["strength"]


def _answer_folds(
    parts: Sequence[Part], family: str, pool: FeatureSet, phase: Phase
) -> tuple[float, NDArray[np.float32], NDArray[np.bool_]]:
    """The strength whose answers are the likeliest, these answers, and which labels were learnt."""
    paths: list[HeadPath] = []
    for number, part in enumerate(parts):
        phase("preparing the features of folds", number, len(parts), "folds")
        paths.append(part.training.path(family))
    held = [part.take(pool) for part in parts]
    places = [np.searchsorted(pool.row, each.row) for each in held]
    best: tuple[float, NDArray[np.float32]] | None = None
    least, tried = np.inf, 0
    strengths = FAMILIES[family][1][::_COARSE]
    for number, strength in enumerate(strengths):
        phase(f"fitting heads on {len(parts)} folds", number, len(strengths), "strengths")
        answers = [_score(path.head(strength), each) for path, each in zip(paths, held, strict=True)]
        scores = np.empty((len(pool.row), answers[0].shape[1]), np.float32)
        for place, answer in zip(places, answers, strict=True):
            scores[place] = answer
        loss, tried = smooth_loss(read_likelihoods(scores, pool.y)), tried + 1
        if best is None or loss < least:
            best, least, tried = (strength, scores), loss, 0
        elif tried == _NO_BETTER:
            break
    assert best is not None  # every family walks some strengths
    learnt = np.ones(pool.y.shape, bool)
    for part, place in zip(parts, places, strict=True):
        learnt[place] = _know(pool.y[place], part.training.rows[1])
    return *best, learnt


def _score(head: Head, images: FeatureSet) -> NDArray[np.float32]:
    return head.scores(images.X[:, 0])


def _know(y: NDArray[Any], taught: NDArray[Any]) -> NDArray[np.bool_]:
    """Which labels are among those that were learnt."""
    if y.ndim == 2:
        return np.where(y, taught.any(0), ~taught.all(0))
    return np.ones(len(y), bool) if y.dtype.kind == "f" else np.isin(y, taught)


def _find_copies(images: FeatureSet, others: FeatureSet) -> NDArray[np.bool_]:
    """Which files are among the others to the byte."""
    known = {digest.tobytes() for digest in others.sha256}
    return np.array([digest.tobytes() in known for digest in images.sha256], bool)

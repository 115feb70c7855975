"""Labels that are probably wrong, ranked: by the probability that held-out answers leave to each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.holdings import Holdings
from fixgrid.cache.phase import Phase, keep_silent
from fixgrid.cache.rows import End, Manifest

from .held_out import HeldOut, answer_held_out
from .label_noise import Noise, doubt_labels, fit_noise, join_shares, read_chances
from .measures import find_measure
from .metrics import Estimate, log_softmax

_FAR_OFF = 3.5  # robust standard deviations: modified z-scores of outliers (Iglewicz & Hoaglin 1993)
_MAD = 0.6745  # of a normal distribution with standard deviation 1
_FEWEST = 50  # labels of which the share drawn at random is told; its interval is some .1 wide, and holds it


@dataclass(frozen=True, eq=False)
class Ranking:
    """Every label of a data set, the most doubtful first; of several labels every one of every image.

    Labels that differ from those of a file of equal bytes come before all others.

    Attributes
    ----------
    manifest : Manifest
    split : array of str, shape (m,)
    row : int64 array, shape (m,)
        Row ids in the split.
    label : int64 array, shape (m,)
        Of several labels which one is in doubt; of one class the given one; of numbers 0.
    given, likely : array, shape (m,)
        The label, and the likeliest other one: classes, int64; whether an image has the label, bool; numbers,
        float64.
    p_given, p_likely : float64 array, shape (m,)
        Probability of either, by heads that did not learn from the image; nan of numbers.
    p_random : float64 array, shape (m,)
        Probability that the label was drawn at random, see `fixgrid.heads.label_noise`; nan of numbers. Of a label
        that a look-alike's was taken for it says nothing.
    off : float64 array, shape (m,)
        Of numbers likely less given, in robust standard deviations of that; else nan.
    twin : tuple of (str, int) or None, length m
        Split and row id of a file of equal bytes with another label.
    suspect : bool array, shape (m,)
        More likely drawn at random than not, or with a ``twin``; numbers 3.5 deviations off or more.
    share : Estimate or None
        How many labels were drawn at random, told of test and of the others each by itself; None of numbers.
    borrowed : int
        Labels of test where they are too few for that: they are doubted as the others are.
    unjudged : int
        Labels of which heads had no other image to learn from. They are not among these.
    """

    manifest: Manifest
    split: NDArray[np.str_]
    row: NDArray[np.int64]
    label: NDArray[np.int64]
    given: NDArray[Any]
    likely: NDArray[Any]
    p_given: NDArray[np.float64]
    p_likely: NDArray[np.float64]
    p_random: NDArray[np.float64]
    off: NDArray[np.float64]
    twin: tuple[End | None, ...]
    suspect: NDArray[np.bool_]
    share: Estimate | None
    borrowed: int
    unjudged: int

    def __len__(self) -> int:
        return len(self.row)

    @property
    def paths(self) -> tuple[str, ...]:
        """Of the images, below the data set's root; undecodable bytes as `os.fsdecode` gives them."""
        return tuple(map(os.fsdecode, map(self.path, range(len(self)))))

    def path(self, i: int) -> bytes:
        """Of the image of one line."""
        return self.manifest.splits[str(self.split[i])].paths[int(self.row[i])]

    @property
    def n_suspect(self) -> int:
        """How many of them are suspects."""
        return int(self.suspect.sum())


def rank_labels(
    holdings: Holdings, res: int, folds: int = 5, folder: Path | None = None, phase: Phase = keep_silent
) -> Ranking:
    """Rank the labels of a data set by what heads say that did not learn from them; no head learns from test.

    By their own probability (self-confidence, as Northcutt et al. 2021 call it); numbers by how far off they are.

    Parameters
    ----------
    holdings : Holdings
    res, folds, folder, phase
        See `fixgrid.heads.held_out.answer_held_out`.

    Raises
    ------
    DataError
        If there are no labels.
    UsageError
        If there are too few images for the folds.
    """
    find_measure(holdings.manifest.task, None)  # which refuses images without labels
    return rank_answers(holdings.manifest, answer_held_out(holdings, res, folds, folder, phase))


def rank_answers(manifest: Manifest, held: HeldOut) -> Ranking:
    """The labels of a data set by answers to its images; see `rank_labels`."""
    nan, label = np.full(held.y.shape, np.nan), np.zeros(held.y.shape, np.int64)
    p_given, p_likely, p_random, off = nan, nan, nan, nan
    share, borrowed = None, 0
    if manifest.task == "regression":
        likely = held.scores[:, 0].astype(np.float64)
        off = (likely - held.y) / _measure_spread((likely - held.y)[held.split != "test"])
        doubt, suspect = abs(off), abs(off) >= _FAR_OFF
    else:
        share, borrowed, noises = _fit_sides(held)
        p_given, p_likely, p_random = np.empty_like(nan), np.empty_like(nan), np.empty_like(nan)
        likely = np.empty_like(held.y)
        for side, noise in noises:
            scores, y = held.scores[side], held.y[side]
            p_given[side] = read_chances(scores, y, noise.temperature)
            likely[side], p_likely[side] = _find_likely(scores, y, p_given[side], noise.temperature)
            p_random[side] = doubt_labels(scores, y, noise)
        label = held.y if held.y.ndim == 1 else np.tile(np.arange(held.y.shape[1]), (len(held.y), 1))
        doubt, suspect = -p_given, p_random > 0.5
    twins = find_conflicts(manifest)
    ends = [twins.get(end) for end in zip(held.split.tolist(), held.row.tolist(), strict=True)]
    torn = _compare_labels(manifest, held, ends)
    kept = np.flatnonzero(held.learnt | torn)
    order = kept[np.lexsort((-doubt.ravel()[kept], ~torn.ravel()[kept]))]
    image = order // (held.y.size // len(held.y))

    def take(part: NDArray[Any]) -> NDArray[Any]:
        return part.ravel()[order]

    return Ranking(
        manifest,
        held.split[image],
        held.row[image],
        take(label),
        take(held.y),
        take(likely),
        take(p_given),
        take(p_likely),
        take(p_random),
        take(off),
        tuple(ends[i] if own else None for i, own in zip(image.tolist(), take(torn).tolist(), strict=True)),
        take(suspect | torn),
        share,
        borrowed,
        held.y.size - len(kept),
    )


def _fit_sides(held: HeldOut) -> tuple[Estimate, int, list[tuple[NDArray[np.bool_], Noise]]]:
    """How many labels were drawn at random, how many of test are too few to tell, and the noise of each side.

    Train and val say nothing of test, which others may have labelled.
    """
    test = held.split == "test"
    (learns, n), (own, of_test) = (
        (fit_noise(held.scores[side], held.y[side], held.learnt[side]), int(held.learnt[side].sum()))
        for side in (~test, test)
    )
    if of_test < _FEWEST:
        return learns.share, of_test, [(np.ones_like(test), learns)]
    return join_shares([learns.share, own.share], [n, of_test]), 0, [(~test, learns), (test, own)]


def _measure_spread(error: NDArray[np.float64]) -> float:
    """Robust standard deviation about 0."""
    return float(np.median(abs(error))) / _MAD or 1.0


def _find_likely(
    scores: NDArray[np.float32], y: NDArray[Any], own: NDArray[np.float64], temperature: float
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The likeliest of all labels but the given one, and its probability."""
    if y.ndim == 2:
        return ~y, 1 - own
    rows, chances = np.arange(len(y)), np.exp(log_softmax(scores, temperature))
    chances[rows, y] = -1
    likely = chances.argmax(1)
    return likely, chances[rows, likely]


def find_conflicts(manifest: Manifest) -> dict[End, End]:
    """For each file that another equals to the byte, in whatever split, with another label: the first such."""
    files: dict[bytes, list[End]] = {}
    for split, rows in manifest.splits.items():
        for row, digest in enumerate(rows.sha256):
            files.setdefault(digest.tobytes(), []).append((split, row))

    found: dict[End, End] = {}
    for ends in (ends for ends in files.values() if len(ends) > 1):
        labels = [tuple(np.ravel(_label_of(manifest, end)).tolist()) for end in ends]
        firsts: dict[tuple[Any, ...], End] = {}
        for label, end in zip(labels, ends, strict=True):
            firsts.setdefault(label, end)
        if len(firsts) > 1:
            first, second = list(firsts)[:2]
            found |= {end: firsts[second if own == first else first] for own, end in zip(labels, ends, strict=True)}
    return found


def _label_of(manifest: Manifest, end: End) -> Any:
    return manifest.splits[end[0]].labels[end[1]]


def _compare_labels(manifest: Manifest, held: HeldOut, ends: list[End | None]) -> NDArray[np.bool_]:
    """Whether each label is another in that file: bool, shape of ``held.y``."""
    torn = np.zeros(held.y.shape, bool)
    for i, end in enumerate(ends):
        if end is not None:
            torn[i] = _label_of(manifest, end) != held.y[i]
    return torn

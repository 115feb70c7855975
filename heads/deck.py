"""The images of a pool, dealt to folds or to splits anew: each class spread evenly, copies never on two sides."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fixgrid.cache.errors import UsageError
from fixgrid.cache.rows import Manifest, Rows, find_strata


@dataclass(frozen=True, eq=False)
class Deck:
    """Images that are dealt.

    Attributes
    ----------
    row : int64 array, shape (n,)
        Row ids: those of the first split, then those of each other after all of the ones before.
    y : int64 array, shape (n,)
        Labels, or what images are dealt by where they are not of one class: see `find_strata`.
    group : int64 array, shape (n,)
        Images of one number stay together.
    splits : tuple of str
        Where the images are from.
    of_class : bool
        Whether ``y`` are classes, each of which folds must have.
    """

    row: NDArray[np.int64]
    y: NDArray[np.int64]
    group: NDArray[np.int64]
    splits: tuple[str, ...]
    of_class: bool = True

    @cached_property
    def digest(self) -> str:
        """Hex sha256 over all that a deal depends on."""
        parts = (self.row, self.y, self.group)
        return hashlib.sha256(b"".join(part.astype("<i8").tobytes() for part in parts)).hexdigest()

    def leave_out(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row ids of the others."""
        return self.row[~np.isin(self.row, rows)]

    def deal_splits(self, shares: Mapping[str, float], seed: int) -> dict[str, NDArray[np.int64]]:
        """Row ids of each split, of which each class gives its share, rounded up or down by chance.

        Parameters
        ----------
        shares : mapping of str to float
            Above 0; they add up to 1.
        seed : int

        Raises
        ------
        UsageError
            If a split would be empty.
        """
        _, first, mine, size = np.unique(self.group, return_index=True, return_inverse=True, return_counts=True)
        rng, label = np.random.default_rng(seed), self.y[first]
        turn = rng.permutation(len(first))
        turn = turn[np.argsort(label[turn], kind="stable")]
        label, size = label[turn], size[turn]
        total = np.bincount(label, size)
        # Systematic sampling: one start in each class, then every image has its place on a line from 0 to 1.
        place = np.cumsum(size) - (np.cumsum(total) - total)[label] - size * rng.random(len(total))[label]
        ends = np.cumsum(list(shares.values()))[:-1]
        side = np.empty(len(first), np.int64)
        side[turn] = np.searchsorted(ends, place / total[label], side="right")
        dealt = {split: self.row[side[mine] == i] for i, split in enumerate(shares)}
        if any(len(rows) == 0 for rows in dealt.values()):
            found = ", ".join(f"{len(rows)} for {split}" for split, rows in dealt.items())
            raise UsageError(f"found {len(self.row)} images to deal, {found}; expected some for each: add images.")
        return dealt


def make_deck(splits: Mapping[str, Rows], groups: NDArray[np.int64] | None = None) -> Deck:
    """All images of some splits; files of equal bytes are one group, and the groups of the data set stay whole.

    Parameters
    ----------
    splits : mapping of str to Rows
    groups : int64 array, shape (n,), optional
        Images that belong together, in place of the data set's own groups: one number for each image, split after
        split. What a copy joins is one group.

    Raises
    ------
    UsageError
        If there are not as many numbers as images.
    """
    parts = list(splits.values())
    labels = np.concatenate([part.labels for part in parts])
    y, of_class = find_strata(labels), labels.ndim == 1 and labels.dtype.kind != "f"
    own = [part.groups for part in parts if part.groups is not None]
    groups = np.concatenate(own) if groups is None and len(own) == len(parts) else groups
    files = np.concatenate([part.sha256 for part in parts])
    group = np.unique(files, axis=0, return_inverse=True)[1].reshape(-1)
    if groups is not None:
        if len(groups) != len(y):
            raise UsageError(f"found groups of {len(groups)} images, expected one number for each of {len(y)}.")
        given = np.unique(groups, return_inverse=True)[1]
        n = len(y)
        edges = coo_array((np.ones(n, np.int8), (group, n + given)), shape=(2 * n, 2 * n))
        group = connected_components(edges, directed=False)[1][group].astype(np.int64)
    return Deck(np.arange(len(y)), y, group, tuple(splits), of_class)


@dataclass(frozen=True, eq=False)
class Folds:
    """A cross-validation: every image is held out once in each repeat.

    Attributes
    ----------
    deck : Deck
    n : int
        Folds.
    seed : int
        Of the first repeat; each has the next.
    repeats : int
        How often the deck is dealt.

    Raises
    ------
    UsageError
        If there are fewer than 2 folds or 1 repeat, or too few images for them.
    """

    deck: Deck
    n: int
    seed: int = 0
    repeats: int = 1

    def __post_init__(self) -> None:
        alone = len(np.unique(self.deck.group))  # copies, and images of a group, are on one side
        if self.n < 2 or self.repeats < 1:
            raise UsageError(
                f"found {self.n} folds, {self.repeats} times; expected 2 folds or more, as in --folds 5, and "
                "--repeats of 1 or more."
            )
        if alone < self.n:
            raise UsageError(
                f"found --folds {self.n} and {alone} images or groups of them that can be apart; expected "
                f"{self.n}: ask for fewer folds."
            )
        if self.deck.of_class and self._most < self.n:
            raise UsageError(
                f"found --folds {self.n} and classes of at most {self._most} images; expected a class of {self.n}: "
                "ask for fewer folds."
            )

    @property
    def _most(self) -> int:
        """Images of the largest class, or of whatever else images are dealt by."""
        return int(np.bincount(self.deck.y).max())

    @property
    def facts(self) -> dict[str, Any]:
        """What a result depends on, as JSON values."""
        return {"n": self.n, "seed": self.seed, "repeats": self.repeats, "images": self.deck.digest}

    @cached_property
    def held(self) -> tuple[NDArray[np.int64], ...]:
        """Row ids that each fold holds out, of one repeat after the other."""
        return tuple(rows for repeat in range(self.repeats) for rows in self._deal(self.seed + repeat))

    def _deal(self, seed: int) -> list[NDArray[np.int64]]:
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        deck = self.deck
        y = deck.y if self._most >= self.n else np.zeros_like(deck.y)  # too few to give each fold its share
        single = len(np.unique(deck.group)) == len(deck.group)
        how = (StratifiedKFold if single else StratifiedGroupKFold)(self.n, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes with fewer images than folds: see note_thin
            return [deck.row[places] for _, places in how.split(deck.row, y, deck.group)]


def note_thin(deck: Deck, n: int, manifest: Manifest) -> tuple[str, ...]:
    """A notice of the classes that have fewer images than there are folds; numbers have none.

    Raises
    ------
    UsageError
        If one has a single image, and images have one class: a head could not learn it and be judged on it.
    """
    if manifest.task == "regression":
        return ()
    labels = np.concatenate([manifest.splits[split].labels for split in deck.splits])
    image, label = np.nonzero(labels) if labels.ndim == 2 else (np.arange(len(labels)), labels)
    apart = np.unique(np.stack([label, deck.group[image]]), axis=1)[0]  # copies cannot be on two sides
    classes = manifest.classes
    count = np.bincount(apart, minlength=len(classes)).tolist()
    where = " and ".join(deck.splits)
    alone = [name for name, images in zip(classes, count, strict=True) if images == 1]
    if alone and deck.of_class:
        raise UsageError(
            f"found one image of {', '.join(alone[:3])}{', ...' * (len(alone) > 3)} in {where}; expected 2 or more "
            "of each class for --folds: add images, or leave --folds out."
        )
    thin = [label for label, images in enumerate(count) if 0 < images < n]
    if not thin:
        return ()
    least = min(thin, key=count.__getitem__)
    return (
        f"note: {len(thin)} classes have fewer images in {where} than there are folds ({classes[least]}: "
        f"{count[least]}), so some folds judge none of theirs",
    )

"""Names of classes and files: which may be meant for one another, and which a split lacks."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from fixgrid.cache.errors import DataError
from fixgrid.cache.rows import SPLITS
from fixgrid.cache.text import show_path, show_text

from .labelling import list_names
from .sources.images import Image, Images
from .sources.words import drop_unseen, fold_name

_MOST_NAMED = 10


def expect_distinct(images: Sequence[Image], classes: Sequence[str], source: str) -> None:
    """Refuse names of classes that are one name to people: of which some are not trained, or that look the same.

    Parameters
    ----------
    images : sequence of Image
        Each with a split.
    classes : sequence of str
    source : str

    Raises
    ------
    DataError
        Naming two of them, where they are and how they differ.
    """
    splits = _find_splits(images)
    for alike in find_alike(classes):
        difference = name_difference(alike)
        if difference == "case" and all("train" in splits[name] for name in alike):
            continue
        named = " and ".join(f"{_show_name(name)} ({', '.join(splits[name])})" for name in alike)
        raise DataError(
            f"found the classes {named} in {source}, whose names differ only in {difference}; expected one name: "
            "rename one."
        )


def note_names(images: Sequence[Image], classes: Sequence[str]) -> tuple[str, ...]:
    """Notes on classes that differ only in case, and on those of which val or test has no image."""
    alike = [" and ".join(map(_show_name, names)) for names in find_alike(classes)]
    notes = [f"{len(alike)} class(es) have names that differ only in case, such as {alike[0]}"] if alike else []
    found = _find_splits(images)
    for split in sorted(Images.gather(images).splits.held(), key=SPLITS.index):
        lacking = [show_text(name) for name in classes if split not in found[name]]
        if lacking:
            more = ", ..." if len(lacking) > _MOST_NAMED else ""
            named = ", ".join(lacking[:_MOST_NAMED]) + more
            notes.append(f"{split} has no image of {len(lacking)} of {len(classes)} classes: {named}")
    return tuple(notes)


def find_collisions(paths: Sequence[bytes]) -> tuple[str, ...]:
    """A note if names differ only in case or Unicode form: they are one file on some machines."""
    folded = np.fromiter((hash(_fold_path(path)) for path in paths), np.int64, len(paths))
    order = np.argsort(folded, kind="stable")
    folded = folded[order]
    same = np.flatnonzero(folded[1:] == folded[:-1])
    alike: Mapping[str, list[bytes]] = defaultdict(list)
    for place in np.sort(order[np.union1d(same, same + 1)]).tolist():
        alike[_fold_path(paths[place])].append(paths[place])
    pairs = [some for some in alike.values() if len(some) > 1]
    if not pairs:
        return ()
    first = " and ".join(show_path(path) for path in pairs[0][:2])
    return (f"{len(pairs)} file name(s) differ only in case or Unicode form, such as {first}",)


def _fold_path(path: bytes) -> str:
    return unicodedata.normalize("NFC", os.fsdecode(path).casefold())


def find_alike(classes: Collection[str]) -> list[list[str]]:
    """Names that differ only in Unicode form, case or blanks, together."""
    alike: Mapping[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[fold_name(name)].append(name)
    return [names for names in alike.values() if len(names) > 1]


def name_difference(alike: Collection[str]) -> str:
    """In what such names differ: what has to be evened out before they are equal."""
    ways = {
        "Unicode form": lambda name: unicodedata.normalize("NFC", name),
        "blanks": lambda name: " ".join(name.split()),
        "case": str.casefold,
        "signs that are not seen": drop_unseen,
    }
    for what, even in ways.items():
        if len({even(name) for name in alike}) == 1:
            return what
    return "Unicode form, blanks, case or signs that are not seen"


def _find_splits(images: Sequence[Image]) -> dict[str, list[str]]:
    """The splits in which each class has images, in their order."""
    found: Mapping[str, set[str]] = defaultdict(set)
    columns = Images.gather(images)
    for label, split in columns.labels.pair(columns.splits):
        for name in list_names(label):
            found[name].add(split)
    return defaultdict(list, {name: [s for s in SPLITS if s in splits] for name, splits in found.items()})


def _show_name(name: str) -> str:
    """Quoted, so that blanks are seen, and in ASCII, so that Unicode forms are."""
    return ascii(name)

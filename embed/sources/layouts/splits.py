"""Folders that are splits: of classes, ``train/<class>``, or of one class each, ``<class>/train``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping

from fixgrid.cache.errors import DataError
from fixgrid.cache.rows import SPLITS

from ..words import fold_name, is_images, is_unlabelled, read_fold_name, read_split_name, read_split_word
from .places import BESIDE, EXPECTED, LAYOUTS, NAMELESS, Folders, Layout, Place
from .tree import Branch, have_common, name_some, say_folder, set_aside

_PLAIN = {"train", "val", "valid", "validation", "test"}  # as they were always read, without a note


def judge_splits(tops: Folders, folder: os.PathLike[str]) -> Layout | None:
    """``train/<class>``, ``test/<class>``, under whatever names say so; None if the folders are no splits.

    A folder that only looks like a split, ``train/`` among ``bus/`` and ``tram/`` without classes inside it, is a
    class.

    Raises
    ------
    DataError
        If some are splits and some are not, two are the same one, or it takes a guess to tell.
    """
    known = {name: one for name, one in tops.items() if not is_unlabelled(one.name)}
    read = {name: split for name, one in known.items() if (split := read_split_name(one.name))}
    inside = {name: _descend(tops[name], split) for name, split in read.items()}
    exact = {name for name in read if read_split_word(tops[name].name)}
    holding = [branch for branch in inside.values() if branch.filled]
    alike, several = have_common(holding), len(set(read.values())) > 1
    if len(read) < len(known):
        sure = len({read[name] for name in exact}) > 1 or any(inside[name].filled for name in exact)
        if sure or (several and alike):
            splits = name_some(tops[name] for name in read)
            others = name_some(one for name, one in known.items() if name not in read)
            raise DataError(
                f"found images both in split folders ({splits}) and in class folders ({others}) of {folder}; "
                f"expected one layout: {LAYOUTS}."
            )
        return None
    if not read or not (several or alike or len(exact) == len(read)):
        return None
    for split, n in Counter(read.values()).items():
        if n > 1:
            named = name_some(tops[name] for name in read if read[name] == split)
            raise DataError(f"found {n} folders for {split} in {folder} ({named}); expected one: keep one.")
    only_train = [read[name] for name in read if inside[name].filled] == ["train"]
    if len(exact) < len(read) and not (alike or only_train):
        raise DataError(
            f"found {name_some(tops.values())} in {folder}, called like splits, but without common class folders "
            f"inside; expected {EXPECTED}. For features without labels name one of them."
        )
    return _lay_splits(tops, read, inside, folder)


def _descend(branch: Branch, split: str) -> Branch:
    """Where a split's class folders are: ``seg_train/seg_train/`` and ``train/images/`` only wrap them."""
    while not branch.images:
        kept, _ = set_aside(branch.filled)
        only = next(iter(kept.values())) if len(kept) == 1 else branch
        again = read_split_name(only.name) == split
        if only is branch or not (again or (is_images(only.name) and only.filled)):
            break
        branch = only
    return branch


def _lay_splits(tops: Folders, read: Mapping[bytes, str], inside: Folders, folder: os.PathLike[str]) -> Layout:
    """Splits that hold classes; or images alone, which then have no labels."""
    found = Layout(parents=[*inside.values()])
    if any(tops[name].name not in _PLAIN or inside[name] is not tops[name] for name in read):
        order = sorted(read, key=lambda name: SPLITS.index(read[name]))
        found.notes.append(f"read {', '.join(f'{name_some([inside[name]])} as {read[name]}' for name in order)}")
    found.pass_over((branch for name, branch in tops.items() if name not in read), NAMELESS)
    if not any(branch.filled for branch in inside.values()):
        found.places = [Place(inside[name], "", split) for name, split in read.items()]
        return found
    trained = {
        fold_name(one.name) for name, top in inside.items() if read[name] == "train" for one in top.filled.values()
    }
    if "train" in read.values() and not trained:
        train = name_some(tops[name] for name in read if read[name] == "train")
        others = name_some(one for one in inside.values() if one.filled)
        raise DataError(f"found class folders in {others} but none in {train} of {folder}; expected {EXPECTED}.")
    for name, split in read.items():
        kept, aside = set_aside(inside[name].filled)
        nameless = [one for one in kept.values() if trained and _says_no_class(one, split, trained)]
        found.pass_over(aside.values(), BESIDE)
        found.pass_over(nameless, NAMELESS)
        found.places += [Place(one, one.name, split) for one in kept.values() if one not in nameless]
    if found.places and all(read_fold_name(place.label) is not None for place in found.places):
        named = name_some(place.branch for place in found.places)
        raise DataError(f"found folds inside splits ({named}) of {folder}; expected <class>/<images> there.")
    return found


def _says_no_class(branch: Branch, split: str, trained: Collection[str]) -> bool:
    """Whether a folder of images to be judged only wraps them, such as ``test/unknown/``."""
    wraps = is_unlabelled(branch.name) or is_images(branch.name) or branch.name.lower() == "unknown"
    return wraps and split != "train" and fold_name(branch.name) not in trained


def judge_splits_of_classes(tops: Folders, folder: os.PathLike[str]) -> Layout | None:
    """``<class>/train``, ``<class>/test``; None if no folder holds two splits, or there is one folder only.

    Raises
    ------
    DataError
        If some class folders hold splits and some do not, or the splits hold folders.
    """
    read = {
        name: {child.path: split for child in top.filled.values() if (split := read_split_name(child.name))}
        for name, top in tops.items()
    }
    marked = [tops[name] for name, splits in read.items() if len(set(splits.values())) > 1]
    if len(tops) < 2 or not marked:
        return None
    if any(child.filled for branch in marked for child in branch.filled.values()):
        raise DataError(
            f"found splits with folders inside them in each of {name_some(tops.values())} of {folder}; expected "
            f"{LAYOUTS}: name one, --data {say_folder(folder, marked[0])}."
        )
    uneven = [
        top
        for name, top in tops.items()
        if top.images or len(read[name]) < len(top.filled) or len(set(read[name].values())) < len(read[name])
    ]
    if uneven:
        raise DataError(
            f"found split folders in {name_some(marked)} of {folder}, and others or images beside them in "
            f"{name_some(uneven)}; expected one layout: <class>/{{train,val,test}}/<images>, or {LAYOUTS}."
        )
    children = [(top, read[name][one.path], one) for name, top in tops.items() for one in top.filled.values()]
    first = min(tops.values(), key=lambda top: top.path)
    note = f"read {name_some(first.filled.values())} and the like as splits of a class"
    return Layout([Place(one, top.name, split) for top, split, one in children], [*tops.values()], [note])

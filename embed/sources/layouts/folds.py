"""Folders that are the folds of a cross-validation, or numbered parts."""

from __future__ import annotations

import os

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_text

from ..words import read_fold_name, read_split_name
from .places import Folders, Layout, Place
from .tree import have_common, name_some, say_folder

_FEWEST = 3


def judge_folds(tops: Folders, folder: os.PathLike[str]) -> Layout | None:
    """``fold_1/<class>``, ``fold_2/<class>``, ...: each a group, the last is test, the one before it val.

    They are not dealt: what is val and what is test can be read off the names. None if the folders are no folds.

    Raises
    ------
    DataError
        If the folds hold splits or no classes, are fewer than three, or lie beside other folders.
    """
    folds = {name: number for name, one in tops.items() if (number := read_fold_name(one.name)) is not None}
    branches = sorted((tops[name] for name in folds), key=lambda one: (read_fold_name(one.name) or 0, one.path))
    if len(folds) < 2 or (len(folds) < len(tops) and not have_common(branches)):
        return None
    named = name_some(branches)
    one = f"--data {say_folder(folder, branches[0])}"
    if len(folds) < len(tops):
        others = name_some(branch for name, branch in tops.items() if name not in folds)
        raise DataError(f"found folds ({named}) beside {others} in {folder}; expected folds alone, or one: {one}.")
    inside = [name for branch in branches for name in branch.filled.values()]
    if not inside:
        raise DataError(
            f"found folds ({named}) without class folders in {folder}; expected <class>/<images> in each."
        )
    if all(read_split_name(branch.name) for branch in inside):
        raise DataError(f"found folds with splits of their own ({name_some(inside)}) in {folder}; name one: {one}.")
    if len(folds) < _FEWEST:
        raise DataError(
            f"found {len(folds)} folds ({named}) in {folder}, too few for train, val and test; call them by the "
            f"splits that they are, or name one: {one}."
        )
    splits = dict(zip(map(id, branches[::-1]), ("test", "val"), strict=False))
    places = [
        Place(child, child.name, splits.get(id(branch), "train"), branch.name)
        for branch in branches
        for child in branch.filled.values()
    ]
    val, test = (show_text(branch.name) for branch in branches[-2:])
    note = f"took {len(folds)} folders for folds, each a group: {val} is val, {test} is test, the others are train"
    return Layout(places, branches, [note])

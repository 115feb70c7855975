"""What the folders of a tree stand for, decided by their names and by what lies inside; nothing is read here.

A layout is recognised, with a note where its names are not the plain ones, or refused. Folders are judged as folds
first, then as splits that hold classes, as classes that hold splits, and as classes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_text

from ..words import is_piece
from .folds import judge_folds
from .places import BESIDE, EXPECTED, Folders, Layout, Place
from .splits import judge_splits, judge_splits_of_classes
from .tree import Branch, have_common, name_some, say_folder, set_aside

JUDGES: tuple[Callable[[Folders, os.PathLike[str]], Layout | None], ...] = (
    judge_folds,
    judge_splits,
    judge_splits_of_classes,
)


def judge_layout(root: Branch, folder: os.PathLike[str]) -> Layout:
    """What the folders of a tree stand for; of images in no folder at all, that they have no labels.

    Parameters
    ----------
    root : Branch
        With images.
    folder : path
        As the user named it.

    Raises
    ------
    DataError
        If they may stand for several things, or for nothing; the message names the folders.
    """
    if root.n == len(root.images):
        return Layout([Place(root, "")], [root])
    tops, aside = set_aside(root.filled)
    found = next((layout for judge in JUDGES if (layout := judge(tops, folder))), None)
    found = found or judge_classes(tops, folder)
    found.parents.insert(0, root)
    found.pass_over(aside.values(), BESIDE)
    return found


def judge_classes(tops: Folders, folder: os.PathLike[str]) -> Layout:
    """``<class>/<images>``, with a note on what lies deeper.

    Raises
    ------
    DataError
        If the folders are called like the parts of one data set, with classes inside each.
    """
    branches = [*tops.values()]
    if branches and all(is_piece(branch.name) for branch in branches) and have_common(branches):
        raise DataError(
            f"found the same folders inside {name_some(branches)} of {folder}, which look like parts of a data "
            f"set; expected {EXPECTED}: put the parts together, or name one, --data "
            f"{say_folder(folder, branches[0])}."
        )
    return Layout([Place(branch, branch.name) for branch in branches])


def describe_deep(places: Sequence[Place]) -> list[str]:
    """A note on images in folders inside class folders, which count for the class."""
    deep = [place for place in places if place.label and place.branch.filled]
    if not deep:
        return []
    n = sum(place.branch.n - len(place.branch.images) for place in deep)
    example = f"{name_some([next(iter(deep[0].branch.filled.values()))])} for {show_text(deep[0].label)}"
    doubt = "; if those are the classes, name one folder, or list the images in a table"
    doubt = doubt if have_common([place.branch for place in deep]) else ""
    return [f"{n} image(s) in folders inside class folders count for these, such as {example}{doubt}"]

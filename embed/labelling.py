"""What images are labelled with, by task: as arrays, as strata to deal by, and what no head can be fitted on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.rows import SPLITS, TASKS, find_strata
from fixgrid.cache.text import show_path

from .sources.images import Column, Images
from .sources.reading import Reading
from .sources.source import Image, Label, Listing
from .sources.tasks import read_labels


def list_classes(listing: Listing) -> tuple[str, ...]:
    """Names of the labels, in the source's order or sorted as text; of numbers what they are."""
    if listing.classes or listing.task in ("regression", "unlabelled"):
        return listing.classes or ("value",) * (listing.task == "regression")
    return tuple(sorted({name for label in listing.columns.labels.held() for name in list_names(label)}))


def list_names(label: Label) -> tuple[str, ...]:
    """The classes of a label."""
    return label if isinstance(label, tuple) else (str(label),)


def relabel(listing: Listing, reading: Reading, source: str) -> Listing:
    """A listing whose classes are taken for what the user says they are.

    Raises
    ------
    UsageError, DataError
        If they cannot be; see `read_labels`.
    """
    if not (reading.task or reading.classes) or reading.task == listing.task == "unlabelled":
        return listing
    if listing.task != TASKS[0]:
        raise UsageError(
            f"found --task {reading.task} for {source}, whose labels are {listing.task}; leave it out."
        )
    names = [str(label) for label in listing.columns.labels]
    found = read_labels(
        names,
        "value",
        replace(reading, task=reading.task or listing.task),
        lambda row: f"{source}, {show_path(listing.columns.paths[row])},",
    )
    images = replace(listing.columns, labels=Column.gather(found.labels))
    return replace(listing, images=images, classes=found.classes, task=found.task)


def encode_labels(labels: Iterable[Label], classes: Sequence[str], task: str) -> NDArray[np.generic]:
    """Labels as `fixgrid.cache.rows.Rows` has them."""
    column, index = Column.gather(labels), {name: number for number, name in enumerate(classes)}
    if task == "unlabelled":
        return np.full(len(column), -1, np.int64)
    table: NDArray[np.generic]
    if task == "regression":
        table = np.array(column.values, dtype=np.float64)
    elif task != "multilabel":
        table = np.array([index[str(label)] for label in column.values], dtype=np.int64)
    else:
        table = flags = np.zeros((len(column.values), len(classes)), np.bool_)
        for row, label in enumerate(column.values):
            flags[row, [index[name] for name in list_names(label)]] = True
    return table[column.codes]


def encode_groups(images: Sequence[Image]) -> NDArray[np.int64] | None:
    """A number for each image, equal for those of a group; an image of no group is one. None without groups."""
    groups = Images.gather(images).groups
    index = {name: number for number, name in enumerate(sorted(groups.held().keys() - {""}))}
    if not index:
        return None
    numbers = np.array([index.get(name, -1) for name in groups.values], np.int64)[groups.codes]
    alone = np.flatnonzero(numbers < 0)
    numbers[alone] = len(index) + np.arange(len(alone))
    return numbers


def name_strata(images: Sequence[Image], task: str) -> dict[bytes, str]:
    """What each image is dealt by: its class by name, else the number of its stratum, see `find_strata`."""
    if task in ("multilabel", "regression"):
        labels = Images.gather(images).labels
        classes = sorted({name for label in labels.held() for name in list_names(label)})
        strata = find_strata(encode_labels(labels, classes, task)).tolist()
        return {image.path: str(stratum) for image, stratum in zip(images, strata, strict=True)}
    return {image.path: str(image.label) for image in images}


def expect_whole_groups(images: Sequence[Image], source: str) -> None:
    """Refuse splits that part a group.

    Raises
    ------
    DataError
        Naming the first.
    """
    splits: Mapping[str, set[str]] = defaultdict(set)
    columns = Images.gather(images)
    for group, split in columns.groups.pair(columns.splits):
        if group and split:
            splits[group].add(split)
    parted = sorted(group for group, where in splits.items() if len(where) > 1)
    if parted:
        where = " and ".join(split for split in SPLITS if split in splits[parted[0]])
        raise DataError(
            f"found {len(parted)} of {len(splits)} groups in several splits of {source}, such as {parted[0]} in "
            f"{where}; expected all of a group in one: mend the splits, leave them out to have them dealt by "
            "group, or name no groups with --group-col none."
        )


def expect_learnable(images: Sequence[Image], classes: Sequence[str], task: str, source: str) -> None:
    """Refuse labels that no head can learn from the training images.

    Parameters
    ----------
    images : sequence of Image
        Each with a split.
    classes, task, source : str

    Raises
    ------
    DataError
        If a class has no image, no training image, or of several classes every one; or all numbers are one.
    """
    columns = Images.gather(images)
    labels = columns.labels.take(columns.splits.equals("train"))
    if task == "regression":
        if len(labels.held()) < 2:
            raise DataError(f"found one value of {classes[0]} in {source}; expected numbers that differ.")
        return
    count: Counter[str] = Counter()
    for label, n in labels.held().items():
        count.update(dict.fromkeys(list_names(label), n))
    held = {name for label in columns.labels.held() for name in list_names(label)}
    absent = [name for name in classes if name not in held]
    if absent:
        raise DataError(
            f"found no image of {len(absent)} class(es) in {source}, such as {absent[0]}; expected some of each: "
            "add some, or name the others alone, with --classes or --label-col."
        )
    untrained = [name for name in classes if not count[name]]
    if untrained:
        raise DataError(
            f"found no training image of {len(untrained)} class(es) in {source}, such as {untrained[0]}; "
            "add some or remove the class."
        )
    always = [name for name in classes if task == "multilabel" and count[name] == len(labels)]
    if always:
        raise DataError(
            f"found {always[0]} on every training image of {source}; expected some without: add such images, or "
            "remove the class."
        )

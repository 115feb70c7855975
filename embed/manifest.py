"""From what the user typed to ordered, labelled, hashed rows per split."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fixgrid.cache.address import say_place
from fixgrid.cache.datasets import TABLES, split_limit
from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.rows import SPLITS, TASKS, Manifest
from fixgrid.cache.text import show_path, show_text

from . import hashes
from .dealing import choose_shares, deal_images
from .labelling import (
    encode_labels,
    expect_learnable,
    expect_whole_groups,
    list_classes,
    name_strata,
    relabel,
)
from .limit import choose_images
from .naming import expect_distinct, find_collisions, note_names
from .ordering import build_rows, order_images
from .repeats import find_copies
from .sources.catalogue import find_source
from .sources.images import Column, Images
from .sources.reading import Reading
from .sources.remote.address import is_address, read_address
from .sources.source import Asked, Image, Listing, Progress, expand_path
from .splits import recall_split

UNSPLIT = "no image has a split"
"""The note where none is dealt and none came in a split."""


def read_manifest(
    source: str,
    *,
    cache_dir: Path,
    seed: int = 0,
    follow_links: bool = False,
    rehash: bool = False,
    progress: hashes.Progress | None = None,
    download_progress: Progress | None = None,
    list_progress: hashes.Progress | None = None,
    workers: int | None = None,
    reading: Reading | None = None,
    deal: bool = True,
) -> tuple[Manifest, tuple[str, ...]]:
    """The data set that `source` names, every file hashed, and notes for the user.

    Rows are sorted by path bytes within each split. An image that cannot be decoded keeps its row: decoding
    judges it. Splits that the source does not give are dealt from its training images (or from all of them),
    seeded and stratified, and saved as CSV under ``<cache_dir>/splits``, where the next run finds them.

    Parameters
    ----------
    source : str
        What one of `SOURCES` takes; ``~`` is expanded. A folder called like a word that one of them takes, such
        as ``sample``, is ``./sample``. With ``@500`` or ``@10%`` behind it, so many of its images; see
        `choose_images`.
    cache_dir : Path
        Downloads, the sample, saved splits and remembered hashes go below it.
    seed : int
        Of every split that is dealt.
    follow_links : bool
        Follow symbolic links that stay inside the source.
    rehash : bool
        Read every file, also those that look untouched since they were last hashed.
    progress : callable, optional
        Called with (files hashed, files in all).
    download_progress : callable, optional
        Called with (archive name, bytes done, bytes in all).
    list_progress : callable, optional
        Called with (containers listed, containers in all).
    workers : int, optional
        Threads that read and hash.
    reading : Reading, optional
        What the columns of a table are, and what labels are.
    deal : bool
        False where images are to be scored alone: those without a split are test images, and any of the splits, and
        one class, will do.

    Returns
    -------
    Manifest
        With the splits train, val and test, none empty; a class without training images is refused. Without labels,
        and without dealing, in the splits that are given, or all in test.
    tuple of str
        What was ignored, dealt or looks wrong (equal files in two splits, names that differ only in case).

    Raises
    ------
    UsageError
        If no source takes `source`.
    DataError
        If there are no usable images or labels; the message names the file.
    DiskError
        If the sample, a download or a split cannot be written.
    """
    reading, (source, limit) = reading or Reading(), split_limit(source)
    asked = Asked(cache_dir, seed, follow_links, download_progress, reading, not deal, list_progress)
    listing = list_source(source, asked)
    if is_address(source):
        source = str(read_address(source))
    elif reading.root:  # else its place is known by that of the images
        source = os.path.join(os.path.realpath(expand_path(source).parent), os.path.basename(source))
    images, split_notes, kept = fill_splits(listing, seed=seed, folder=cache_dir / "splits", deal=deal)
    images = order_images(images)
    classes = list_classes(listing)
    try:
        check_images(images, classes, source, task=listing.task, deal=deal)
    except DataError as error:
        if not kept or not was_changed(images, listing, seed=seed):
            raise
        cure = f"or mend the split kept in {say_place(kept)}, or delete that file to split anew"
        raise DataError(f"{str(error).removesuffix('.')}; {cure}.") from error
    listing = replace(listing, images=images)  # what it was, in another order, need not be held
    found = hashes.hash_files(
        listing.root,
        images.paths,
        memo_folder=cache_dir / "hashes",
        rehash=rehash,
        progress=progress,
        workers=workers,
        images=listing.content,
    )
    options = (*say_options(seed, follow_links), *reading.say())
    labels = encode_labels(images.labels, classes, listing.task)
    chosen = choose_images(images, labels, found.sha256, limit, seed=seed)
    if limit and len(chosen) == len(images):
        split_notes = (*split_notes, f"--limit {limit} leaves out none of {len(images):,} images")
    elif limit:
        split_notes = (*split_notes, f"limited to {len(chosen):,} of {len(images):,} images")
        source, images = f"{source}@{limit}", images.take(chosen)
        labels, found = labels[chosen], found.take(chosen)
        check_images(images, classes, source, task=listing.task, deal=deal)
    rows = build_rows(images, labels, found.sizes, found.sha256)
    manifest = Manifest(source, os.fsdecode(listing.root), classes, rows, options, listing.task)
    names = () if listing.task in ("regression", "unlabelled") else note_names(images, classes)
    notes = (
        *listing.notes,
        *split_notes,
        *names,
        *found.notes,
        *find_collisions(images.paths),
        *find_copies(manifest),
    )
    return manifest, notes


def say_options(seed: int, follow_links: bool) -> tuple[str, ...]:
    """Options of ``extract`` that list the same images in the same splits, where they are not the usual ones."""
    return (*("--seed", str(seed)) * bool(seed), *["--follow-links"] * follow_links)


def list_source(text: str, asked: Asked) -> Listing:
    """What `text` names, by the first source that takes it; written or downloaded first if need be.

    Raises
    ------
    UsageError, DataError, DiskError
        As `read_manifest`.
    """
    source = find_source(text)
    reading = asked.reading
    columns = [word for word in reading.say()[::2] if word not in ("--task", "--classes")]
    if columns and not source.reads_columns:
        raise UsageError(f"found {columns[0]} with {text}; expected it with a table ({' '.join(TABLES)}) alone.")
    listing = source.list(text, asked)
    return listing if source.reads_columns else relabel(listing, reading, text)


def fill_splits(
    listing: Listing, *, seed: int, folder: Path, deal: bool = True
) -> tuple[Images, tuple[str, ...], Path | None]:
    """The images, each with a split, a note on every split that had to be dealt, and the file that keeps these.

    Where none is to be dealt, images without one are test images; if all are, the note is `UNSPLIT`.

    Raises
    ------
    DataError
        If some splits are given, but not train.
    """
    images = listing.columns
    given = images.splits.held().keys() - {""}
    if listing.task == "unlabelled" or not deal:
        named = tuple(split or "test" for split in images.splits.values)
        return (
            replace(images, splits=replace(images.splits, values=named)),
            (UNSPLIT,) * (not (deal or given)),
            None,
        )
    if given and "train" not in given:
        raise DataError(
            f"found only the split(s) {', '.join(sorted(given))}; expected train at least: call one so, or have "
            "all dealt, by the name of the folder inside, or of a table with --split-col none."
        )
    shares = choose_shares(given)
    if len(shares) == 1:
        return images, (), None
    strata, groups = _find_loose(listing)
    loose_strata = listing.task in ("multilabel", "regression")
    dealt, file = recall_split(
        strata, shares, seed=seed, root=listing.root, folder=folder, groups=groups, loose=loose_strata
    )
    splits = Column.gather(dealt.get(path, split) for path, split in zip(images.paths, images.splits, strict=True))
    images = replace(images, splits=splits)
    n = Counter(dealt.values())
    carved = ", ".join(f"{n[split]} {split}" for split in SPLITS if split in shares)
    dealt_from = "training images" if given else "images"
    whole = f", none of {len(set(groups.values()))} groups parted" if groups else ""
    note = (
        f"the {dealt_from} were split with seed {seed} into {carved}{whole}; the split is kept in {say_place(file)}"
    )
    return images, (note,), file


def _find_loose(listing: Listing) -> tuple[dict[bytes, str], dict[bytes, str]]:
    """Of the images that are dealt: what by, and their groups."""
    images = listing.columns
    loose = images.take(np.flatnonzero(images.splits.equals("") | images.splits.equals("train")))
    groups = {path: group for path, group in zip(loose.paths, loose.groups, strict=True) if group}
    # Groups are often as large as a tenth of the numbers: dealt by tenths, all would go where each is lacked most.
    strata = name_strata(loose, listing.task)
    return dict.fromkeys(strata, "") if groups and listing.task == "regression" else strata, groups


def was_changed(images: Sequence[Image], listing: Listing, *, seed: int) -> bool:
    """Whether a kept split, which gave the images theirs, is another than one that is dealt anew."""
    strata, groups = _find_loose(listing)
    shares = choose_shares(listing.columns.splits.held().keys() - {""})
    dealt = deal_images(strata, shares, seed=seed, groups=groups)
    return any(dealt.get(image.path, image.split) != image.split for image in images)


def check_images(
    images: Sequence[Image], classes: Sequence[str], source: str, *, task: str = TASKS[0], deal: bool = True
) -> None:
    """Refuse what no head can be trained, chosen and scored on; nothing of images that are to be scored alone.

    Parameters
    ----------
    images : sequence of Image
        Each with a split.
    classes : sequence of str
    source : str
        As the user named them.
    task : str
        One of `TASKS`.
    deal : bool
        See `read_manifest`.

    Raises
    ------
    DataError
        If there is one class, a split without images, a group in two splits, a class without training images, or
        one that is another in another spelling.
    """
    if task == "unlabelled" or not deal:
        return
    if len(classes) < 2 and task in ("multiclass", "ordinal"):
        name = show_path(os.fsencode(classes[0]))
        raise DataError(f"found one class ({name}) in {source}; expected at least two.")
    if task != "regression":
        expect_distinct(images, classes, source)
    held = Images.gather(images).splits.held()
    empty = [split for split in SPLITS if split not in held]
    if empty:
        raise DataError(f"found no {empty[0]} image in {source}: {_say_few(images, classes, empty[0], task)}.")
    expect_whole_groups(images, source)
    expect_learnable(images, classes, task, source)


def _say_few(images: Sequence[Image], classes: Sequence[str], split: str, task: str) -> str:
    """Why the images could not be split, and what to do."""
    groups = Images.gather(images).groups.held().keys() - {""}
    kinds = f"{len(images)} images of {len(classes)} classes"
    if groups:
        return (
            f"{kinds} in {len(groups)} groups, which stay whole, are too few to split; give the splits, or name no "
            "groups with --group-col none"
        )
    several = 2 * len(classes) > len(images) and task == "multiclass"
    other = (
        f" (such as {show_text(classes[0])}; --task regression takes numbers as such, --label-col another column)"
    )
    return f"{kinds}{other * several} are too few to split; add images, or a split {split}"

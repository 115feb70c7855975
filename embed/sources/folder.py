"""Which labelled image files a folder holds, before anything is split or read.

File names are bytes throughout and sorted as bytes, so the order is the same on every machine and in every
locale. Only regular files under the root are listed: a folder may come from a stranger.
"""

from __future__ import annotations

import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_path

SUFFIXES = (b".jpg", b".jpeg", b".png", b".webp", b".bmp", b".tif", b".tiff", b".gif")
SPLIT_FOLDERS = {b"train": "train", b"val": "val", b"valid": "val", b"validation": "val", b"test": "test"}
LAYOUTS = "{train,val,test}/<class>/<images>, <class>/<images>, or a CSV with the columns path,label[,split]"

_FOLDER, _IMAGE, _LOOSE = "folder", "image", "image(s) outside a class folder"
_OTHER = f"file(s) that are not {b' '.join(SUFFIXES).decode()}"


class Image(NamedTuple):
    """One listed file: path relative to the root, class name, and its split, empty where none is given."""

    path: bytes
    label: str
    split: str = ""


@dataclass(frozen=True)
class Listing:
    """What a source names.

    Attributes
    ----------
    root : bytes
        Absolute folder, links resolved, that every path is relative to.
    images : list of Image
        In any order, without repeats.
    notes : tuple of str
        What was passed over, for the user.
    classes : tuple of str
        In the source's own order; empty means "sort the labels".
    """

    root: bytes
    images: list[Image]
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def list_folder(folder: Path, *, follow_links: bool = False) -> Listing:
    """Images of ``{train,val,test}/<class>/...`` or ``<class>/...``; ``valid`` and ``validation`` mean val.

    Raises
    ------
    DataError
        If there is no image, none in a class folder, or the two layouts are mixed.
    """
    root = os.path.realpath(os.fsencode(folder))
    paths, passed = walk_images(root, follow_links=follow_links)
    if not paths:
        raise DataError(f"found no image in {folder}; expected {LAYOUTS}.")
    has_splits = _find_layout(folder, paths)
    images = []
    for path in paths:
        parts = path.split(b"/")
        split = SPLIT_FOLDERS[parts.pop(0)] if has_splits and len(parts) > 1 else ""
        if len(parts) > 1:
            images.append(Image(path, name_class(parts[0]), split))
        else:
            passed[_LOOSE] += 1
    if not images:
        raise DataError(f"found {len(paths)} images in {folder}, none in a class folder; expected {LAYOUTS}.")
    return Listing(root, images, describe_passed(passed))


def _find_layout(folder: Path, paths: list[bytes]) -> bool:
    """True for ``{train,val,test}/<class>``, False for ``<class>``.

    A folder that only looks like a split, ``train/`` among ``bus/`` and ``tram/`` without classes inside it,
    is a class.
    """
    depths: dict[bytes, int] = defaultdict(int)
    for path in paths:
        top, *rest = path.split(b"/")
        if rest:
            depths[top] = max(depths[top], len(rest))
    splits = [top for top in depths if top in SPLIT_FOLDERS]
    classes = sorted(top for top in depths if top not in SPLIT_FOLDERS)
    if classes and any(depths[top] > 1 for top in splits):
        raise DataError(
            f"found images both in split folders ({_name_some(splits)}) and in class folders "
            f"({_name_some(classes)}) of {folder}; expected one layout: {LAYOUTS}."
        )
    repeated = [name for name, n in Counter(SPLIT_FOLDERS[top] for top in splits).items() if n > 1]
    if repeated and not classes:
        raise DataError(f"found two folders for {repeated[0]} in {folder} ({_name_some(splits)}); keep one.")
    return bool(splits) and not classes


def _name_some(names: Iterable[bytes]) -> str:
    names = sorted(names)
    return ", ".join(show_path(name) + "/" for name in names[:3]) + (", ..." if len(names) > 3 else "")


def walk_images(root: bytes, *, follow_links: bool = False) -> tuple[list[bytes], Counter[str]]:
    """Sorted paths of the image files under `root`, and how many files of each kind were passed over.

    Hidden names are skipped silently. Real folders are walked before linked ones, and no folder twice, so a
    file keeps its real path and a loop of links ends.

    Parameters
    ----------
    root : bytes
        As `os.path.realpath` gives it.
    follow_links : bool
        Follow symbolic links whose target lies under `root`. Off, every link is passed over.

    Raises
    ------
    DataError
        If a folder cannot be read.
    """
    found: list[bytes] = []
    passed: Counter[str] = Counter()
    real, linked, seen = [b""], list[bytes](), set[tuple[int, int]]()
    while real or linked:
        folder = real.pop() if real else linked.pop()
        for entry in _scan_once(root, folder, seen):
            path = posixpath.join(folder, entry.name)
            kind = _judge_entry(entry, root, follow_links)
            if kind == _FOLDER:
                (linked if entry.is_symlink() else real).append(path)
            elif kind == _IMAGE:
                found.append(path)
            else:
                passed[kind] += 1
    return sorted(found), passed


def _scan_once(root: bytes, folder: bytes, seen: set[tuple[int, int]]) -> list[os.DirEntry[bytes]]:
    """A folder's entries that are not hidden, last name first; nothing if the folder was scanned before."""
    where = os.path.join(root, folder)
    try:
        status = os.stat(where)
        if (status.st_dev, status.st_ino) in seen:
            return []
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(where) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(b".")]
    except OSError as error:
        raise DataError(f"could not read the folder {show_path(where)}: {error.strerror}.") from error
    return sorted(visible, key=lambda entry: entry.name, reverse=True)


def _judge_entry(entry: os.DirEntry[bytes], root: bytes, follow_links: bool) -> str:
    if entry.is_symlink():
        if not follow_links:
            return "link(s)"
        if not is_inside(os.path.realpath(entry.path), root):
            return "link(s) that lead out of the folder"
        is_folder, is_file = os.path.isdir(entry.path), os.path.isfile(entry.path)
    else:  # no stat: scandir knows the type
        is_folder, is_file = entry.is_dir(), entry.is_file()
    if is_folder:
        return _FOLDER
    if not is_file:  # a FIFO, socket, device or dangling link: opening it could block
        return "special file(s)"
    return _IMAGE if entry.name.lower().endswith(SUFFIXES) else _OTHER


def is_inside(path: bytes, root: bytes) -> bool:
    """Whether `path` lies under `root`, both resolved."""
    return path.startswith(root.rstrip(b"/") + b"/")


def describe_passed(passed: Counter[str]) -> tuple[str, ...]:
    """One note per kind of file that a listing passed over."""
    return tuple(f"ignored {n} {kind}" for kind, n in sorted(passed.items()))


def name_class(folder: bytes) -> str:
    r"""A class folder's name as text that any encoder accepts: bytes that are not UTF-8 become ``\xff``."""
    return folder.decode("utf-8", "backslashreplace")


def check_file(root: bytes, path: bytes, *, follow_links: bool, listed_in: str) -> None:
    """Refuse a listed path that is missing, not a regular file, or outside `root`.

    Raises
    ------
    DataError
        Naming the file and where it is listed.
    """
    full = os.path.join(root, path)
    target = os.path.realpath(full)
    if not is_inside(target, root):
        raise DataError(f"{listed_in} names {show_path(path)}, which leads out of {show_path(root)}.")
    if target != full and not follow_links:
        raise DataError(f"{listed_in} names {show_path(path)}, a link; allow links to follow it.")
    if not os.path.exists(target):
        raise DataError(f"{listed_in} names {show_path(path)}, which is not there.")
    if not os.path.isfile(target):
        raise DataError(f"{listed_in} names {show_path(path)}, which is not a file.")

"""Which image files lie under a folder, and what else was met there.

File names are bytes throughout and sorted as bytes, so the order is the same on every machine and in every
locale. Only regular files under the root are listed: a folder may come from a stranger.
"""

from __future__ import annotations

import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_path, show_text

JPEG = (b".jpg", b".jpeg", b".jpe", b".jfif", b".jif", b".pjpeg", b".pjp")
HEIF = (b".heic", b".heif")
SUFFIXES = (*JPEG, b".png", b".webp", b".bmp", b".tif", b".tiff", b".gif", b".avif", *HEIF)
KINDS = ".jpg .png .webp .bmp .tif .gif .avif .heic"
"""The suffixes for people, one for each format."""

# Why an entry of a folder was passed over; the words of the note that counts it.
OTHER, LINK, OUTSIDE = "file(s) that are not images", "link(s)", "link(s) that lead out of the folder"
DANGLING, AGAIN = "link(s) to nothing", "link(s) to folders that were listed before"
SPECIAL, HIDDEN = "special file(s)", "hidden name(s)"
_REMEDIES = {
    LINK: "; --follow-links follows them",
    OUTSIDE: ": name the folder that they lead to, or copy what they lead to with cp -rL",
}
_FOLDER, _IMAGE = "folder", "image"
# What systems leave in folders beside names that begin with a dot.
_JUNK = {b"thumbs.db", b"ehthumbs.db", b"desktop.ini", b"__macosx", b"@eadir", b"$recycle.bin"}

_MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n": "PNG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_MOST_OPENED = 1000  # files without extension, to see whether they are images
_MOST_SUFFIXES = 5


class Passed(NamedTuple):
    """An entry of a folder that was passed over: path relative to the root, why, and whether it is a folder."""

    path: bytes
    why: str
    is_folder: bool = False


@dataclass(frozen=True)
class Walk:
    """What lies under a folder.

    Attributes
    ----------
    images : list of bytes
        Paths of the image files, by their suffix, relative to the root and sorted.
    folders : list of bytes
        Paths of all folders that were looked into but the root, sorted.
    passed : list of Passed
        Everything else.
    """

    images: list[bytes]
    folders: list[bytes]
    passed: list[Passed]


def walk_images(root: bytes, *, follow_links: bool = False) -> Walk:
    """The image files under `root`, its folders, and what was passed over.

    Hidden folders are not looked into. Real folders are walked before linked ones, and no folder twice, so a file
    keeps its real path and a loop of links ends.

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
    images: list[bytes] = []
    folders: list[bytes] = []
    passed: list[Passed] = []
    real, linked, seen = [b""], list[bytes](), set[tuple[int, int]]()
    while real or linked:
        folder = real.pop() if real else linked.pop()
        entries = _scan_once(root, folder, seen)
        if entries is None:
            passed.append(Passed(folder, AGAIN, True))
            continue
        folders.append(folder)
        for entry in entries:
            path = posixpath.join(folder, entry.name)
            kind = _judge_entry(entry, root, follow_links)
            if kind == _FOLDER:
                (linked if entry.is_symlink() else real).append(path)
            elif kind == _IMAGE:
                images.append(path)
            else:
                passed.append(Passed(path, kind, entry.is_symlink() and os.path.isdir(entry.path)))
    return Walk(sorted(images), sorted(folders)[1:], name_formats(root, sorted(passed)))


def _scan_once(root: bytes, folder: bytes, seen: set[tuple[int, int]]) -> list[os.DirEntry[bytes]] | None:
    """A folder's entries, last name first; None if the folder was scanned before."""
    where = os.path.join(root, folder)
    try:
        status = os.stat(where)
        if (status.st_dev, status.st_ino) in seen:
            return None
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(where) as entries:
            return sorted(entries, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        raise DataError(f"could not read the folder {show_path(where)}: {error.strerror}.") from error


def _judge_entry(entry: os.DirEntry[bytes], root: bytes, follow_links: bool) -> str:
    if is_hidden(entry.name):
        return HIDDEN
    if entry.is_symlink():
        if not os.path.exists(entry.path):
            return DANGLING
        if not is_inside(os.path.realpath(entry.path), root):
            return OUTSIDE
        if not follow_links:
            return LINK
        is_folder, is_file = os.path.isdir(entry.path), os.path.isfile(entry.path)
    else:  # no stat: scandir knows the type
        is_folder, is_file = entry.is_dir(), entry.is_file()
    if is_folder:
        return _FOLDER
    if not is_file:  # a FIFO, socket or device: opening it could block
        return SPECIAL
    return _IMAGE if is_image(entry.name) else OTHER


def is_hidden(name: bytes) -> bool:
    """Whether a file or folder is not meant to be seen, by its name."""
    return name.startswith(b".") or name.lower() in _JUNK


def is_image(name: bytes) -> bool:
    """Whether a file is an image, by its suffix."""
    return name.lower().endswith(SUFFIXES)


def is_inside(path: bytes, root: bytes) -> bool:
    """Whether `path` lies under `root`, both resolved."""
    return path.startswith(root.rstrip(b"/") + b"/")


def name_formats(root: bytes, passed: list[Passed]) -> list[Passed]:
    """The same, files without extension that begin as images do told apart; the first thousand are opened."""
    nameless = [i for i, one in enumerate(passed) if one.why == OTHER and not _read_suffix(one.path)]
    found = list(passed)
    for i in nameless[:_MOST_OPENED]:
        if kind := _read_format(os.path.join(root, passed[i].path)):
            found[i] = passed[i]._replace(why=f"{kind} image(s) without extension")
    return found


def _read_format(file: bytes) -> str:
    try:
        with open(file, "rb") as stream:
            head = stream.read(16)
    except OSError:
        return ""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"heic": "HEIF", b"heix": "HEIF", b"mif1": "HEIF"}.get(head[8:12], "")
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")


def _read_suffix(path: bytes) -> str:
    """In lower case, with the dot; empty for a name without."""
    return show_path(posixpath.splitext(path)[1].lower())


def describe_passed(passed: Iterable[Passed], *, hidden: bool = False) -> tuple[str, ...]:
    """One note per reason for which files were passed over, with what to do about it.

    Parameters
    ----------
    passed : iterable of Passed
    hidden : bool
        Count hidden names, too: only where nothing else was found are they worth a word.
    """
    by_reason: dict[str, list[Passed]] = defaultdict(list)
    for one in passed:
        by_reason[one.why].append(one)
    return tuple(
        f"ignored {len(alike)} {why}{_add_detail(why, alike)}"
        for why, alike in sorted(by_reason.items())
        if hidden or why != HIDDEN
    )


def _add_detail(why: str, alike: list[Passed]) -> str:
    if why == OTHER:
        return f": {count_suffixes(alike)}"
    if why.endswith("without extension"):
        return f", such as {show_path(alike[0].path)}: add one to their names, or list them in a table"
    return _REMEDIES.get(why, "")


def count_suffixes(files: Iterable[Passed]) -> str:
    """How many of each suffix, the commonest first."""
    found = Counter(_read_suffix(one.path) or "without extension" for one in files)
    count = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{n} {show_text(suffix)}" for suffix, n in count[:_MOST_SUFFIXES]]
    left = sum(n for _, n in count[_MOST_SUFFIXES:])
    return ", ".join([*shown, f"{left} others"] if left else shown)

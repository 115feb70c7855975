"""Which images a command line names, in the order it names them, and their rows."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.strings import Strings
from fixgrid.cache.text import show_path

from .hashes import Progress, hash_files
from .sources.remote.address import is_address
from .sources.walk import (
    DANGLING,
    KINDS,
    LINK,
    OTHER,
    OUTSIDE,
    SPECIAL,
    SUFFIXES,
    Passed,
    describe_passed,
    is_inside,
    name_formats,
    walk_images,
)

SPLIT = "test"
"""The split that named images form: images that a head meets after everything was chosen."""

_AGAIN = "path(s) that were named before"


@dataclass(frozen=True)
class NamedImages:
    """Image files in the order they were named, each once.

    Attributes
    ----------
    root : bytes
        Absolute folder, links resolved, that every path is relative to.
    paths : tuple of bytes
        Relative to `root`.
    names : tuple of bytes
        The same files as the user would type them.
    notes : tuple of str
        What was passed over, for the user.
    """

    root: bytes
    paths: tuple[bytes, ...]
    names: tuple[bytes, ...]
    notes: tuple[str, ...] = ()


def list_images(arguments: Iterable[bytes], *, follow_links: bool = False) -> NamedImages:
    """The image files that arguments name: files as they are, folders and patterns under a data set's rules.

    A folder is walked in the order of path bytes, a pattern (``*``, ``?``, ``[...]``, ``**``) gives its matches
    in that order; both pass over other extensions, hidden names and links. A file named outright is taken
    whatever it is called, and so is a link. A file that is named again is left out, with a note.

    Parameters
    ----------
    arguments : iterable of bytes
        Files, folders and patterns; ``~`` is expanded.
    follow_links : bool
        Follow links in folders and matches whose target stays inside the folder.

    Raises
    ------
    UsageError
        If an argument is empty.
    DataError
        If an argument names nothing, or all of them together no image.
    """
    found: dict[bytes, bytes] = {}
    folders: list[bytes] = []
    passed: list[Passed] = []
    for argument in arguments:
        folder, files, others = _expand(os.path.expanduser(argument), follow_links)
        folders.append(folder)
        passed += others
        for path, name in files:
            passed += [Passed(name, _AGAIN)] * (path in found)
            found.setdefault(path, name)
    notes = describe_passed(passed, hidden=not found)
    if not found:
        why = "; ".join(notes) or ("nothing is there" if folders else "no path given")
        raise DataError(f"found no image to classify ({why}); expected {_ACCEPTED}.")
    root = os.path.commonpath(folders)
    paths = tuple(os.path.relpath(path, root) for path in found)
    return NamedImages(root, paths, tuple(found.values()), notes)


_ACCEPTED = f"image files, a folder or a pattern of {KINDS}"
_Files = tuple[bytes, list[tuple[bytes, bytes]], list[Passed]]


def _expand(argument: bytes, follow_links: bool) -> _Files:
    """Folder that holds what an argument names, the files (real path, name), and what was passed over."""
    if is_address(os.fsdecode(argument)):
        raise DataError(
            f"found {show_path(argument.partition(b'?')[0])}, an address; expected {_ACCEPTED}, here: download the "
            "images first, or give the URL to evaluate as --data."
        )
    if not argument:  # else the working directory
        raise UsageError(f"found an empty path; expected {_ACCEPTED}.")
    real = argument if b"\0" in argument else os.path.realpath(argument)
    if os.path.isdir(real):
        walk = walk_images(real, follow_links=follow_links)
        files = [(os.path.join(real, path), os.path.join(argument, path)) for path in walk.images]
        return real, files, walk.passed
    if os.path.isfile(real):
        return os.path.dirname(real), [(real, argument)], []
    if os.path.lexists(argument) or not glob.has_magic(argument):
        what = "is no regular file" if os.path.exists(real) else "is not there"
        raise DataError(f"'{show_path(argument)}' {what}; expected {_ACCEPTED}.")
    return _match(argument, follow_links)


def _match(pattern: bytes, follow_links: bool) -> _Files:
    base = os.path.dirname(pattern)
    while glob.has_magic(base):
        base = os.path.dirname(base)
    root = os.path.realpath(base or b".")
    files, passed = [], list[Passed]()
    for name in sorted(set(glob.iglob(pattern, recursive=True))):
        real, plain = os.path.realpath(name), os.path.join(root, os.path.relpath(name, base or b"."))
        if os.path.isdir(real):
            continue
        if real != plain and not os.path.exists(real):
            passed.append(Passed(plain, DANGLING))
        elif real != plain and not (follow_links and is_inside(real, root)):
            passed.append(Passed(plain, LINK if is_inside(real, root) else OUTSIDE))
        elif not os.path.isfile(real):
            passed.append(Passed(plain, SPECIAL))
        elif not real.lower().endswith(SUFFIXES):
            passed.append(Passed(plain, OTHER))
        else:
            files.append((real, name))
    return root, files, name_formats(root, passed)


def read_paths(lines: Iterable[bytes]) -> Iterator[bytes]:
    """One argument per line, or where a NUL occurs between NULs, as of ``find -print0``; empty ones are none."""
    text = b"".join(lines)
    paths = text.split(b"\0") if b"\0" in text else (line.rstrip(b"\r") for line in text.split(b"\n"))
    return filter(None, paths)


def hash_listing(
    named: NamedImages, source: str, *, memo_folder: Path, progress: Progress | None = None
) -> tuple[Manifest, tuple[str, ...]]:
    """The images as a data set of one split without labels (-1) or classes, and notes for the user.

    Parameters
    ----------
    named : NamedImages
    source : str
        What was typed; a later listing of the same name supersedes this one.
    memo_folder : Path
        Where hashes are remembered.
    progress : callable, optional
        Called with (files hashed, files in all).

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    found = hash_files(named.root, named.paths, memo_folder=memo_folder, progress=progress)
    rows = Rows(Strings.gather(named.paths), found.sizes, found.sha256, np.full(len(named.paths), -1, np.int64))
    return Manifest(source, os.fsdecode(named.root), (), {SPLIT: rows}), found.notes

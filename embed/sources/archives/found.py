"""Which containers a name means: one, several by braces, those of a folder or of a place in a bucket."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_path

from ..content import Stamp
from ..remote.address import is_address, read_address
from ..remote.store import expect_reader
from ..source import expand_path
from ..walk import OTHER, Passed, is_hidden, is_image, walk_images
from .content import KINDS
from .members import expand_braces, has_braces

_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")
_MOST_LOOKED = 64  # folders, for containers in them


@dataclass(frozen=True)
class Found:
    """Containers below one place.

    Attributes
    ----------
    place : str
        Absolute folder, or a URL.
    names : list of bytes
        Their paths below it, sorted.
    said : str
        As the user named them.
    passed : sequence of Passed
        What else lies there.
    stamps : mapping
        Of those behind a URL, where their listing told.
    """

    place: str
    names: list[bytes]
    said: str
    passed: Sequence[Passed] = ()
    stamps: Mapping[bytes, Stamp] = field(default_factory=dict)


def is_packed(name: str) -> bool:
    """Whether a file is a container of images by its name, be it one that cannot be read in parts."""
    return name.lower().endswith((*KINDS, *_PACKED))


def holds_containers(folder: bytes) -> bool:
    """Whether a folder, within its first 64 folders, has containers and no image."""
    folders, found = [folder], False
    for place in folders:
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders += [entry.path] * (len(folders) < _MOST_LOOKED)
                    elif is_image(entry.name):
                        return False
                    found = found or is_packed(os.fsdecode(entry.name))
        except OSError:
            continue
    return found


def find_below(folder: str, *, follow_links: bool = False) -> Found:
    """All containers in a folder, however deep.

    Raises
    ------
    DataError
        If there are images as well, or none of the containers may be read.
    """
    root = os.path.realpath(os.fsencode(expand_path(folder)))
    walk = walk_images(root, follow_links=follow_links)
    return part_containers(os.fsdecode(root), walk.images, walk.passed, folder)


def part_containers(
    place: str,
    images: Sequence[bytes],
    passed: Iterable[Passed],
    said: str,
    stamps: Mapping[bytes, Stamp] | None = None,
) -> Found:
    """The containers among what is no image; see `find_below`."""
    others = [*passed]
    names = [one.path for one in others if one.why == OTHER and is_packed(os.fsdecode(one.path))]
    held = {*names}
    if images and names:
        raise DataError(
            f"found images ({show_path(images[0])}) and containers of images ({show_path(names[0])}) in {said}; "
            "expected one or the other: name one folder, or the containers."
        )
    if not names:
        why = next((one.why for one in others if is_packed(os.fsdecode(one.path))), "nothing is there")
        raise DataError(f"found no container of images in {said} that may be read ({why}).")
    return Found(place, sorted(held), said, [one for one in others if one.path not in held], stamps or {})


def find_named(text: str) -> Found:
    """Containers by their names, relative to the folder that all are in; links to files count as files.

    Raises
    ------
    DataError
        If one of them is not there.
    UsageError
        If a URL cannot be read.
    """
    names = [*expand_braces(text)] if has_braces(text) else [text]
    if is_address(text):
        addresses = [read_address(name) for name in names]
        expect_reader(addresses[0])
        full = [str(address) for address in addresses]
    else:
        paths = [expand_path(name) for name in names]
        gone = [name for name, path in zip(names, paths, strict=True) if not path.is_file()]
        if gone:
            raise DataError(f"there is no {gone[0]}, which {text} names; expected a file for each name.")
        full = [os.path.join(os.path.realpath(path.parent), path.name) for path in paths]
    place = posixpath.dirname(full[0])
    while not all(one.startswith(place.rstrip("/") + "/") for one in full):
        place = posixpath.dirname(place)
    return Found(place, sorted({os.fsencode(one[len(place.rstrip("/")) + 1 :]) for one in full}), text)


def expect_plain(found: Found) -> None:
    """Refuse what cannot be read in parts.

    Raises
    ------
    DataError
        Naming it.
    """
    for name in found.names:
        text = os.fsdecode(name)
        if text.lower().endswith(_PACKED):
            raise DataError(
                f"found {show_path(name)}, which is packed as a whole, so that no image can be read alone; "
                f"expected {', '.join(KINDS)}: unpack it, or with gunzip and the like make it a plain .tar."
            )
        above = next((one for one in text.split("/")[:-1] if is_packed(one)), "")
        if above:
            raise DataError(f"found the folder {above}, called like a container; expected another name.")

"""Folders of images as a tree, and which of them lie beside the classes instead of being some."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fixgrid.cache.text import show_path

from ..walk import HIDDEN, OTHER, Passed, Walk, count_suffixes
from ..words import fold_name, is_images, is_no_class, read_split_word

_MOST_NAMED = 10


@dataclass(eq=False)
class Branch:
    """A folder: its path, the images right in it, and its folders by name, with and without images."""

    path: bytes
    images: list[bytes] = field(default_factory=list)
    folders: dict[bytes, Branch] = field(default_factory=dict)
    n: int = 0

    @property
    def name(self) -> str:
        """Its own name as text that any encoder accepts."""
        return name_class(posixpath.basename(self.path))

    @property
    def filled(self) -> dict[bytes, Branch]:
        """Its folders with images, however deep."""
        return {name: branch for name, branch in self.folders.items() if branch.n}

    def list_images(self) -> Iterator[bytes]:
        """All images in it, however deep."""
        yield from self.images
        for branch in self.folders.values():
            yield from branch.list_images()


def name_class(folder: bytes) -> str:
    r"""A class folder's name as text that any encoder accepts: bytes that are not UTF-8 become ``\xff``."""
    return folder.decode("utf-8", "backslashreplace")


def grow_tree(walk: Walk) -> Branch:
    """The root of what was walked."""
    known = {b"": Branch(b"")}
    for path in walk.folders:  # sorted, so a folder comes before what is in it
        parent, name = posixpath.split(path)
        known[path] = known[parent].folders[name] = Branch(path)
    for path in walk.images:
        parent = posixpath.dirname(path)
        known[parent].images.append(path)
        known[parent].n += 1
    for path in reversed(walk.folders):
        known[posixpath.dirname(path)].n += known[path].n
    return known[b""]


def set_aside(folders: Mapping[bytes, Branch]) -> tuple[dict[bytes, Branch], dict[bytes, Branch]]:
    """Folders that may be classes or hold some, and those that accompany images, such as ``annotations/``."""
    beside = any(is_images(branch.name) or read_split_word(branch.name) for branch in folders.values())
    aside = {name: one for name, one in folders.items() if is_no_class(one.name, beside_images=beside)}
    return {name: branch for name, branch in folders.items() if name not in aside}, aside


def have_common(folders: Collection[Branch]) -> bool:
    """Whether each of several folders shares the name of a folder inside it with another of them."""
    inside = [{fold_name(name_class(name)) for name in branch.filled} for branch in folders]
    return len(inside) > 1 and all(
        any(one & two for j, two in enumerate(inside) if i != j) for i, one in enumerate(inside)
    )


def name_some(branches: Iterable[Branch], most: int = 3) -> str:
    """The first few folders, for a message."""
    paths = sorted(branch.path for branch in branches)
    return ", ".join(show_path(path) + "/" for path in paths[:most]) + (", ..." if len(paths) > most else "")


def describe_bare(parents: Collection[Branch], passed: Iterable[Passed]) -> list[str]:
    """A note on folders that would be classes or splits if they held an image, and on why they hold none."""
    bare: dict[bytes, list[Passed]] = {
        branch.path: []
        for parent in parents
        for branch in parent.folders.values()
        if not branch.n and not is_no_class(branch.name, beside_images=True)
    }
    places = {parent.path for parent in parents}
    reasons = {}
    for one in passed:
        folder = posixpath.dirname(one.path)
        if one.is_folder and folder in places:
            reasons[one.path] = f"a {one.why.replace('(s)', '').replace('lead', 'leads')}"
        while folder and folder not in bare:
            folder = posixpath.dirname(folder)
        if folder:
            bare[folder].append(one)
    reasons |= {path: _say_inside(inside) for path, inside in bare.items()}
    named = [f"{show_path(path)}/ ({reason})" for path, reason in sorted(reasons.items())]
    more = f", and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return [f"left out {len(named)} folder(s) without images: {', '.join(named[:_MOST_NAMED])}{more}"] * bool(named)


def _say_inside(inside: Collection[Passed]) -> str:
    """What a folder holds instead of images."""
    others = [one for one in inside if one.why == OTHER]
    kinds = {one.why for one in inside} - {OTHER, HIDDEN}
    said = [f"{sum(one.why == kind for one in inside)} {kind}" for kind in sorted(kinds)]
    said += [count_suffixes(others)] * bool(others)
    return ", ".join(said) or ("hidden names only" if inside else "empty")


def say_folder(folder: os.PathLike[str], branch: Branch) -> str:
    """A folder below the one that was named, as it can be typed."""
    return show_path(os.path.join(os.fsencode(folder), branch.path, b""))

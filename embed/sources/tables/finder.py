"""Files below a folder by names that may be spelt a little otherwise; what leads out of it is never looked at."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from ..walk import SUFFIXES, is_inside

_BACKSLASH, _QUOTED, _FORM = "with \\ for /", "with %20 and the like", "in another Unicode form"
_CASE, _BARE = "in another case of their suffix", "without their suffix"


class Found(NamedTuple):
    """Files that a name may mean, relative to the folder, and how else it spells them; empty if as they are."""

    paths: tuple[bytes, ...] = ()
    how: str = ""


class Finder:
    r"""Finds files below one folder.

    A name is taken as it is if there is such a file; else without blanks at its ends, with / for \, with %20 and
    the like read, composed or decomposed; and each of these with its suffix in another case, or one of `SUFFIXES`.

    Parameters
    ----------
    root : bytes
        Absolute, links resolved.
    encoding : str
        Names may also be spelt in its bytes.

    Attributes
    ----------
    is_far : bool
        Whether the root is a URL, below which addresses may lie.
    """

    is_far = False

    def __init__(self, root: bytes, encoding: str = "utf-8") -> None:
        self.root = root
        self._encoding = encoding
        self._listed: dict[bytes, dict[bytes, list[bytes]]] = {}
        self._real: dict[str, bytes] = {}

    def find(self, name: str, folder: bytes = b"") -> Found:
        """What a name means, by the first spelling that finds anything; below another folder inside the root."""
        for text, how in self.spell(name):
            found = self._look_up(folder, text)
            if found.paths:
                return Found(found.paths, " and ".join(filter(None, (how, found.how))))
        return Found()

    def spell(self, name: str) -> Iterator[tuple[str, str]]:
        """Ways to read a name as a path below the root, and what is odd about each; none that leads out."""
        bare = name.strip().removeprefix("file://")
        plain = bare.replace("\\", "/")
        both = f"{_BACKSLASH} and {_QUOTED}"
        seen = set()
        for text, how in (
            (name, ""),
            (bare, ""),
            (plain, _BACKSLASH),
            (unquote(bare, errors="surrogateescape"), _QUOTED),
            (unquote(plain, errors="surrogateescape"), both),
            (unicodedata.normalize("NFC", plain), _FORM),
            (unicodedata.normalize("NFD", plain), _FORM),
        ):
            inside = self.relate(text)
            if inside and inside not in seen:
                seen.add(inside)
                yield inside, how

    def relate(self, path: str) -> str:
        """A path relative to the root, ``.`` and ``..`` resolved; empty if it leads out of it."""
        if path.startswith(("/", "~/")):
            folder, name = posixpath.split(os.path.expanduser(path))
            if folder not in self._real:
                self._real[folder] = os.path.realpath(_encode(folder))
            full = posixpath.join(self._real[folder], _encode(name))
            return os.fsdecode(full[len(self.root.rstrip(b"/")) + 1 :]) if is_inside(full, self.root) else ""
        inside = posixpath.normpath(path) if path else ""
        return "" if inside == ".." or inside.startswith("../") or "\0" in path else inside

    def guess(self, name: str) -> bytes:
        """A file that a name may have been meant for: one of another suffix or case; empty if there is none."""
        for text, _ in self.spell(name):
            *above, last = _encode(text).split(b"/")
            folder = self._match_folder(above)
            if folder is None:
                continue
            stems, stem = self._list_stems(folder), posixpath.splitext(last)[0]
            found = stems.get(stem) or next((stems[one] for one in stems if one.lower() == stem.lower()), [])
            if found:
                return posixpath.join(folder, found[0])
        return b""

    def find_tail(self, name: str) -> bytes:
        """The file that a path written elsewhere names by its end; empty if there is none."""
        parts = [part for part in name.strip().replace("\\", "/").split("/") if part]
        tails = ["/".join(parts[begin:]) for begin in range(1, len(parts))]
        found = (self._look_up(b"", tail).paths for tail in tails if self.relate(tail))
        return next((paths[0] for paths in found if paths), b"")

    def _match_folder(self, parts: list[bytes]) -> bytes | None:
        """A folder by its path, whatever the case of its letters; None if there is none."""
        folder = b""
        for part in parts:
            alike = [one for one in self.list_folders(folder) if posixpath.basename(one).lower() == part.lower()]
            if not alike:
                return None
            exact = posixpath.join(folder, part)
            folder = exact if exact in alike else alike[0]
        return folder

    def list_folders(self, folder: bytes = b"") -> list[bytes]:
        """The folders inside one, in the order of their names; neither links nor hidden ones."""
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return []
        return [posixpath.join(folder, name) for name in sorted(names) if not name.startswith(b".")]

    def _look_up(self, folder: bytes, text: str) -> Found:
        for name in dict.fromkeys((_encode(text), _encode(text, self._encoding))):
            path = posixpath.join(folder, name)
            if self._has(path):
                return Found((path,))
            parent, last = posixpath.split(path)
            stem, suffix = posixpath.splitext(last)
            stems = self._list_stems(parent)
            same = [one for one in stems.get(stem, ()) if posixpath.splitext(one)[1].lower() == suffix.lower()]
            for names, how in ((same, _CASE), (stems.get(last, ()), _BARE)):
                if names:
                    return Found(tuple(posixpath.join(parent, one) for one in sorted(names)), how)
        return Found()

    def _list_stems(self, folder: bytes) -> dict[bytes, list[bytes]]:
        """Names of the images in a folder by what they are called without suffix; each folder is read once."""
        if folder not in self._listed:
            stems: dict[bytes, list[bytes]] = defaultdict(list)
            for name in self._list_names(folder):
                if name.lower().endswith(SUFFIXES):
                    stems[posixpath.splitext(name)[0]].append(name)
            self._listed[folder] = dict(stems)
        return self._listed[folder]

    def _has(self, path: bytes) -> bool:
        return os.path.lexists(os.path.join(self.root, path))

    def _list_names(self, folder: bytes) -> list[bytes]:
        where = os.path.join(self.root, folder)
        try:
            return os.listdir(where) if is_inside(os.path.realpath(where) + b"/", self.root) else []
        except OSError:
            return []


def _encode(text: str, encoding: str = "utf-8") -> bytes:
    """A name as the disk has it: bytes that were no text are what they were."""
    return text.encode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")

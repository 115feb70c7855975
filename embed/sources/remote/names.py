"""Names that lie below a URL, as if they were files below a folder."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import unquote

from ..tables.finder import Finder
from ..walk import HIDDEN, OTHER, Passed, Walk, is_hidden, is_image
from .address import NAME, Address, is_address
from .content import Remote

_ODD = "name(s) that no folder can have, with an empty part, . or .."


def name_root(address: Address) -> bytes:
    """What paths below a URL are relative to, as a `Listing` has it."""
    return f"{NAME}:{address}".encode()


def sort_paths(paths: Iterable[bytes]) -> Walk:
    """What a walk would find if these were files below a folder; nothing is opened."""
    images, folders, passed = list[bytes](), set[bytes](), set[Passed]()
    for path in paths:
        parts = path.split(b"/")
        hidden = next((n for n, part in enumerate(parts, 1) if is_hidden(part)), 0)
        if b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
            passed.add(Passed(path.lstrip(b"/"), _ODD))  # no path begins at the disk's root
            continue
        folders.update(b"/".join(parts[:n]) for n in range(1, hidden or len(parts)))
        if hidden:
            passed.add(Passed(b"/".join(parts[:hidden]), HIDDEN))
        elif is_image(path):
            images.append(path)
        else:
            passed.add(Passed(path, OTHER))
    return Walk(sorted(images), sorted(folders), sorted(passed))


class FarFinder(Finder):
    """Finds objects below a URL, all of which are listed once; a web server, which lists none, has them all.

    Parameters
    ----------
    content : Remote
    encoding : str
        See `Finder`.

    Raises
    ------
    DataError
        If the URL cannot be listed.
    """

    is_far = True

    def __init__(self, content: Remote, encoding: str = "utf-8") -> None:
        super().__init__(str(content.address).encode(), encoding)
        self._address = content.address
        self._paths = set[bytes]() if self._address.is_web else {*content.list()}
        self._names: dict[bytes, set[bytes]] = defaultdict(set)
        for path in self._paths:
            while path:
                folder, name = posixpath.split(path)
                self._names[folder].add(name)
                path = folder if folder != path else b""

    def relate(self, path: str) -> str:
        """A path, or a whole address, relative to the root; empty if it leads out of it."""
        if not is_address(path):
            return "" if path.startswith(("/", "~/")) else super().relate(path)
        above = f"{self._address}/"
        if not path.startswith(above) or (self._address.is_web and ("?" in path or "#" in path)):
            return ""
        path = path[len(above) :]
        return super().relate(unquote(path) if self._address.is_web else path)

    def list_folders(self, folder: bytes = b"") -> list[bytes]:
        """The folders inside one, in the order of their names; no hidden ones."""
        found = [posixpath.join(folder, name) for name in sorted(self._names.get(folder, ()))]
        return [path for path in found if path in self._names and not posixpath.basename(path).startswith(b".")]

    def find_tail(self, name: str) -> bytes:
        """See `Finder`; nothing on a web server, which is not asked."""
        return b"" if self._address.is_web else super().find_tail(name)

    def _has(self, path: bytes) -> bool:
        return self._address.is_web or path in self._paths

    def _list_names(self, folder: bytes) -> list[bytes]:
        return [name for name in self._names.get(folder, ()) if posixpath.join(folder, name) in self._paths]

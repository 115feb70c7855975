"""The cache folder: one entry per key, found by its spec or listed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .disk import commit_bytes, make_folder, read_file
from .entry import Entry
from .errors import CacheError
from .key import Spec
from .sealed import Sealed


class FeatureStore:
    """A cache folder: finds, makes and lists entries.

    Parameters
    ----------
    root : Path
        The cache folder, ``features`` unless the user names another; need not exist yet.
    part : str
        A folder in it that has entries of its own; what is remembered of trunks and speeds is shared.
    """

    def __init__(self, root: Path, part: str = "") -> None:
        self.root = root
        self.folder = root / part / "v1"

    def create(self) -> None:
        """Make the folder, with a .gitignore so that features are never committed by accident."""
        make_folder(self.folder)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            commit_bytes(ignore, b"*\n")

    def entry(self, spec: Spec) -> Entry:
        """The entry of a spec, whether or not it exists yet."""
        return Entry(self.folder / spec.key[:2] / spec.key, spec)

    def find_lock(self, weights_sha256: str, what: str) -> Path:
        """The lock of a trunk: ``lock`` is held while its entries are sealed, ``run`` shared by its extractions."""
        return self.folder / "locks" / f"{weights_sha256[:16]}.{what}"

    def entries(self) -> list[Entry]:
        """Every entry whose spec can be read and matches the key it is stored under, in the order of keys."""
        found = []
        for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*/spec.json")):
            # What another process removes meanwhile, a damaged spec and a newer format are no entries of ours.
            with suppress(OSError, CacheError):
                data = read_file(path)
                if hashlib.sha256(data).hexdigest() == path.parent.name:
                    found.append(Entry(path.parent, Spec.from_json(data)))
        return found

    def sealed(self, wanted: Callable[[Spec], bool] = lambda spec: True) -> list[Sealed]:
        """Every complete entry, in the order of keys; each seal is read once, and only of a spec that is wanted."""
        mine = [entry for entry in self.entries() if wanted(entry.spec)]
        return [sealed for entry in mine if (sealed := entry.read_seal()) is not None]

"""The cache folder: one entry per key, from its first shard to its sealed file, and what it gives back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .disk import (
    commit_bytes,
    commit_stream,
    hash_file,
    make_folder,
    read_file,
    remove_file,
    rename_file,
    sweep_temps,
)
from .errors import CacheError
from .features import FeatureSet
from .key import Spec
from .reader import Reader
from .rows import Rows
from .rowsfile import encode_rows
from .salvage import salvage_rows
from .sealed import BLOCK_ROWS, open_sealed, read_seal, write_seal, write_sealed
from .shard import Status, list_shards, read_shard


@dataclass(frozen=True)
class Entry:
    """One key's folder.

    Attributes
    ----------
    folder : Path
        ``<cache>/v1/<key[:2]>/<key>``; need not exist yet.
    spec : Spec
        What the key stands for.
    """

    folder: Path
    spec: Spec

    @property
    def shards_folder(self) -> Path:
        """Where shards are committed until the entry is sealed."""
        return self.folder / "shards"

    @property
    def sealed_file(self) -> Path:
        """The single file that holds every row once the entry is sealed."""
        return self.folder / "features.h5"

    @property
    def _seal(self) -> Mapping[str, Any]:
        return read_seal(self.folder / "sealed.json", self.sealed_file, self.spec)

    @property
    def is_sealed(self) -> bool:
        """Whether every row is in the sealed file (its digest is checked when it is read)."""
        return bool(self._seal)

    @property
    def rests_on_seal(self) -> bool:
        """Whether rows are, or were, in the sealed file alone.

        Not if the entry was never sealed, or interrupted between file and seal, with every row still in a shard.
        """
        begun = self.sealed_file.exists() or (self.folder / "sealed.json").exists()
        return begun and (self.is_sealed or bool(self.find_missing().any()))

    @property
    def digest(self) -> str:
        """Hex sha256 of the sealed file as it was sealed; empty before the seal."""
        return str(self._seal.get("sha256", ""))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the features were made (host, backend, versions); empty before the seal."""
        provenance: Mapping[str, Any] = self._seal.get("provenance", {})
        return provenance

    def create(self, rows: Rows) -> None:
        """Make the folder with its spec and its rows; whichever is missing or damaged is written again.

        Raises
        ------
        DiskError
            If it cannot be written.
        """
        make_folder(self.shards_folder)
        sweep_temps(self.shards_folder)
        sweep_temps(self.folder)
        for name, content in (("rows.h5", encode_rows(rows)), ("spec.json", self.spec.to_json())):
            file = self.folder / name
            if not file.exists() or read_file(file) != content:
                commit_bytes(file, content)

    def set_aside_damage(self) -> list[str]:
        """Rename the sealed file or every shard that cannot be trusted; say which.

        Rows that are set aside count as missing and are computed again: damage is never fatal and never
        trusted. Of a sealed file, the rows that match their own checksums are kept as shards.

        Raises
        ------
        DiskError
            If a file cannot be renamed.
        """
        notices = []
        for file in list_shards(self.shards_folder):
            try:
                read_shard(file, self.spec)
            except CacheError as error:
                rename_file(file.path, file.path.with_suffix(".damaged"))
                notices.append(f"set aside, and rows {file.start} to {file.stop} are recomputed: {error}")
        return notices + self._set_aside_sealed()

    def _set_aside_sealed(self) -> list[str]:
        try:
            self.check_digest()
        except CacheError as error:
            seal = self.folder / "sealed.json"
            if not self.rests_on_seal:
                return []
            saved = salvage_rows(self.sealed_file, self.spec, self.shards_folder)
            remove_file(seal)
            rename_file(self.sealed_file, self.sealed_file.with_suffix(".damaged"))
            return [f"set aside, {saved} of {self.spec.rows} rows saved, the others are recomputed: {error}"]
        return []

    def find_missing(self) -> NDArray[np.bool_]:
        """Which rows are not in the sealed file or in a shard. bool array, shape (n,)."""
        missing = np.full(self.spec.rows, not self.is_sealed)
        if not self.is_sealed:
            for file in list_shards(self.shards_folder):
                missing[file.start : file.stop] = False
        return missing

    def read_status(self) -> NDArray[np.uint8]:
        """The `Status` of every row, from the sealed file or the shards; ok where neither has it. uint8, (n,)."""
        status = np.zeros(self.spec.rows, np.uint8)
        try:
            for file in [] if self.is_sealed else list_shards(self.shards_folder):
                status[file.start : file.stop] = read_shard(file, self.spec).status
        except CacheError:
            # Without a lock another process may seal the entry, and drop its shards, meanwhile.
            if not self.is_sealed:
                raise
        if self.is_sealed:
            with open_sealed(self.sealed_file, self.spec) as sealed:
                status = sealed["status"][()]
        return status

    def seal(self, provenance: Mapping[str, Any]) -> None:
        """Join all shards into the sealed file, read it back, and commit it; the shards are then removed.

        Raises
        ------
        CacheError
            If rows are missing, or the file read back is not what was written.
        DiskError
            If a write fails; the shards stay.
        """
        shards = list_shards(self.shards_folder)
        try:
            commit_stream(self.sealed_file, lambda file: write_sealed(file, self.spec, shards))
            write_seal(self.folder / "sealed.json", self.sealed_file, self.spec, provenance)
        except CacheError as error:
            # Without a lock another process may seal the same rows first, and drop the shards read here.
            if not self.is_sealed:
                raise CacheError(f"{self.folder}: {error}") from error
        self.drop_shards()

    def drop_shards(self) -> None:
        """Remove the shards of a sealed entry."""
        for file in list_shards(self.shards_folder) if self.is_sealed else []:
            remove_file(file.path)

    def check_digest(self) -> None:
        """Refuse a sealed file whose bytes are not those that were sealed.

        Raises
        ------
        CacheError
            If the entry is not sealed, or its file is gone or has another sha256.
        """
        if not self.is_sealed:
            raise CacheError(f"the features in {self.folder} are incomplete; run the extract that made them again.")
        try:
            digest = hash_file(self.sealed_file)
        except FileNotFoundError:  # removed by another process since it was listed
            raise CacheError(f"{self.sealed_file} is gone; run extract again to recompute it.") from None
        if digest != self._seal.get("sha256"):
            raise CacheError(
                f"{self.sealed_file} was altered after it was sealed; run extract again to recompute it."
            )

    def read(self) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """All features, shape (n, V, D) in the stored dtype, and the status of each row, shape (n,).

        Raises
        ------
        CacheError
            If the entry is not sealed or cannot be trusted.
        """
        self.check_digest()
        with open_sealed(self.sealed_file, self.spec) as file:
            return file["features"][()], file["status"][()]

    def read_blocks(
        self, rows: Rows, block_rows: int = BLOCK_ROWS, *, checked: bool = False
    ) -> Iterator[FeatureSet]:
        """The ok rows in blocks of at most `block_rows`: features of any number in flat memory.

        With ``checked`` the caller has called `check_digest` for an earlier pass of the same fit.

        Raises
        ------
        CacheError
            As `load`.
        """
        self._expect_rows(rows)
        if not checked:
            self.check_digest()
        with open_sealed(self.sealed_file, self.spec) as file:
            for start in range(0, self.spec.rows, block_rows):
                part = slice(start, min(start + block_rows, self.spec.rows))
                yield _join(file["features"][part], file["status"][part], rows, start)

    def load(self, rows: Rows) -> FeatureSet:
        """The ok rows with their labels, joined by row id.

        Parameters
        ----------
        rows : Rows
            The split whose digest the key holds.

        Raises
        ------
        CacheError
            If the entry is incomplete, altered, or belongs to other rows.
        """
        self._expect_rows(rows)
        features, status = self.read()
        return _join(features, status, rows, 0)

    def _expect_rows(self, rows: Rows) -> None:
        if rows.digest != self.spec.rows_sha256:
            raise CacheError(f"{self.folder} holds features of other rows than these; run extract again.")


def _join(features: NDArray[Any], status: NDArray[np.uint8], rows: Rows, start: int) -> FeatureSet:
    ok = np.flatnonzero(status == Status.OK)
    whole = len(ok) == len(status)
    X = features if whole else features[ok]
    row = ok + start
    return FeatureSet(X.astype(np.float32, copy=False), rows.labels[row], row, rows.sha256[row])


class FeatureStore(Reader):
    """A cache folder: finds, makes and lists entries, and gives arrays to notebooks.

    Parameters
    ----------
    root : Path
        The cache folder, ``features`` unless the user names another.
    """

    def create(self) -> None:
        """Make the folder, with a .gitignore so that features are never committed by accident."""
        make_folder(self.folder)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            commit_bytes(ignore, b"*\n")

    def entry(self, spec: Spec) -> Entry:
        """The entry of a spec, whether or not it exists yet."""
        return Entry(self.folder / spec.key[:2] / spec.key, spec)

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

"""One key's folder, complete or not: what an extraction does with it from the first shard to the seal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .address import say_place
from .disk import (
    commit_bytes,
    commit_stream,
    make_folder,
    read_file,
    remove_file,
    remove_files,
    rename_file,
    sweep_temps,
)
from .errors import CacheError
from .key import Spec
from .mirror import drop_copy, fetch_files, has_file
from .rows import Rows
from .rowsfile import encode_rows, holds_rows
from .salvage import salvage_rows
from .sealed import FEATURES, SEAL, Sealed, read_seal, write_seal
from .sealedfile import BLOCK_ROWS, write_sealed
from .shard import Shard, ShardFile, Status, commit_shard, find_runs, list_shards, read_shard


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
        return self.folder / FEATURES

    def read_seal(self) -> Sealed | None:
        """The entry with its seal, read from the disk this once; None as long as rows may be missing."""
        seal = read_seal(self.folder, self.spec)
        return None if seal is None else Sealed(self.folder, self.spec, seal)

    def open(self) -> Sealed:
        """As `read_seal`, for whoever needs every row.

        Raises
        ------
        CacheError
            If the entry is not sealed.
        """
        sealed = self.read_seal()
        if sealed is None:
            raise CacheError(
                f"the features in {say_place(self.folder)} are incomplete; run the extract that made them again."
            )
        return sealed

    def rests_on_seal(self) -> bool:
        """Whether rows are, or were, in the sealed file alone.

        Not if the entry was never sealed, or interrupted between file and seal, with every row still in a shard.
        """
        begun = has_file(self.sealed_file) or has_file(self.folder / SEAL)
        return begun and (self.read_seal() is not None or bool(self.find_missing().any()))

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
        file = self.folder / "rows.h5"
        if not has_file(file) or not holds_rows(file, rows):
            commit_stream(file, partial(encode_rows, rows))
        file, content = self.folder / "spec.json", self.spec.to_json()
        if not has_file(file) or read_file(file) != content:
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
        notices, shards = [], list_shards(self.shards_folder)
        fetch_files(file.path for file in shards)
        for file in shards:
            try:
                self._expect_good(file)
            except CacheError as error:
                rename_file(file.path, file.path.with_suffix(".damaged"))
                notices.append(f"set aside, and rows {file.start} to {file.stop} are recomputed: {error}")
        return notices + self._set_aside_sealed()

    def _expect_good(self, file: ShardFile) -> None:
        """Read a shard; if it is damaged here but not in the bucket, that one is taken."""
        try:
            read_shard(file, self.spec)
        except CacheError:
            if not drop_copy(file.path):
                raise
            read_shard(file, self.spec)

    def _set_aside_sealed(self) -> list[str]:
        try:
            self.open().check_digest()
        except CacheError as error:
            if not self.rests_on_seal():
                return []
            saved = salvage_rows(self.sealed_file, self.spec, self.shards_folder)
            remove_file(self.folder / SEAL)
            rename_file(self.sealed_file, self.sealed_file.with_suffix(".damaged"))
            return [f"set aside, {saved} of {self.spec.rows} rows saved, the others are recomputed: {error}"]
        return []

    def reopen(self, rows: Sequence[int]) -> None:
        """Have those of some rows computed again that have no features; all others become shards.

        Raises
        ------
        CacheError
            If the sealed file cannot be trusted.
        DiskError
            If a write fails; the entry stays sealed.
        """
        sealed = self.read_seal()
        if sealed is None:  # another process was first
            return
        (features, status), remarks = sealed.read(), sealed.read_remarks()
        again = np.isin(np.arange(self.spec.rows), rows) & (status != Status.OK)
        if not again.any():
            return
        for start, stop in find_runs(~again, BLOCK_ROWS):
            part = slice(start, stop)
            shard = Shard(start, features[part], status[part], remarks[part])
            commit_shard(self.shards_folder, self.spec.key, shard)
        remove_file(self.folder / SEAL)
        remove_file(self.sealed_file)

    def find_missing(self) -> NDArray[np.bool_]:
        """Which rows are not in the sealed file or in a shard. bool array, shape (n,)."""
        missing = np.ones(self.spec.rows, np.bool_)
        for file in list_shards(self.shards_folder):
            missing[file.start : file.stop] = False
        # Looked for last: whoever seals drops the shards afterwards, so rows are seen in one place or the other.
        if missing.any() and self.read_seal() is not None:
            missing[:] = False
        return missing

    def read_status(self) -> NDArray[np.uint8]:
        """The `Status` of every row, from the sealed file or the shards; ok where neither has it. uint8, (n,).

        Raises
        ------
        CacheError
            If the file or a shard cannot be read.
        """
        status = np.zeros(self.spec.rows, np.uint8)
        sealed = self.read_seal()
        if sealed is None:
            try:
                for file in list_shards(self.shards_folder):
                    status[file.start : file.stop] = read_shard(file, self.spec).status
            except CacheError:
                if self.read_seal() is None:
                    raise
            # Without a lock another process may have sealed the entry, and dropped its shards, meanwhile.
            sealed = self.read_seal()
        return status if sealed is None else sealed.read_status()

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
            write_seal(self.folder, self.spec, provenance)
        except CacheError as error:
            # Without a lock another process may seal the same rows first, and drop the shards read here.
            if self.read_seal() is None:
                raise CacheError(f"{self.folder}: {error}") from error
        self.drop_shards()

    def drop_shards(self) -> None:
        """Remove the shards of a sealed entry."""
        shards = list_shards(self.shards_folder) if self.read_seal() else []
        remove_files([file.path for file in shards])

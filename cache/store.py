"""The cache folder: one entry per key, from its first shard to its sealed file, and what it gives back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from . import schema
from .disk import commit_bytes, commit_stream, hash_file, sweep_temps, sync_folder
from .errors import CacheError
from .features import FeatureSet
from .key import Spec
from .rows import Rows
from .rowsfile import encode_rows
from .shard import Shard, ShardFile, Status, arrays_of, check_rows, list_shards, read_shard, row_checksums

BLOCK_ROWS = 4096


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
        try:
            seal: dict[str, Any] = json.loads((self.folder / "sealed.json").read_bytes())
            if seal["rows"] != self.spec.rows or seal["bytes"] != self.sealed_file.stat().st_size:
                return {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return seal

    @property
    def is_sealed(self) -> bool:
        """Whether every row is in the sealed file (its digest is checked when it is read)."""
        return bool(self._seal)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the features were made (host, backend, versions); empty before the seal."""
        provenance: Mapping[str, Any] = self._seal.get("provenance", {})
        return provenance

    def create(self, rows: Rows) -> None:
        """Make the folder with its spec and its rows; an existing one is left as it is."""
        self.shards_folder.mkdir(parents=True, exist_ok=True)
        sweep_temps(self.shards_folder)
        sweep_temps(self.folder)
        if not (self.folder / "spec.json").exists():
            commit_bytes(self.folder / "rows.h5", encode_rows(rows))
            commit_bytes(self.folder / "spec.json", self.spec.to_json())

    def set_aside_damage(self) -> list[str]:
        """Rename the sealed file or every shard that cannot be trusted; say which.

        The rows of what is set aside count as missing and are computed again: damage is never fatal and
        never trusted.
        """
        notices = []
        if self.is_sealed:
            try:
                self.check_digest()
            except CacheError as error:
                (self.folder / "sealed.json").unlink()
                self.sealed_file.rename(self.sealed_file.with_suffix(".damaged"))
                sync_folder(self.folder)
                notices.append(f"set aside, and its rows are recomputed: {error}")
        for file in list_shards(self.shards_folder):
            try:
                read_shard(file, self.spec)
            except CacheError as error:
                file.path.rename(file.path.with_suffix(".damaged"))
                notices.append(f"set aside, and rows {file.start} to {file.stop} are recomputed: {error}")
        return notices

    def find_missing(self) -> NDArray[np.bool_]:
        """Which rows are not in the sealed file or in a shard. bool array, shape (n,)."""
        missing = np.full(self.spec.rows, not self.is_sealed)
        if not self.is_sealed:
            for file in list_shards(self.shards_folder):
                missing[file.start : file.stop] = False
        return missing

    def read_status(self) -> NDArray[np.uint8]:
        """The `Status` of every row of a sealed entry. uint8 array, shape (n,)."""
        with self._open_sealed() as file:
            status: NDArray[np.uint8] = file["status"][()]
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
        commit_stream(self.sealed_file, lambda file: self._write_sealed(file, shards))
        with self._open_sealed() as file:
            status = self._check_sealed(file)
        seal = {
            "format": self.spec.format,
            "sha256": hash_file(self.sealed_file),
            "bytes": self.sealed_file.stat().st_size,
            "rows": self.spec.rows,
            "rows_not_ok": int((status != Status.OK).sum()),
            "provenance": dict(provenance),
        }
        commit_bytes(self.folder / "sealed.json", json.dumps(seal, sort_keys=True, indent=1).encode())
        self.drop_shards()

    def drop_shards(self) -> None:
        """Remove the shards of a sealed entry."""
        for file in list_shards(self.shards_folder) if self.is_sealed else []:
            file.path.unlink(missing_ok=True)

    def _write_sealed(self, file: BinaryIO, shards: list[ShardFile]) -> None:
        position = 0
        with h5py.File(file, "w") as out:
            for name, (dtype, shape) in arrays_of(self.spec, self.spec.rows).items():
                schema.write_array(out, name, shape, dtype)
            for shard_file in shards:
                if shard_file.stop > position >= shard_file.start:
                    shard = read_shard(shard_file, self.spec)
                    skip, rows = position - shard.start, slice(position, shard.stop)
                    out["features"][rows] = shard.features[skip:]
                    out["status"][rows] = shard.status[skip:]
                    out["row"][rows] = np.arange(position, shard.stop)
                    out["row_crc"][rows] = row_checksums(position, shard.features[skip:])
                    position = shard.stop
        if position != self.spec.rows:
            raise CacheError(f"{self.folder}: row {position} of {self.spec.rows} is missing; run extract again.")

    def _check_sealed(self, file: h5py.File) -> NDArray[np.uint8]:
        status: NDArray[np.uint8] = file["status"][()]
        for start in range(0, self.spec.rows, BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, self.spec.rows))
            block = Shard(start, file["features"][rows], status[rows])
            check_rows(str(self.sealed_file), block, file["row"][rows], file["row_crc"][rows])
        return status

    @contextmanager
    def _open_sealed(self) -> Iterator[h5py.File]:
        try:
            # No lock: the file never changes, and a read-only cache or a network disk may refuse one.
            with h5py.File(self.sealed_file, "r", locking=False) as file:
                schema.check_arrays(file, arrays_of(self.spec, self.spec.rows))
                yield file
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise CacheError(f"{self.sealed_file}: not a readable HDF5 file ({error})") from error

    def check_digest(self) -> None:
        """Refuse a sealed file whose bytes are not those that were sealed.

        Raises
        ------
        CacheError
            If the entry is not sealed or its file has another sha256.
        """
        if not self.is_sealed:
            raise CacheError(f"the features in {self.folder} are incomplete; run the extract that made them again.")
        if hash_file(self.sealed_file) != self._seal["sha256"]:
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
        with self._open_sealed() as file:
            return file["features"][()], file["status"][()]

    def read_blocks(self, rows: Rows, block_rows: int = BLOCK_ROWS) -> Iterator[FeatureSet]:
        """The ok rows in blocks of at most `block_rows`: features of any number in flat memory.

        Raises
        ------
        CacheError
            As `load`.
        """
        self._expect_rows(rows)
        self.check_digest()
        with self._open_sealed() as file:
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


class FeatureStore:
    """A cache folder: finds, makes and lists entries.

    Parameters
    ----------
    root : Path
        The cache folder, ``features`` unless the user names another.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "v1"

    def create(self) -> None:
        """Make the folder, with a .gitignore so that features are never committed by accident."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            commit_bytes(ignore, b"*\n")

    def entry(self, spec: Spec) -> Entry:
        """The entry of a spec, whether or not it exists yet."""
        return Entry(self.folder / spec.key[:2] / spec.key, spec)

    def entries(self) -> list[Entry]:
        """Every entry whose spec matches the key it is stored under, in the order of keys."""
        found = []
        for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*/spec.json")):
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == path.parent.name:
                found.append(Entry(path.parent, Spec.from_json(data)))
        return found

"""An entry that is complete: the seal that says which bytes are to be trusted, and the features behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .address import say_place
from .blocks import Blocks
from .disk import commit_bytes, hash_file, read_file
from .errors import CacheError
from .features import FeatureSet
from .key import Spec
from .mirror import drop_copy, measure_file
from .remarks import WIDTH
from .rows import Rows
from .sealedfile import BLOCK_ROWS, check_sealed, open_sealed
from .shard import REMARKS, Status

FEATURES, SEAL = "features.h5", "sealed.json"
"""Names, in an entry's folder, of the single file that holds every row, and of its seal."""

_KINDS: dict[str, type] = {
    **dict.fromkeys(("key", "sha256"), str),
    **dict.fromkeys(("bytes", "rows", "rows_not_ok"), int),
    "provenance": dict,
}


@dataclass(frozen=True)
class Seal:
    """What vouches for a file of features.

    Attributes
    ----------
    key : str
        Of the entry.
    sha256 : str
        Hex digest of the file as it was sealed.
    bytes : int
        Its size.
    rows, rows_not_ok : int
        Rows that it holds, and those among them without features.
    provenance : mapping
        How the features were made: host, backend, versions.
    """

    key: str
    sha256: str
    bytes: int
    rows: int
    rows_not_ok: int
    provenance: Mapping[str, Any]


def write_seal(folder: Path, spec: Spec, provenance: Mapping[str, Any]) -> None:
    """Check every row of an entry's sealed file, then vouch for its bytes.

    Raises
    ------
    CacheError
        If the file read back is not what was written.
    DiskError
        If the write fails.
    """
    file = folder / FEATURES
    not_ok = int((check_sealed(file, spec) != Status.OK).sum())
    seal = Seal(spec.key, hash_file(file), file.stat().st_size, spec.rows, not_ok, dict(provenance))
    commit_bytes(folder / SEAL, json.dumps(asdict(seal), sort_keys=True, indent=1).encode())


def read_seal(folder: Path, spec: Spec) -> Seal | None:
    """What `write_seal` wrote; None if there is none, or it is not one of this key and of a file of this size."""
    try:
        record = json.loads(read_file(folder / SEAL))
        if not all(isinstance(record[name], kind) for name, kind in _KINDS.items()):
            return None
        seal = Seal(**{name: record[name] for name in _KINDS})
        fits = (seal.key, seal.bytes) == (spec.key, measure_file(folder / FEATURES))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return seal if fits else None


@dataclass(frozen=True)
class Sealed:
    """A complete entry, as its seal was when it was read; its methods read features and believe that seal alone.

    Attributes
    ----------
    folder : Path
    spec : Spec
        What the key stands for.
    seal : Seal
    """

    folder: Path
    spec: Spec
    seal: Seal

    @property
    def file(self) -> Path:
        """The single file that holds every row."""
        return self.folder / FEATURES

    @property
    def digest(self) -> str:
        """Hex sha256 of the file as it was sealed."""
        return self.seal.sha256

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the features were made: host, backend, versions."""
        return self.seal.provenance

    @property
    def trunk_name(self) -> str:
        """What the trunk was called when it was extracted."""
        return str(self.provenance.get("trunk", self.spec.trunk["architecture"]))

    @property
    def origin(self) -> Mapping[str, Any] | None:
        """What a recalibrated trunk stems from, as `embed.recalibrate` describes it; None of any other."""
        origin = self.provenance.get("recalibrated")
        return origin if isinstance(origin, Mapping) else None

    def describe_trunk(self) -> dict[str, Any]:
        """What a later run needs to compute features of other images in the same way, beside the view."""
        how = {"precision": self.spec.precision, "dtype": self.spec.dtype, "decode": dict(self.spec.decode)}
        return {**self.spec.trunk, **self.provenance, **how}

    def check_digest(self) -> None:
        """Refuse a file whose bytes are not those that were sealed.

        Raises
        ------
        CacheError
            If it is gone or has another sha256.
        """
        try:
            digest = hash_file(self.file)
            if digest != self.digest and drop_copy(self.file):
                digest = hash_file(self.file)
        except FileNotFoundError:  # removed by another process since its seal was read
            raise CacheError(f"{say_place(self.file)} is gone; run extract again to recompute it.") from None
        if digest != self.digest:
            raise CacheError(
                f"{say_place(self.file)} was altered after it was sealed; run extract again to recompute it."
            )

    def read_status(self) -> NDArray[np.uint8]:
        """The `Status` of every row, unchecked. uint8, shape (n,).

        Raises
        ------
        CacheError
            If the file cannot be read.
        """
        with open_sealed(self.file, self.spec) as file:
            status: NDArray[np.uint8] = file["status"][()]
            return status

    def read_remarks(self) -> NDArray[np.float64]:
        """What decoding noticed of every image, zeros where nothing; float64, shape (n, 3), see `Remark`.

        Raises
        ------
        CacheError
            If the file cannot be read.
        """
        with open_sealed(self.file, self.spec) as file:
            if REMARKS not in set(file):
                return np.zeros((self.spec.rows, WIDTH))
            remarks: NDArray[np.float64] = file[REMARKS][()]
            return remarks

    def read(self) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """All features, shape (n, V, D) in the stored dtype, and the status of each row, shape (n,).

        Raises
        ------
        CacheError
            If the file cannot be trusted.
        """
        self.check_digest()
        with open_sealed(self.file, self.spec) as file:
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
        with open_sealed(self.file, self.spec) as file:
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
            If the file cannot be trusted, or belongs to other rows.
        """
        self._expect_rows(rows)
        features, status = self.read()
        return _join(features, status, rows, 0)

    def stream(self, rows: Rows, step: int) -> FeatureSet:
        """As `load`, but for features, `Blocks` of which are read when they are asked for.

        The file's sha256 is checked once, here. It stays open, so that a file that takes its place is not read, and
        what is read later is compared with HDF5's own checksums.

        Parameters
        ----------
        rows : Rows
        step : int
            Rows that are best read at once.

        Raises
        ------
        CacheError
            As `load`, now or when rows are read.
        """
        self._expect_rows(rows)
        opened = ExitStack()
        file = opened.enter_context(open_sealed(self.file, self.spec))
        self.check_digest()
        ok = np.flatnonzero(file["status"][()] == Status.OK)

        def read(start: int, stop: int, keep: ExitStack = opened) -> NDArray[np.float32]:
            taken = ok[start:stop]
            first, end = (int(taken[0]), int(taken[-1]) + 1) if len(taken) else (0, 0)
            try:
                found: NDArray[Any] = file["features"][first:end]
            except OSError as error:
                raise CacheError(f"{self.file}: not readable any more ({error}); run extract again.") from error
            part = found if len(found) == len(taken) else found[taken - first]
            return part.astype(np.float32, copy=False)

        blocks = Blocks((len(ok), self.spec.views, self.spec.dim), read, step)
        # Slices of rows are read as an array's are, and all else is refused.
        X = cast(NDArray[np.float32], blocks)
        group = None if rows.groups is None else rows.groups[ok]
        return FeatureSet(X, rows.labels[ok], ok, rows.sha256[ok], group)

    def _expect_rows(self, rows: Rows) -> None:
        if rows.digest != self.spec.rows_sha256:
            raise CacheError(
                f"{say_place(self.folder)} holds features of other rows than these; run extract again."
            )


def _join(features: NDArray[Any], status: NDArray[np.uint8], rows: Rows, start: int) -> FeatureSet:
    ok = np.flatnonzero(status == Status.OK)
    whole = len(ok) == len(status)
    X = features if whole else features[ok]
    row = ok + start
    group = None if rows.groups is None else rows.groups[row]
    return FeatureSet(X.astype(np.float32, copy=False), rows.labels[row], row, rows.sha256[row], group)

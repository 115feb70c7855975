"""What is handed to whoever computes a shard, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.quarantine import BadRow
from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.shard import Status
from fixgrid.cache.view import View

from .clock import Share

MAX_FLOAT16 = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Target:
    """One key's share of a shard job.

    Attributes
    ----------
    folder : Path
        Where its shards are committed.
    key : str
        The key they belong to.
    view : View
    dtype : str
        Stored type.
    dim : int
        D of the features.
    start : int
        The first of their columns in what the trunk gives; other kinds of features lie beside them.
    trunk : int
        Which trunk of the pass gives them.
    """

    folder: Path
    key: str
    view: View
    dtype: str
    dim: int
    start: int = 0
    trunk: int = 0

    def cut(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Its own columns of what the trunk gives: (B, V, all) to (B, V, D)."""
        return features[..., self.start : self.start + self.dim]

    def find_finite(self, features: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Of features (B, V, D), which rows its dtype can hold: bool (B,)."""
        finite = np.isfinite(features).all(axis=(1, 2))
        if self.dtype == "float16":
            finite &= (np.abs(features) <= MAX_FLOAT16).all(axis=(1, 2))
        return np.asarray(finite)

    def explain(self, features: NDArray[np.float32]) -> str:
        """Why its dtype cannot hold features: they are no finite numbers, or too large."""
        if not np.isfinite(features).all():
            return f"features that are not finite at {self.view.res} px"
        largest = float(np.abs(features).max())
        return f"features up to {largest:.3g} at {self.view.res} px, {self.dtype} ends at {MAX_FLOAT16:,.0f}"


@dataclass(frozen=True)
class ShardJob:
    """Rows [start, start + n) of one split and every key that wants them.

    Attributes
    ----------
    split : str
    root : str
        What the paths are relative to; see `Manifest`.
    start : int
        Row id of the first row.
    paths : sequence of bytes, length n
        Views of the manifest's, in arrays, so that all jobs of a run weigh little.
    sha256 : sequence of bytes, length n
        Content that the manifest saw; other bytes are refused.
    targets : tuple of Target
    quarantine : mapping of row id to Status
        Rows that crashed or hung a worker before: not touched again.
    careful : bool
        Decode one image at a time, so that a crash names its image.
    opener : str
        What `find_opener` says of the root where the job is planned: whoever computes it may lack a line of the
        table of sources.
    scale : Scale
        Of values above 8 bits.
    """

    split: str
    root: str
    start: int
    paths: Sequence[bytes]
    sha256: Sequence[bytes]
    targets: tuple[Target, ...]
    quarantine: Mapping[int, Status] = field(default_factory=dict)
    careful: bool = False
    opener: str = ""
    scale: Scale = USUAL

    @property
    def stop(self) -> int:
        """Row id after the last row."""
        return self.start + len(self.paths)

    def after(self, row: int) -> ShardJob:
        """The same job without the rows before `row`."""
        done = row - self.start
        return replace(self, start=row, paths=self.paths[done:], sha256=self.sha256[done:])


@dataclass(frozen=True)
class Receipt:
    """What a shard job committed.

    Attributes
    ----------
    split : str
    start, stop : int
        The rows that are now safe: fewer than the job's if it was told to stop or took long.
    bad : tuple of BadRow
    decoded : int
        Images decoded.
    seconds : mapping of stage to float
        read, decode, view, trunk and write, s.
    shares : mapping of int to Share
        What of it was for each trunk.
    notices : tuple of str
        What the user should know of how it was computed, such as batches halved for want of memory.
    """

    split: str
    start: int
    stop: int
    bad: tuple[BadRow, ...]
    decoded: int
    seconds: Mapping[str, float]
    shares: Mapping[int, Share]
    notices: tuple[str, ...] = ()

    @property
    def forwards(self) -> int:
        """Crops run through the trunks."""
        return sum(share.crops.total() for share in self.shares.values())

"""Rows copied from other keys: renaming or adding images must not cost a pass over those already seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from .entry import Entry
from .errors import CacheError
from .remarks import WIDTH
from .rows import Rows
from .rowsfile import read_rows
from .sealed import Sealed
from .sealedfile import BLOCK_ROWS, open_sealed
from .shard import Shard, ShardFile, Status, commit_shard, find_runs, list_shards, read_shard
from .store import FeatureStore
from .strings import Strings

_ABSENT = 255  # the status of a row that a donor lacks
_WINDOW = 8 * BLOCK_ROWS  # rows of a donor that are read at once, where its order is ours


class Donors:
    """The entries of a cache that hold rows, sealed or not, by recipe, as they are when one is first asked for.

    They are listed once, however many keys take rows over: listed for each, every seal of the cache would be read
    for every key.

    Parameters
    ----------
    store : FeatureStore
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._by_recipe: dict[str, list[Sealed | Entry]] | None = None

    def find(self, recipe: str) -> list[Sealed | Entry]:
        """Those of one `Spec.recipe`: the sealed ones, then others with shards, in the order of keys."""
        if self._by_recipe is None:
            self._by_recipe, begun = {}, []
            for entry in self._store.entries():
                if (sealed := entry.read_seal()) is not None:
                    self._by_recipe.setdefault(entry.spec.recipe, []).append(sealed)
                elif list_shards(entry.shards_folder):
                    begun.append(entry)
            for entry in begun:
                self._by_recipe.setdefault(entry.spec.recipe, []).append(entry)
        return self._by_recipe.get(recipe, [])


def adopt_rows(donors: Donors, entry: Entry, rows: Rows, mine: NDArray[np.bool_] | None = None) -> int:
    """Commit to `entry` every missing row whose image another entry of the same recipe has seen.

    Features depend on an image's content and the recipe alone (draws are seeded by content), so equal content
    under an equal recipe has equal features, whatever its name or place.

    Parameters
    ----------
    donors : Donors
    entry : Entry
    rows : Rows
        Of the entry.
    mine : bool array, shape (n,), optional
        The rows to take over; all if not given.

    Returns
    -------
    int
        Number of rows adopted.

    Raises
    ------
    DiskError
        If a write fails.
    """
    missing = entry.find_missing() & (True if mine is None else mine)
    before = int(missing.sum())
    for donor in donors.find(entry.spec.recipe):
        if donor.folder != entry.folder and missing.any():
            # A donor that cannot be trusted is as good as none: its rows are computed.
            with suppress(CacheError, OSError):
                _adopt_from(donor, entry, rows, missing)
    return before - int(missing.sum())


def _adopt_from(donor: Sealed | Entry, entry: Entry, rows: Rows, missing: NDArray[np.bool_]) -> None:
    """Commit the missing rows that a donor has, and mark them as no longer missing."""
    known = read_rows(donor.folder / "rows.h5")
    if known.digest != donor.spec.rows_sha256:
        return
    source = Strings.of_width(known.sha256).find(Strings.of_width(rows.sha256))
    wanted = missing & (source >= 0)
    if not wanted.any():
        return
    reader = _SealedReader(donor) if isinstance(donor, Sealed) else _ShardsReader(donor)
    wanted[wanted] = reader.read_status()[source[wanted]] == Status.OK
    if (np.diff(source[wanted]) > 0).all():
        for start, stop in _cut_windows(wanted, source):
            low = int(source[start])
            _take(reader.read(low, int(source[stop - 1]) + 1), low, entry, source, (start, stop), missing)
    else:
        whole = reader.read(0, donor.spec.rows)
        for run in find_runs(wanted, BLOCK_ROWS):
            _take(whole, 0, entry, source, run, missing)


def _cut_windows(wanted: NDArray[np.bool_], source: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of wanted rows whose sources lie in one window of the donor."""
    for start, stop in find_runs(wanted, BLOCK_ROWS):
        cuts = np.flatnonzero(np.diff(source[start:stop] // _WINDOW)) + start + 1
        ends = [*cuts.tolist(), stop]
        yield from zip([start, *ends], ends, strict=False)


def _take(
    part: Shard,
    low: int,
    entry: Entry,
    source: NDArray[np.int64],
    run: tuple[int, int],
    missing: NDArray[np.bool_],
) -> None:
    """Commit a run of rows, from a donor's rows that begin at `low`."""
    start, stop = run
    index = source[start:stop] - low
    remarks = None if part.remarks is None else part.remarks[index]
    taken = Shard(start, part.features[index], part.status[index], remarks)
    commit_shard(entry.shards_folder, entry.spec.key, taken)
    missing[start:stop] = False


class _SealedReader:
    """Reads a sealed file, whose digest is checked once.

    Raises
    ------
    CacheError
        If it cannot be trusted.
    """

    def __init__(self, donor: Sealed) -> None:
        donor.check_digest()
        self._donor, self._remarks = donor, donor.read_remarks()

    def read_status(self) -> NDArray[np.uint8]:
        """Of every row."""
        return self._donor.read_status()

    def read(self, start: int, stop: int) -> Shard:
        """Consecutive rows."""
        with open_sealed(self._donor.file, self._donor.spec) as file:
            part = slice(start, stop)
            return Shard(start, file["features"][part], file["status"][part], self._remarks[part])


class _ShardsReader:
    """Reads the shards of an entry that is not sealed, every byte checked; one that is damaged gives nothing."""

    def __init__(self, donor: Entry) -> None:
        self._spec = donor.spec
        self._files: list[ShardFile] = []
        self._status = np.full(donor.spec.rows, _ABSENT, np.uint8)
        for file in list_shards(donor.shards_folder):
            with suppress(CacheError):
                self._status[file.start : file.stop] = read_shard(file, self._spec).status
                self._files.append(file)

    def read_status(self) -> NDArray[np.uint8]:
        """Of every row; of those in no shard `_ABSENT`."""
        return self._status

    def read(self, start: int, stop: int) -> Shard:
        """Consecutive rows, NaN where no shard has them."""
        features = np.full((stop - start, self._spec.views, self._spec.dim), np.nan, self._spec.dtype)
        remarks = np.zeros((stop - start, WIDTH))
        for file in self._files:
            first, last = max(start, file.start), min(stop, file.stop)
            if first < last:
                shard = read_shard(file, self._spec)
                theirs, ours = slice(first - shard.start, last - shard.start), slice(first - start, last - start)
                features[ours] = shard.features[theirs]
                if shard.remarks is not None:
                    remarks[ours] = shard.remarks[theirs]
        return Shard(start, features, self._status[start:stop], remarks)

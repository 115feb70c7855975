"""Rows copied from other keys: renaming or adding images must not cost a pass over those already seen."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from .disk import read_file
from .entry import Entry
from .errors import CacheError
from .rows import Rows
from .rowsfile import decode_rows
from .sealed import Sealed
from .sealedfile import BLOCK_ROWS
from .shard import Shard, Status, commit_shard, find_runs
from .store import FeatureStore


class Donors:
    """The sealed entries of a cache, by recipe, as they are when one is first asked for.

    They are listed once, however many keys take rows over: listed for each, every seal of the cache would be read
    for every key.

    Parameters
    ----------
    store : FeatureStore
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._by_recipe: dict[str, list[Sealed]] | None = None

    def find(self, recipe: str) -> list[Sealed]:
        """The entries of one `Spec.recipe`, in the order of keys."""
        if self._by_recipe is None:
            self._by_recipe = {}
            for donor in self._store.sealed():
                self._by_recipe.setdefault(donor.spec.recipe, []).append(donor)
        return self._by_recipe.get(recipe, [])


def adopt_rows(donors: Donors, entry: Entry, rows: Rows, mine: NDArray[np.bool_] | None = None) -> int:
    """Commit to `entry` every missing row whose image another sealed entry of the same recipe has seen.

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


def _adopt_from(donor: Sealed, entry: Entry, rows: Rows, missing: NDArray[np.bool_]) -> None:
    """Commit the missing rows that a donor has, and mark them as no longer missing."""
    known = decode_rows(read_file(donor.folder / "rows.h5"))
    if known.digest != donor.spec.rows_sha256:
        return
    place = {content.tobytes(): i for i, content in enumerate(known.sha256)}
    source = np.array([place.get(content.tobytes(), -1) for content in rows.sha256], dtype=np.int64)
    wanted = missing & (source >= 0)
    if not wanted.any():
        return
    (features, status), remarks = donor.read(), donor.read_remarks()
    wanted[wanted] = status[source[wanted]] == Status.OK
    for start, stop in find_runs(wanted, BLOCK_ROWS):
        rows_from = source[start:stop]
        taken = Shard(start, features[rows_from], status[rows_from], remarks[rows_from])
        commit_shard(entry.shards_folder, entry.spec.key, taken)
        missing[start:stop] = False

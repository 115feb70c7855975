"""Rows copied from other keys: renaming or adding images must not cost a pass over those already seen."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from .disk import read_file
from .entry import Entry
from .errors import CacheError
from .rows import Rows
from .rowsfile import decode_rows
from .sealed import Sealed
from .sealedfile import BLOCK_ROWS
from .shard import Shard, Status, commit_shard, find_runs
from .store import FeatureStore


def adopt_rows(store: FeatureStore, entry: Entry, rows: Rows) -> int:
    """Commit to `entry` every missing row whose image another sealed entry of the same recipe has seen.

    Features depend on an image's content and the recipe alone (draws are seeded by content), so equal content
    under an equal recipe has equal features, whatever its name or place.

    Returns
    -------
    int
        Number of rows adopted.

    Raises
    ------
    DiskError
        If a write fails.
    """
    adopted = 0
    for donor in store.sealed(lambda spec: spec.recipe == entry.spec.recipe):
        if donor.folder != entry.folder:
            # A donor that cannot be trusted is as good as none: its rows are computed.
            with suppress(CacheError, OSError):
                adopted += _adopt_from(donor, entry, rows)
    return adopted


def _adopt_from(donor: Sealed, entry: Entry, rows: Rows) -> int:
    known = decode_rows(read_file(donor.folder / "rows.h5"))
    if known.digest != donor.spec.rows_sha256:
        return 0
    place = {content.tobytes(): i for i, content in enumerate(known.sha256)}
    source = np.array([place.get(content.tobytes(), -1) for content in rows.sha256], dtype=np.int64)
    wanted = entry.find_missing() & (source >= 0)
    if not wanted.any():
        return 0
    features, status = donor.read()
    wanted[wanted] = status[source[wanted]] == Status.OK
    for start, stop in find_runs(wanted, BLOCK_ROWS):
        rows_from = source[start:stop]
        commit_shard(entry.shards_folder, entry.spec.key, Shard(start, features[rows_from], status[rows_from]))
    return int(wanted.sum())

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from entries import features_of, make_rows

from fixgrid.cache.health import verify_store
from fixgrid.cache.key import FORMAT
from fixgrid.cache.rowsfile import list_manifests
from fixgrid.cache.store import FeatureStore

STORED = ROOT / "tests" / "data"
ROWS = make_rows(6, seed=5)


@pytest.mark.parametrize("version", range(1, FORMAT + 1))
def test_a_cache_of_every_format_is_read(tmp_path: Path, version: int) -> None:
    """Written once by the version that introduced the format; never rewritten."""
    shutil.copytree(STORED / f"format-{version}", tmp_path / "cache")
    store = FeatureStore(tmp_path / "cache")
    assert verify_store(store) == []
    [(_, manifest)] = list_manifests(store.folder / "data")
    rows = manifest.splits["train"]
    assert rows.digest == ROWS.digest
    np.testing.assert_array_equal(rows.labels, ROWS.labels)
    sealed, unsealed = sorted(store.entries(), key=lambda entry: entry.spec.view["res"])
    assert [entry.read_seal() is not None for entry in (sealed, unsealed)] == [True, False]
    unsealed.seal({})
    for entry in (sealed, unsealed):
        np.testing.assert_array_equal(entry.open().load(rows).X, features_of(ROWS, entry.spec))

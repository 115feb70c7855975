"""A cache is opened by its folder's name, which is never made, and says what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixgrid.cache.errors import CacheError
from fixgrid.cache.reader import open_store
from fixgrid.cache.store import FeatureStore


def test_opening_a_cache_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"found no folder at .*gone; .* python cli.py extract"):
        open_store(tmp_path / "gone")
    with pytest.raises(CacheError, match="a folder without features"):
        open_store(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    FeatureStore(tmp_path / "kept").create()
    assert open_store("~/kept").store.root == tmp_path / "kept"

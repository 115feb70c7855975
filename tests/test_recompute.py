from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from stub import StubBackend, train
from test_engine import extract, make_extraction
from zoo import list_rows, write_photos

from fixgrid.cache.errors import CacheError, DataError
from fixgrid.cache.health import choose_rows, compare_rows
from fixgrid.embed import resample
from fixgrid.embed.recompute import recompute_rows

VIEW = train(8)


def test_rows_computed_again_are_those_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path / "data", 20)
    extract(tmp_path / "data")
    extraction = make_extraction(tmp_path / "data")
    rows, sealed = extraction.manifest.splits["train"], extraction.entries["train", VIEW, "pooled"].open()

    def recompute(sealed: object, row_ids: list[int]) -> np.ndarray:
        return recompute_rows(extraction.manifest.root, rows, row_ids, VIEW, StubBackend(VIEW))

    compare_rows(sealed, choose_rows(sealed, 8), recompute)
    monkeypatch.setitem(resample.FILTERS, "bilinear", resample.FILTERS["nearest"])
    with pytest.raises(CacheError, match="computed again, rows 0"):
        compare_rows(sealed, choose_rows(sealed, 8), recompute)


@pytest.mark.parametrize(("damage", "reason"), [("edit", "not the image it was"), ("remove", "could not read")])
def test_another_image_is_not_compared(tmp_path: Path, damage: str, reason: str) -> None:
    write_photos(tmp_path, 3)
    rows = list_rows(tmp_path)
    path = tmp_path / os.fsdecode(rows.paths[1])
    path.write_bytes(b"other") if damage == "edit" else path.unlink()
    with pytest.raises(DataError, match=reason):
        recompute_rows(str(tmp_path), rows, [0, 1], VIEW, StubBackend(VIEW))

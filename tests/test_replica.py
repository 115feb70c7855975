from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from stub import FACTS, center, run_stub
from torch import nn
from zoo import write_photos

from fixgrid.cache.errors import CacheError
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View
from fixgrid.embed.listing import SPLIT, hash_listing, list_images
from fixgrid.embed.replica import adopt_known, build_replica, expect_same, find_trunk, open_trunk
from fixgrid.embed.trunks.identity import KnownTrunk, TrunkFacts, describe_trunk
from fixgrid.embed.trunks.preprocess import Preprocess
from fixgrid.embed.trunks.trunk import Trunk

LOOK = Preprocess(("0", "0", "0"), ("1", "1", "1"), "bilinear", "0.875", 16)
DESCRIBED = {
    "trunk": "stub",
    "architecture": "stub",
    "node": "pooled",
    "weights_sha256": "0" * 64,
    "precision": "fp32",
}


def test_other_weights_and_architectures_are_refused() -> None:
    expect_same(DESCRIBED, "stub", "0" * 64)
    with pytest.raises(CacheError, match="--weights"):
        expect_same(DESCRIBED, "stub", "1" * 64)
    with pytest.raises(CacheError, match="--weights"):
        expect_same(DESCRIBED, "other", "0" * 64)


@pytest.mark.parametrize(
    "change", [{"trunk": None}, {"precision": "fp1"}, {"dtype": "object"}, {"decode": {"exif": "ignore"}}]
)
def test_a_description_that_cannot_be_followed_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CacheError, match="run fit-head again"):
        open_trunk({**DESCRIBED, **change}, center(), None)


def test_rows_that_another_cache_has_seen_are_adopted_once(tmp_path: Path) -> None:
    from stub import TRUNK
    from zoo import list_manifest

    from fixgrid.embed.extraction import Extraction

    write_photos(tmp_path / "data", 6)
    known = FeatureStore(tmp_path / "known")
    manifest = list_manifest(tmp_path / "data")
    run_stub(Extraction(known, manifest, TRUNK, {"train": [center()]}))
    named = list_images([os.fsencode(tmp_path / "data" / "b"), os.fsencode(tmp_path / "data" / "a")])
    mine, _ = hash_listing(named, "typed", memo_folder=tmp_path / "memo")
    facts = TrunkFacts("stub", "stub", TRUNK.nodes, "0" * 64, 1, False, LOOK)
    extraction = build_replica(FeatureStore(tmp_path / "own"), mine, facts, DESCRIBED, [center()])
    assert adopt_known(extraction, known) == 6
    outcome = run_stub(extraction)
    assert (outcome.decoded, outcome.computed) == (0, 0)
    assert adopt_known(extraction, known) == 0
    assert extraction.entries[SPLIT, center(), "pooled"].read_seal() is not None


def test_every_view_of_a_head_is_extracted_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views = [center(16), center(24)]
    facts = TrunkFacts("stub", "stub", (("pooled", 4),), "0" * 64, 1, False, LOOK)
    write_photos(tmp_path / "data", 2)
    mine, _ = hash_listing(list_images([os.fsencode(tmp_path / "data")]), "typed", memo_folder=tmp_path / "memo")
    extraction = build_replica(FeatureStore(tmp_path / "own"), mine, facts, DESCRIBED, views)
    assert list(extraction.entries) == [(SPLIT, view, "pooled") for view in views]
    monkeypatch.setattr("fixgrid.embed.replica.identify_trunk", lambda *asked: KnownTrunk(facts, None))
    assert find_trunk(DESCRIBED, views, None, tmp_path)[0] == facts
    odd = View("center", 24, **{**FACTS, "mean": ("1", "0", "0")})
    with pytest.raises(CacheError, match="several means"):
        find_trunk(DESCRIBED, [views[0], odd], None, tmp_path)


def test_pixels_are_normalised_as_the_heads_own_view_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = Trunk("stub", "stub", None, LOOK, 4, "0" * 64, imagenet_labels=False)
    known = KnownTrunk(describe_trunk(replace(trunk, module=nn.Identity())), lambda: trunk)
    monkeypatch.setattr("fixgrid.embed.replica.identify_trunk", lambda *asked: known)
    monkeypatch.setattr("fixgrid.embed.trunks.trunk.load_trunk", lambda *asked, **more: trunk)
    view = View("center", 24, **{**FACTS, "mean": ("0.5", "0.5", "0.4")})
    facts, load = find_trunk(DESCRIBED, [view], None, tmp_path)
    looks = [facts.preprocess, load().preprocess, open_trunk(DESCRIBED, view, None).preprocess]
    assert looks == [replace(LOOK, mean=("0.5", "0.5", "0.4"))] * 3

"""A trunk recalibrated at each resolution: its statistics, its keys, and what is never computed twice."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.torch import save_file
from stub import SilentWatcher
from test_moments import watch
from zoo import list_manifest, write_photos

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.health import compare_rows, describe_entry
from fixgrid.cache.holdings import RECALIBRATED, find_holdings
from fixgrid.cache.rows import Manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.machine import build_extraction, extract_here
from fixgrid.embed.recalibrate import (
    count_crops,
    expect_norm,
    find_origins,
    list_views,
    recalibrate_here,
)
from fixgrid.embed.recompute import Recomputer
from fixgrid.embed.replica import find_trunk, open_trunk
from fixgrid.embed.request import Wanted
from fixgrid.embed.sizing import Machine
from fixgrid.embed.trunks import trunk as trunks
from fixgrid.embed.trunks.identity import KnownTrunk, TrunkFacts, sketch_trunk
from fixgrid.embed.trunks.recalibrated import follow_origin
from fixgrid.embed.trunks.trunk import Trunk, load_trunk
from fixgrid.embed.views import render_view

ONE = Machine(device="cpu", workers="1")
NAME, NORM, SIDES = "timm:test_efficientnet", "bn2", (32, 64)
ORIGINAL = {"train": 4, "val": 2, "test": 2}  # keys: center, and train's crops, at two resolutions


class World(NamedTuple):
    """A drawn data set, extracted and recalibrated once with one worker."""

    data: Path
    cache: Path
    trunk: Trunk
    before: dict[Path, bytes]

    def extraction(self, cache: Path | None = None, manifest: Manifest | None = None) -> Extraction:
        splits = {split: split for split in ORIGINAL}
        manifest = manifest or list_manifest(self.data, splits)
        return build_extraction(FeatureStore(cache or self.cache), manifest, self.facts, Wanted(SIDES))

    @property
    def facts(self) -> TrunkFacts:
        t = self.trunk
        nodes = (("pooled", t.dim),)
        return TrunkFacts(NAME, t.architecture, nodes, t.weights_sha256, 1 << 20, False, t.preprocess)

    def find(self, cache: Path, workers: str = "1") -> dict[int, tuple[str, dict[str, object]]]:
        watcher = SilentWatcher()
        extraction = self.extraction(cache)
        return find_origins(extraction, self.known, watcher, replace(ONE, workers=workers))

    @property
    def known(self) -> KnownTrunk:
        return KnownTrunk(self.facts, self.load)

    def load(self) -> Trunk:
        return self.trunk


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    for i, (split, n) in enumerate({"train": 9, "val": 2, "test": 2}.items()):
        write_photos(folder / "data" / split, n, seed=i)
    (folder / "data" / "train" / "a" / "0004.png").write_bytes(b"no image")
    world = World(folder / "data", folder / "cache", load_trunk(NAME, random_seed=0), {})
    extract_here([(world.extraction(), world.known)], SilentWatcher(), ONE, max_bad=0.5)
    world.before.update({file: file.read_bytes() for file in world.cache.rglob("v1/??/*/*.*")})
    recalibrate_here(world.extraction(), world.known, SilentWatcher(), ONE, max_bad=0.5)
    return world


def decode(origin: dict[str, object], name: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(str(origin[name])), "<f4")


def never() -> Trunk:
    raise AssertionError("loaded the trunk although nothing is missing")


@pytest.mark.parametrize("res", SIDES)
def test_statistics_are_numpys_over_the_readable_training_images(world: World, res: int) -> None:
    extraction = world.extraction()
    rows = extraction.manifest.splits["train"]
    view = next(view for view in list_views(extraction) if view.res == res)
    files = [world.data / path.decode() for path in rows.paths]
    images = [decode_rgb(file.read_bytes()) for file in files if file.name != "0004.png"]
    given = np.concatenate([watch(world.trunk, render_view(image, view, b""))[0] for image in images])
    _, origin = world.find(world.cache)[res]
    scale = np.abs(given).max()
    np.testing.assert_allclose(decode(origin, "mean"), given.mean((0, 2)), rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(decode(origin, "var"), given.var((0, 2)), rtol=1e-6)
    assert len(images) == 8
    assert origin["norm"] == NORM


def test_what_is_to_be_recalibrated_can_be_counted_before(world: World, tmp_path: Path) -> None:
    assert count_crops(world.extraction(tmp_path)) == (2 * 9, 2 * (2 + 2))
    assert count_crops(world.extraction()) == (0, 0)


def test_the_originals_features_keep_their_keys_and_bytes(world: World) -> None:
    assert len(world.before) > 3 * sum(ORIGINAL.values())
    assert {file: file.read_bytes() for file in world.before} == world.before


def test_val_and_test_are_found_beside_the_original(world: World) -> None:
    holdings = find_holdings(FeatureStore(world.cache), str(world.data))
    kind = RECALIBRATED + "center"
    assert [holdings.resolutions(split, kind) for split in ORIGINAL] == [[], [32, 64], [32, 64]]
    for res, (weights_sha256, _) in world.find(world.cache).items():
        entry = holdings.entry("val", kind, res)
        assert entry.spec.trunk["weights_sha256"] == weights_sha256
        assert not np.allclose(holdings.load("val", kind, res).X, holdings.load("val", "center", res).X)


def test_cached_features_are_those_of_the_recalibrated_module(world: World) -> None:
    extraction = world.extraction()
    weights_sha256, origin = world.find(world.cache)[64]
    mine, again = follow_origin(world.known, weights_sha256, origin)
    view = list_views(extraction)[1]
    rows = extraction.manifest.splits["test"]
    images = [decode_rgb((world.data / path.decode()).read_bytes()) for path in rows.paths]
    pixels = np.concatenate([render_view(image, view, b"") for image in images])
    from fixgrid.embed.backends.probe import run_eager

    cached = find_holdings(FeatureStore(world.cache), str(world.data)).load("test", RECALIBRATED + "center", 64)
    np.testing.assert_allclose(cached.X[:, 0], run_eager(again(), pixels), rtol=1e-3, atol=1e-4)
    assert (mine.weights_sha256, mine.recalibrated) == (weights_sha256, origin)


def test_a_second_run_computes_nothing_and_loads_nothing(world: World) -> None:
    expect_norm(world.extraction(), world.facts)
    done = recalibrate_here(world.extraction(), KnownTrunk(world.facts, never), SilentWatcher(), ONE, max_bad=0.5)
    assert [outcome.computed for outcome in done.values()] == [0, 0]


@pytest.mark.parametrize("lost", ["statistics", "v1"])
def test_what_is_lost_of_the_pass_gives_the_same_trunk_again(world: World, tmp_path: Path, lost: str) -> None:
    found = world.find(world.cache)
    shutil.copytree(world.cache / "moments", tmp_path / "moments")
    shutil.rmtree(tmp_path / "moments" / lost)
    assert world.find(tmp_path) == found


def test_the_number_of_workers_changes_no_bit(world: World, tmp_path: Path) -> None:
    assert world.find(tmp_path, workers="2") == world.find(world.cache)


def test_other_training_images_make_another_trunk(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.data, tmp_path / "data")
    for name in ("0002.png", "0004.png"):
        (tmp_path / "data" / "train" / "a" / name).unlink()
    moved = world._replace(data=tmp_path / "data")
    shutil.copytree(world.cache / "moments", tmp_path / "cache" / "moments")
    watcher = SilentWatcher()
    extraction = moved.extraction(tmp_path / "cache")
    other = find_origins(extraction, world.known, watcher, ONE)
    mine = world.find(world.cache)
    assert all(other[res][0] != mine[res][0] for res in SIDES)
    assert not hasattr(watcher, "images")  # every remaining image's moments were taken over: no pass began


@pytest.mark.parametrize(
    "change", [{"mean": "AAAA"}, {"var": "?"}, {"norm": "bn1"}, {"norm": None}, {"mean": None}]
)
def test_altered_statistics_are_refused_when_the_trunk_runs(world: World, change: dict[str, str | None]) -> None:
    weights_sha256, origin = world.find(world.cache)[32]
    _, load = follow_origin(world.known, weights_sha256, {**origin, **change})
    with pytest.raises(CacheError, match="run extract --recalibrate"):
        load()


def test_statistics_of_another_resolution_are_refused_when_the_trunk_runs(world: World) -> None:
    found = world.find(world.cache)
    _, load = follow_origin(world.known, found[32][0], found[64][1])
    with pytest.raises(CacheError, match="they were altered"):
        load()


def test_a_damaged_memo_is_measured_again(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.cache / "moments", tmp_path / "moments")
    for memo in (tmp_path / "moments" / "statistics").iterdir():
        memo.write_bytes(memo.read_bytes()[:50])
    assert world.find(tmp_path) == world.find(world.cache)


def test_a_trunk_without_batch_norms_is_refused_before_anything_runs(world: World, tmp_path: Path) -> None:
    facts = replace(world.facts, name="vit", architecture="timm:test_vit", weights_sha256="1" * 64)
    extraction = build_extraction(FeatureStore(tmp_path / "c"), world.extraction().manifest, facts, Wanted(SIDES))
    with pytest.raises(UsageError, match="found no batch norm in vit"):
        expect_norm(extraction, facts)
    assert not (tmp_path / "c").exists()


@pytest.fixture
def described(world: World, tmp_path: Path) -> dict[str, object]:
    """The trunk of a batchnorm head at 64 px as its file has it."""
    weights = tmp_path / "weights.safetensors"
    save_file(world.trunk.module.state_dict(), weights)
    weights_sha256, origin = world.find(world.cache)[64]
    parts = {"trunk": NAME, "architecture": world.trunk.architecture, "node": "pooled", "weights": str(weights)}
    return {**parts, "weights_sha256": weights_sha256, "precision": "fp32", "recalibrated": origin}


def test_a_heads_file_is_enough_to_have_its_recalibrated_trunk_again(
    world: World, described: dict[str, object], tmp_path: Path
) -> None:
    view = list_views(world.extraction())[1]
    facts, load = find_trunk(described, [view], None, tmp_path / "trunks")
    opened = open_trunk(described, view, None)
    assert {facts.weights_sha256, load().weights_sha256, opened.weights_sha256} == {described["weights_sha256"]}
    norm = opened.module.get_submodule(NORM)
    np.testing.assert_array_equal(norm.running_mean.numpy(), decode(described["recalibrated"], "mean"))


@pytest.mark.parametrize("origin", ["statistics", {}, {"weights_sha256": 1}])
def test_a_heads_file_without_an_original_trunk_is_refused(
    world: World, described: dict[str, object], tmp_path: Path, origin: object
) -> None:
    with pytest.raises(CacheError, match="does not say which trunk"):
        open_trunk({**described, "recalibrated": origin}, list_views(world.extraction())[1], None)


def test_another_original_is_refused(world: World, described: dict[str, object], tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file(load_trunk(NAME, random_seed=1).module.state_dict(), other)
    view = list_views(world.extraction())[1]
    with pytest.raises(CacheError, match="name their file with --weights"):
        open_trunk(described, view, other)
    with pytest.raises(CacheError, match="name their file with --weights"):
        find_trunk(described, [view], other, tmp_path / "trunks")


def test_its_rows_can_be_computed_again_and_its_kind_is_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunks, "load_trunk", lambda name, weights: world.trunk)
    store = FeatureStore(world.cache)
    holdings = find_holdings(store, str(world.data))
    held = [holdings.entry("val", kind + "center", 64) for kind in ("", RECALIBRATED)]
    kinds = [describe_entry(store.entry(sealed.spec), {}, {})["kind"] for sealed in held]
    assert kinds == ["center", "recalibrated center"]
    recompute = Recomputer(store)
    for sealed in held:
        compare_rows(sealed, [0, 1], recompute)


def test_a_recalibrated_trunk_is_not_taken_for_the_published_one(world: World) -> None:
    sketched = sketch_trunk(NAME, None, FeatureStore(world.cache))
    assert sketched.weights_sha256 == world.trunk.weights_sha256

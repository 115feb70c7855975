from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from entries import count_reads

from fixgrid.cache.datasets import list_sources, shorten_source
from fixgrid.cache.errors import CacheError, DataError, UsageError
from fixgrid.cache.holdings import RECALIBRATED, find_holdings
from fixgrid.cache.key import Spec
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.shard import Shard, Status, commit_shard
from fixgrid.cache.store import FeatureStore


def make_rows(n: int, seed: int) -> Rows:
    digests = np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8)
    paths = tuple(b"%d/%d.png" % (seed, i) for i in range(n))
    return Rows(paths, np.full(n, 100, np.int64), digests, np.arange(n, dtype=np.int64) % 2)


def seal(
    store: FeatureStore,
    rows: Rows,
    *,
    res: int = 32,
    trunk: str = "t",
    weights: str = "0",
    node: str = "pooled",
    rule: str = "",
    status: Status = Status.OK,
    made_by: Mapping[str, object] | None = None,
    decode: Mapping[str, object] | None = None,
    **view: object,
) -> None:
    spec = Spec(
        trunk={
            "architecture": trunk,
            "node": node,
            "weights_sha256": weights * 64,
            **({"resampled": rule} if rule else {}),
        },
        view={"kind": "center", "res": res, "resize": "short-side", **view},
        decode=decode or {},
        precision="fp32",
        dtype="float32",
        views=1,
        dim=3,
        rows=len(rows),
        rows_sha256=rows.digest,
    )
    entry = store.entry(spec)
    entry.create(rows)
    features = np.full((len(rows), 1, 3), res, np.float32)
    commit_shard(entry.shards_folder, spec.key, Shard(0, features, np.full(len(rows), status, np.uint8)))
    entry.seal({"trunk": trunk, **(made_by or {})})


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path)


@pytest.fixture
def dogs(store: FeatureStore) -> Manifest:
    manifest = Manifest("dogs", "/dogs", ("a", "b"), {"train": make_rows(6, 1), "val": make_rows(4, 2)})
    write_manifest(store.folder / "data", manifest)
    return manifest


def test_what_is_unambiguous_needs_no_name(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    seal(store, dogs.splits["train"], res=64)
    holdings = find_holdings(store)
    assert holdings.trunk == "t"
    assert holdings.resolutions("train", "center") == [32, 64]
    features = holdings.load("train", "center", 64)
    assert features.X.shape == (6, 1, 3)
    assert features.y.tolist() == [0, 1, 0, 1, 0, 1]


def test_features_are_identified_by_key_and_labels(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    first = find_holdings(store).identify("train", "center", 32)
    rows = dogs.splits["train"]
    relabelled = Rows(rows.paths, rows.sizes, rows.sha256, 1 - rows.labels)
    write_manifest(store.folder / "data", Manifest("dogs", "/dogs", ("a", "b"), {"train": relabelled}))
    again = find_holdings(store).identify("train", "center", 32)
    assert first.split(":")[0] == again.split(":")[0]
    assert first != again


def test_two_trunks_must_be_told_apart(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    seal(store, dogs.splits["train"], trunk="u", weights="1")
    with pytest.raises(UsageError, match="--trunk"):
        find_holdings(store)
    assert find_holdings(store, trunk="u").trunk == "u"


def test_two_weights_of_one_name_are_told_apart_by_their_digests(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    seal(store, dogs.splits["train"], weights="1", made_by={"weights": "w.pt", "called": "tuned"})
    meant = {"t@0000": ("t", "0"), "t": ("t", "0"), "tuned": ("tuned", "1"), "t@1111": ("tuned", "1")}
    for wanted, (label, weights) in meant.items():
        holdings = find_holdings(store, trunk=wanted)
        assert holdings.trunk == label
        assert holdings.entry("train", "center", 32).spec.trunk["weights_sha256"] == weights * 64
    with pytest.raises(CacheError, match=r"extract --data dogs --trunk t --weights w.pt --name tuned .*--res 64"):
        find_holdings(store, trunk="tuned").entry("train", "center", 64)
    seal(store, dogs.splits["train"], weights="2")
    for wanted in ("t", None):
        with pytest.raises(UsageError, match=r"t@00000000, t@22222222.*choose with --trunk"):
            find_holdings(store, trunk=wanted)


def test_kinds_of_features_are_told_apart_and_pooled_is_meant(store: FeatureStore, dogs: Manifest) -> None:
    for node in ("cls", "gem"):
        seal(store, dogs.splits["train"], node=node)
    with pytest.raises(UsageError, match=r"more than one kind of features \(cls, gem\): choose with --features"):
        find_holdings(store)
    assert find_holdings(store, features="gem").features == "gem"
    seal(store, dogs.splits["train"])
    assert find_holdings(store).entry("train", "center", 32).spec.trunk["node"] == "pooled"
    with pytest.raises(CacheError, match="no features of last4; the cache holds cls, gem, pooled"):
        find_holdings(store, features="last4")


def test_a_rule_of_resampling_makes_no_other_trunk(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    seal(store, dogs.splits["train"], res=64, rule="timm 1")
    assert find_holdings(store).resolutions("train", "center") == [32, 64]


def test_two_data_sets_must_be_told_apart(store: FeatureStore, dogs: Manifest) -> None:
    write_manifest(store.folder / "data", Manifest("cats", "/cats", ("a", "b"), {"train": make_rows(3, 9)}))
    with pytest.raises(UsageError, match="cats, dogs"):
        find_holdings(store)


def test_a_name_means_the_folder_that_it_names_from_here(
    store: FeatureStore, dogs: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [tmp_path / place / "dogs" for place in ("a", "b", "c")]
    for n, root in enumerate(roots, 5):
        root.mkdir(parents=True)
        manifest = replace(dogs, root=str(root), splits={"train": make_rows(n, 1)})
        write_manifest(store.folder / "data", manifest)
    for n, place in ((5, roots[0].parent), (6, roots[1].parent), (7, tmp_path)):
        monkeypatch.chdir(place)
        assert len(list_sources(store)["dogs"].splits["train"]) == n


def test_a_data_set_is_known_however_its_folder_is_spelt(
    store: FeatureStore, dogs: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("here/dogs", "here/cats", "there/dogs"):
        (tmp_path / place).mkdir(parents=True)
    write_manifest(store.folder / "data", replace(dogs, root=str(tmp_path / "here/dogs")))
    seal(store, dogs.splits["train"])
    monkeypatch.chdir(tmp_path / "here")
    for spelt in ("dogs", "dogs/", "./dogs", str(tmp_path / "here/dogs")):
        assert find_holdings(store, spelt).manifest.source == "dogs"
    for other in ("cats", "birds"):
        with pytest.raises(CacheError, match=f"no features of {other}"):
            find_holdings(store, other)
    monkeypatch.chdir(tmp_path / "there")
    with pytest.raises(CacheError, match=r"no features of \./dogs"):
        find_holdings(store, "./dogs")


@pytest.mark.parametrize("source", ["dogs", "a/dogs", "../a/dogs/", "/a/dogs"])
def test_a_data_set_is_called_by_the_last_part_of_its_name(source: str) -> None:
    assert shorten_source(source) == "dogs"


def test_the_newest_record_of_a_source_counts(store: FeatureStore, dogs: Manifest) -> None:
    grown = Manifest("dogs", "/dogs", ("a", "b"), {"train": make_rows(7, 1)})
    write_manifest(store.folder / "data", grown)
    assert len(list_sources(store)["dogs"].splits["train"]) == 7


def test_two_views_of_one_kind_must_be_told_apart(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    seal(store, dogs.splits["train"], resize="height")
    with pytest.raises(UsageError, match=r"view\.resize"):
        find_holdings(store)
    entry = find_holdings(store, view={"resize": "height"}).entry("train", "center", 32)
    assert entry.spec.view["resize"] == "height"


def test_a_resampler_that_keys_leave_out_can_be_named(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    seal(store, dogs.splits["train"], resampler="tensor")
    with pytest.raises(UsageError, match=r"choose with .*--resampler"):
        find_holdings(store)
    for name in ("pillow", "tensor"):
        seen = find_holdings(store, view={"resampler": name}).entry("train", "center", 32).spec.view
        assert seen.get("resampler", "pillow") == name


IMAGENET = {"crop_ratio": "0.875", "mean": ["0.485", "0.456", "0.406"], "std": ["0.229", "0.224", "0.225"]}


def test_a_crop_mode_can_be_named_and_leaves_random_crops_alone(store: FeatureStore, dogs: Manifest) -> None:
    train = dogs.splits["train"]
    seal(store, train, crop_ratio="1.0")
    seal(store, train, crop_ratio="1.0", crop_mode="squash")
    seal(store, train, kind="train")
    with pytest.raises(UsageError, match=r"view\.crop_mode .*: choose with --crop-mode\."):
        find_holdings(store)
    for name in ("center", "squash"):
        holdings = find_holdings(store, view={"crop_mode": name})
        assert holdings.entry("train", "center", 32).spec.view.get("crop_mode", "center") == name
        assert holdings.resolutions("train", "train") == [32]


def test_a_normalisation_can_be_named_however_it_is_written(store: FeatureStore, dogs: Manifest) -> None:
    half = {**IMAGENET, "mean": ["0.5"] * 3}
    for view in (IMAGENET, half, {**half, "crop_ratio": "1.0"}):
        seal(store, dogs.splits["train"], **view)
    with pytest.raises(UsageError, match="choose with "):
        find_holdings(store)
    with pytest.raises(UsageError, match=r"twice \(view.crop_ratio .*: choose with --crop-ratio\."):
        find_holdings(store, view={"mean": ("0.50", ".5", "5e-1")})
    found = find_holdings(store, view={"mean": ("0.5",) * 3, "crop_ratio": "1"})
    assert found.entry("train", "center", 32).spec.view == {
        **half, "crop_ratio": "1.0", "kind": "center", "res": 32, "resize": "short-side"
    }  # fmt: skip
    assert find_holdings(store, view={"mean": (0.485, 0.456, 0.406)})


def test_pixels_that_were_normalised_in_two_ways_are_told_apart(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"], **IMAGENET)
    seal(store, dogs.splits["val"], **{**IMAGENET, "std": ["0.5"] * 3})
    with pytest.raises(UsageError, match=r"several std \(.*0\.5, 0\.5, 0\.5.*\): choose with --std\."):
        find_holdings(store)
    assert find_holdings(store, view={"std": ("0.5",) * 3}).resolutions("train", "center") == []


def test_views_that_no_option_tells_apart_need_another_cache(store: FeatureStore, dogs: Manifest) -> None:
    for jitter in ("full", "torch"):
        seal(store, dogs.splits["train"], kind="train", jitter=jitter)
    with pytest.raises(UsageError, match="extract into another --cache"):
        find_holdings(store)


def test_a_missing_resolution_names_the_command(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    with pytest.raises(CacheError, match=r"extract --data dogs --trunk t .*--res 224"):
        find_holdings(store).load("train", "center", 224)


def test_an_empty_cache_names_the_command(store: FeatureStore) -> None:
    with pytest.raises(CacheError, match=r"run python cli\.py extract first"):
        find_holdings(store)


def recalibrate(store: FeatureStore, dogs: Manifest, weights: str, created: int = 1, **origin: object) -> None:
    """Features of val by the recalibrated trunk."""
    stems = {"weights_sha256": "0" * 64, "rows_sha256": dogs.splits["train"].digest, "res": 32, **origin}
    seal(store, dogs.splits["val"], weights=weights, made_by={"recalibrated": stems, "created": created})


def test_a_recalibrated_trunk_is_no_second_trunk(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["val"])
    recalibrate(store, dogs, "1")
    holdings = find_holdings(store)
    assert holdings.resolutions("val", "center") == [32]
    weights = [holdings.entry("val", kind, 32).spec.trunk["weights_sha256"][0] for kind in KINDS]
    assert weights == ["0", "1"]
    assert holdings.identify("val", KINDS[0], 32) != holdings.identify("val", KINDS[1], 32)


KINDS = ("center", RECALIBRATED + "center")


@pytest.mark.parametrize(
    "origin", [{"weights_sha256": "9" * 64}, {"rows_sha256": "9" * 64}, {"res": 64}], ids=["trunk", "rows", "res"]
)
def test_features_recalibrated_for_another_cell_are_left_aside(
    store: FeatureStore, dogs: Manifest, origin: dict[str, object]
) -> None:
    seal(store, dogs.splits["val"])
    recalibrate(store, dogs, "1", **origin)
    with pytest.raises(CacheError, match=r"extract .*--recalibrate --res 32"):
        find_holdings(store).entry("val", KINDS[1], 32)


def test_of_statistics_measured_twice_the_newest_count(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["val"])
    for weights, created in (("1", 5), ("2", 9), ("3", 7)):
        recalibrate(store, dogs, weights, created)
    assert find_holdings(store).entry("val", KINDS[1], 32).spec.trunk["weights_sha256"] == "2" * 64


def test_two_hundred_entries_cost_a_read_of_each_spec_and_each_seal(
    store: FeatureStore, dogs: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for res in range(8, 108):
        for rows in dogs.splits.values():
            seal(store, rows, res=res)
    reads = count_reads(monkeypatch)
    assert len(find_holdings(store).entries) == 200
    counted = [reads[path] for path in store.folder.glob("??/*/*.json")]
    assert counted == [1] * 400


def test_features_of_two_scales_are_told_apart(store: FeatureStore, dogs: Manifest) -> None:
    for decode in ({"16 bit": "/257"}, {"16 bit": "0:4095"}):
        seal(store, dogs.splits["train"], decode=decode)
    with pytest.raises(UsageError, match=r"twice \(decode.16 bit .*\): choose with --scale"):
        find_holdings(store)
    for scale, high in (("0:4095", 4095), ("0:65535", 65535)):
        assert find_holdings(store, view={"scale": scale}).scale.high == high


def test_splits_seen_on_two_scales_are_refused(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["train"])
    seal(store, dogs.splits["val"], decode={"16 bit": "0:4095"})
    with pytest.raises(UsageError, match=r"several scale \(0:.* and 0:.*\): choose with --scale"):
        find_holdings(store)


def test_what_is_lost_of_a_place_is_refused_there_alone(store: FeatureStore, dogs: Manifest) -> None:
    seal(store, dogs.splits["val"])
    seal(store, dogs.splits["val"], res=64, status=Status.NONFINITE)
    holdings = find_holdings(store)
    holdings.expect([("val", "center", 32)])
    with pytest.raises(DataError, match=r"no usable image of the split val: all 4 files.* other weights"):
        holdings.expect([("val", "center", 32), ("val", "center", 64)])
    assert len(holdings.load("val", "center", 64).row) == 0

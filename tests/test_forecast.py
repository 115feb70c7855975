from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from stub import DIM, TRUNK, center, run_stub, train
from zoo import list_manifest, write_photos

from fixgrid.cache.store import FeatureStore
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.forecast import (
    EPOCHS,
    Rates,
    Work,
    choose_speed,
    count_gmacs,
    count_training_gmacs,
    count_work,
    forecast_seconds,
    measure_rates,
)
from fixgrid.embed.plan import Goal
from fixgrid.embed.speed import Speed

MACS = {100: 2 * 10**9, 200: 8 * 10**9}
SPEED = Speed(
    host="here",
    device="cpu",
    backend="onnxruntime",
    weights_sha256="0" * 64,
    precision="fp32",
    crops={100: 20, 200: 10},
    decoded=10,
    stages={"read": 1.0, "decode": 4.0, "view": 3.0, "trunk": 60.0, "write": 0.5},
    workers=2,
    decoders=0,
    wall_s=36.0,
    created=1.0,
)


def goals_of(extraction: Extraction) -> list[Goal]:
    return [
        Goal(split, extraction.manifest.splits[split], view, entry, entry.find_missing())
        for (split, view, _), entry in extraction.entries.items()
    ]


def test_work_is_what_the_cache_lacks(tmp_path: Path) -> None:
    write_photos(tmp_path / "data", 10)
    store, manifest = FeatureStore(tmp_path / "cache"), list_manifest(tmp_path / "data")
    run_stub(Extraction(store, manifest, TRUNK, {"train": [center(8)]}))
    work = count_work(goals_of(Extraction(store, manifest, TRUNK, {"train": [center(8), train(8), center(16)]})))
    assert (work.images, work.keys, work.cached, work.decode) == ({"train": 10}, 3, 1, 10)
    assert (work.crops, work.all_crops) == ({8: 20, 16: 10}, {8: 30, 16: 10})
    assert work.sealed_bytes == 30 * DIM * 4
    assert work.peak_bytes == 2 * work.sealed_bytes
    assert not list(store.folder.glob("*/*/shards/*"))


def test_an_image_is_decoded_once_for_all_its_views(tmp_path: Path) -> None:
    write_photos(tmp_path / "data", 10)
    extraction = Extraction(
        FeatureStore(tmp_path / "cache"), list_manifest(tmp_path / "data"), TRUNK, {"train": [center(8), train(8)]}
    )
    assert count_work(goals_of(extraction)).decode == 10


def test_multiply_adds_are_summed_over_crops() -> None:
    assert count_gmacs({100: 3, 200: 1}, MACS) == 14.0


def test_training_every_cell_runs_the_trunk_in_every_epoch() -> None:
    once = count_training_gmacs({"train": 7, "val": 2, "test": 3}, {100: 10**9})
    assert once == EPOCHS * 7 + 5
    # Two resolutions are four cells: each trains at one of them and is scored at one.
    assert count_training_gmacs({"train": 7, "val": 2, "test": 3}, MACS) == 2 * (2 + 8) * once


def test_rates_are_per_image_crop_and_gmac() -> None:
    rates = measure_rates(SPEED, MACS)
    assert (rates.decode_s, rates.view_s) == (0.5, 0.1)
    assert rates.gmac_s == 60 / (20 * 2 + 10 * 8)
    assert rates.start_s == 36 - (5 + 3 + 60) / 2


def test_the_same_work_is_forecast_to_take_as_long_as_it_did() -> None:
    work = Work({"train": 10}, 2, 0, 10, SPEED.crops, SPEED.crops, 0, 0)
    assert forecast_seconds(work, measure_rates(SPEED, MACS), MACS, 2, 0) == pytest.approx(36)
    assert forecast_seconds(work, measure_rates(SPEED, MACS), MACS, 4, 0) == pytest.approx(2 + 17)


def test_decoding_threads_work_beside_the_trunk() -> None:
    work = Work({"train": 10}, 2, 0, 10, {100: 1}, {100: 1}, 0, 0)
    rates = Rates(decode_s=8.0, view_s=0.0, gmac_s=1.0, start_s=1.0)
    assert forecast_seconds(work, rates, MACS, 1, 4) == 1 + 20
    assert forecast_seconds(work, rates._replace(gmac_s=50.0), MACS, 1, 4) == 1 + 100


def test_nothing_left_takes_no_time() -> None:
    assert forecast_seconds(Work({}, 2, 2, 0, {100: 0}, {100: 9}, 0, 0), Rates(1, 1, 1, 5), MACS, 1, 0) == 0


def test_only_a_speed_of_the_same_trunk_device_and_backend_counts() -> None:
    asked = {"device": "cpu", "backend": "auto", "weights_sha256": "0" * 64, "precision": "fp32", "res": [100]}
    near, newer = replace(SPEED, crops={100: 1}), SPEED
    assert choose_speed([newer, near], **asked) is near
    assert choose_speed([newer], **asked) is newer
    assert choose_speed([newer, near], **{**asked, "res": [100, 180]}) is newer
    assert choose_speed([newer, near], **{**asked, "res": [120]}) is near
    for other in ({"device": "cuda"}, {"backend": "torch"}, {"weights_sha256": "1"}, {"precision": "bf16"}):
        assert choose_speed([newer, near], **{**asked, **other}) is None

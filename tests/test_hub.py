"""timm's trunks by folders, by repositories of a hub, and by names pasted from its pages."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.trunks import hub
from fixgrid.embed.trunks.identity import find_weights, identify_trunk, recall_trunk
from fixgrid.embed.trunks.library import build_module, find_source, respell
from fixgrid.embed.trunks.trunk import count_costs, load_trunk

Save = Callable[..., torch.nn.Module]


@pytest.fixture(scope="session")
def save() -> Save:
    """Writes a folder as timm does, with a classifier of 7 classes; gives the module without it."""
    import timm
    from timm.models import save_for_hf

    def write(folder: Path, name: str, safe: bool = True, **args: object) -> torch.nn.Module:
        torch.manual_seed(0)
        module = timm.create_model(name, num_classes=7, **args).eval()
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(part.running_mean)
        save_for_hf(module, folder, safe_serialization=safe)
        module.reset_classifier(0)
        return module

    return write


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, which does not answer."""

    def fail() -> None:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "expect_hub", fail)
    return tmp_path / "hub"


def keep(cache: Path, repo: str, folder: Path, revision: str = "main", commit: str = "0a" * 20) -> Path:
    """A folder as the hub's client would have kept it."""
    place = cache / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / revision).write_text(commit)
    return Path(shutil.copytree(folder, place / "snapshots" / commit))


@pytest.mark.parametrize(
    ("pasted", "name"),
    [
        ("timm/vit_tiny_patch16_224.augreg_in21k", "timm:vit_tiny_patch16_224.augreg_in21k"),
        ("timm:timm/resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("https://hub.example/timm/resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("https://hub.example/someone/their-model/", "hf-hub:someone/their-model"),
        ("someone/their-model", "hf-hub:someone/their-model"),
        ("someone/their-model@v1.0", "hf-hub:someone/their-model@v1.0"),
        ("timm/resnet18.a1_in1k@refs", "hf-hub:timm/resnet18.a1_in1k@refs"),
        ("hf_hub:timm/resnet18.a1_in1k", "hf-hub:timm/resnet18.a1_in1k"),
        ("resnet18", "resnet18"),
        ("torchvision:resnet18", "torchvision:resnet18"),
        ("trunks/mine.onnx", "trunks/mine.onnx"),
        ("trunks/mine.py:build", "trunks/mine.py:build"),
        ("open_clip:ViT-B-32/openai", "open_clip:ViT-B-32/openai"),
        ("local-dir:/a/../b", "local-dir:/b"),
    ],
)
def test_a_pasted_name_is_written_out(pasted: str, name: str) -> None:
    assert respell(pasted) == name
    assert respell(name) == name


def test_a_folder_is_known_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert respell("local-dir:a/b") == f"local-dir:{tmp_path}/a/b"
    assert respell("transformers:a/b") == "transformers:a/b"
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert respell("transformers:a/b") == f"transformers:{tmp_path}/a/b"


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("model", ["test_efficientnet", "test_vit3", "test_vit"])
def test_a_folder_is_the_trunk_of_its_name(tmp_path: Path, save: Save, model: str, safe: bool) -> None:
    """Equal weights give equal keys, wherever they come from."""
    from safetensors.torch import save_file

    module = save(tmp_path / "here", model, safe)
    trunk = load_trunk(f"local-dir:{tmp_path / 'here'}")
    assert trunk.architecture == f"timm:{model}"
    assert trunk.weights_file is not None
    res = trunk.preprocess.native_res
    batch = torch.randn(2, 3, res, res)
    with torch.inference_mode():
        torch.testing.assert_close(trunk.module(batch), module(batch), atol=1e-6, rtol=0)
    save_file(module.state_dict(), tmp_path / "headless.safetensors")
    named = load_trunk(f"timm:{model}", weights=tmp_path / "headless.safetensors")
    assert (trunk.weights_sha256, trunk.preprocess, trunk.dim) == (
        named.weights_sha256,
        named.preprocess,
        named.dim,
    )


def test_arguments_are_part_of_the_architecture(tmp_path: Path, save: Save) -> None:
    module = save(tmp_path, "test_vit3", img_size=96, act_layer="relu")
    trunk = load_trunk(f"local-dir:{tmp_path}")
    assert trunk.architecture == 'timm:test_vit3{"act_layer":"relu","img_size":[96,96]}'
    assert trunk.preprocess.native_res == 96
    batch = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(trunk.module(batch), module(batch), atol=1e-6, rtol=0)
    again = build_module(trunk.architecture).module
    again.load_state_dict(trunk.module.state_dict())
    assert count_costs(f"local-dir:{tmp_path}").parameters == sum(p.numel() for p in again.parameters())


def test_preprocessing_is_the_folders_own(tmp_path: Path, save: Save) -> None:
    save(tmp_path, "test_efficientnet")
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    config["pretrained_cfg"] |= {"mean": [0.1, 0.2, 0.3], "interpolation": "bilinear", "crop_pct": 0.9}
    file.write_text(json.dumps(config))
    found = find_source(f"local-dir:{tmp_path}").preprocess
    assert (found.mean, found.interpolation, found.crop_ratio) == (("0.1", "0.2", "0.3"), "bilinear", "0.9")


def test_a_checkpoint_is_converted_as_timm_does(tmp_path: Path, save: Save) -> None:
    """Positions of another image size are resampled by timm's own filter."""
    import timm
    from safetensors.torch import load_file, save_file

    save(tmp_path, "test_vit3")
    state = load_file(tmp_path / "model.safetensors")
    larger = timm.create_model("test_vit3", num_classes=7, img_size=224).state_dict()
    save_file({**state, "pos_embed": larger["pos_embed"]}, tmp_path / "model.safetensors")
    positions = load_trunk(f"local-dir:{tmp_path}").module.state_dict()["pos_embed"]
    assert positions.shape == state["pos_embed"].shape


def test_a_repository_in_the_cache_needs_no_network(tmp_path: Path, cache: Path, save: Save) -> None:
    save(tmp_path / "here", "test_efficientnet")
    with pytest.raises(UsageError, match=r"cannot fetch config.json of someone/x \(no network\): check the name"):
        find_source("hf-hub:someone/x")
    keep(cache, "someone/x", tmp_path / "here")
    trunk = load_trunk("someone/x")
    assert trunk.name == "hf-hub:someone/x"
    assert trunk.weights_sha256 == load_trunk(f"local-dir:{tmp_path / 'here'}").weights_sha256
    assert find_weights("hf_hub:someone/x")
    with pytest.raises(UsageError, match=r"cannot fetch config.json of someone/x@other"):
        find_source("someone/x@other")


def test_weights_that_are_not_here_are_said_to_be_missing(tmp_path: Path, cache: Path, save: Save) -> None:
    save(tmp_path / "here", "test_efficientnet")
    (keep(cache, "someone/x", tmp_path / "here") / "model.safetensors").unlink()
    assert not find_weights("hf-hub:someone/x")
    with pytest.raises(UsageError, match=r"cannot fetch model.safetensors of someone/x \(no network\)"):
        load_trunk("hf-hub:someone/x")
    (tmp_path / "here" / "model.safetensors").unlink()
    with pytest.raises(
        UsageError, match=r"found no weights in .*; expected model.safetensors or pytorch_model.bin"
    ):
        load_trunk(f"local-dir:{tmp_path / 'here'}")


def test_a_trunk_of_the_hub_is_remembered_by_its_file(tmp_path: Path, cache: Path, save: Save) -> None:
    save(tmp_path / "old", "test_efficientnet")
    place = keep(cache, "someone/x", tmp_path / "old")
    first = identify_trunk("someone/x", None, tmp_path / "memo").facts
    assert recall_trunk("hf-hub:someone/x", None, tmp_path / "memo") == first

    config = json.loads((place / "config.json").read_text())
    config["pretrained_cfg"]["crop_pct"] = 0.5
    (place / "config.json").write_text(json.dumps(config))
    assert recall_trunk("someone/x", None, tmp_path / "memo") is None, "another config.json is another trunk"
    assert identify_trunk("someone/x", None, tmp_path / "memo").facts.preprocess.crop_ratio == "0.5"

    keep(cache, "someone/x", tmp_path / "old", commit="0b" * 20)
    assert recall_trunk("someone/x", None, tmp_path / "memo") is None, "the hub has a newer one"


def test_timms_own_downloads_are_remembered(tmp_path: Path, cache: Path, save: Save) -> None:
    save(tmp_path / "here", "test_efficientnet")
    import timm

    cfg = timm.get_pretrained_cfg("test_efficientnet")
    state = timm.create_model("test_efficientnet").state_dict()
    from safetensors.torch import save_file

    save_file(state, tmp_path / "here" / "model.safetensors")
    keep(cache, cfg.hf_hub_id, tmp_path / "here")
    known = identify_trunk("timm:test_efficientnet", None, tmp_path / "memo")
    file = known.load().weights_file
    assert file is not None
    assert file.is_relative_to(cache)
    assert recall_trunk("timm:test_efficientnet", None, tmp_path / "memo") == known.facts


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "found no .*config.json; expected a folder that timm.models.save_for_hf wrote"),
        ("{", "config.json is not what timm writes"),
        (
            '{"pretrained_cfg": {}}',
            "config.json is not what timm writes .*; expected architecture and pretrained_cfg",
        ),
        ('{"architecture": "resnot", "pretrained_cfg": {}}', "config.json is not what timm writes .*resnot"),
        ('{"architecture": "resnet18", "pretrained_cfg": {"mean": [1]}}', "a model of 3 channels|expected 3"),
        ('{"model_type": "dinov2"}', "found a transformers model in .*: give transformers:"),
        ('{"architecture": "resnet18", "model_args": {"in_chans": 1}, "pretrained_cfg": {}}', "of 1 channels"),
    ],
)
def test_another_config_is_one_line(tmp_path: Path, config: str | None, message: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises((UsageError, DataError), match=message) as caught:
        find_source(f"local-dir:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_weights_of_another_model_are_one_line(tmp_path: Path, save: Save) -> None:
    from safetensors.torch import save_file

    save(tmp_path, "test_efficientnet")
    save_file({"some.weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(
        DataError, match=r"model.safetensors does not fit timm:test_efficientnet, which its"
    ) as caught:
        load_trunk(f"local-dir:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_nothing_in_a_weights_file_is_executed(tmp_path: Path, save: Save) -> None:
    save(tmp_path, "test_efficientnet", False)
    torch.save({"a": Path}, tmp_path / "pytorch_model.bin")
    with pytest.raises(DataError, match="is not a plain state dict"):
        load_trunk(f"local-dir:{tmp_path}")


@pytest.mark.parametrize(("library", "package"), [("open_clip", "open_clip"), ("transformers", "transformers")])
def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch, library: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"found no working {library} .*: pip install 'fixgrid\[{library}\]'"):
        find_source(f"{library}:anything")

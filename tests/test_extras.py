"""Trunks of open_clip and transformers, where these are installed: from a folder to an exported classifier."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from zoo import write_splits

import fixgrid
from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.view import read_view
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.trunks.identity import find_weights, recall_trunk
from fixgrid.embed.trunks.library import find_source, open_library
from fixgrid.embed.trunks.preprocess import Preprocess
from fixgrid.embed.trunks.sizes import expect_sizes, fit_module
from fixgrid.embed.trunks.trunk import Trunk, load_trunk
from fixgrid.embed.views import render_view
from fixgrid.heads.artifact import load_head

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 56,
    "patch_size": 14,
}
TEXT = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 99}
MAPS = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
MODELS: dict[str, dict[str, Any]] = {
    "vit": SMALL,
    "deit": SMALL,
    "vit_msn": SMALL,
    "ijepa": SMALL,
    "dinov2": SMALL,
    "dinov2_with_registers": SMALL,
    "dinov3_vit": SMALL | {"num_register_tokens": 4},
    "dinov3_convnext": MAPS,
    "clip": {"vision_config": SMALL, "text_config": TEXT | {"hidden_size": 16}},
    "clip_vision_model": SMALL,
    "siglip": {"vision_config": SMALL, "text_config": TEXT | {"hidden_size": 32}},
    "beit": SMALL | {"use_relative_position_bias": True, "use_mean_pooling": True},
    "swin": {"image_size": 56, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2]},
    "swinv2": {"image_size": 56, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2]},
    "convnext": MAPS,
    "convnextv2": MAPS,
    "resnet": MAPS | {"embedding_size": 8},
}
TOWER = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 16, "patch_size": 16},
}

Write = Callable[..., Any]


@pytest.fixture
def transformers() -> Any:
    return pytest.importorskip("transformers")


@pytest.fixture
def write_model(transformers: Any) -> Write:
    """Writes a folder as `save_pretrained` does, of random weights, and gives the model."""

    def write(folder: Path, kind: str, **options: Any) -> Any:
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **MODELS[kind])).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.2)
        model.save_pretrained(folder, **options)
        transformers.ViTImageProcessor(size={"height": 56, "width": 56}).save_pretrained(folder)
        return model

    return write


@pytest.fixture
def open_clip() -> Any:
    return pytest.importorskip("open_clip")


@pytest.fixture
def write_tower(open_clip: Any) -> Write:
    """Writes a folder as open_clip does, of random weights, and gives the whole model."""
    from safetensors.torch import save_file

    def write(folder: Path) -> Any:
        torch.manual_seed(0)
        text = {"width": 16, "heads": 2, "layers": 1, "context_length": 8, "vocab_size": 99}
        model = open_clip.CLIP(**TOWER, text_cfg=text).eval()
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: value.contiguous() for name, value in model.state_dict().items()},
            folder / "open_clip_model.safetensors",
        )
        look = {
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.2, 0.2],
            "interpolation": "bilinear",
            "resize_mode": "shortest",
        }
        config = {"model_cfg": {**TOWER, "text_cfg": text}, "preprocess_cfg": look}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        return model

    return write


def run_at(trunk: Trunk, res: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return torch.no_grad()(trunk.at(res))


@pytest.mark.parametrize("kind", MODELS)
def test_a_models_features_are_transformers_own(tmp_path: Path, write_model: Write, kind: str) -> None:
    model: Any = write_model(tmp_path, kind)
    whole, model = model, getattr(model, "vision_model", model)
    trunk = load_trunk(f"transformers:{tmp_path}")
    assert trunk.architecture.startswith(f"transformers:{model.config.model_type}{{")
    assert trunk.weights_file == tmp_path / "model.safetensors"
    for res in (56, 84):
        batch = torch.randn(2, 3, res, res)
        ask = {"interpolate_pos_encoding": True} if trunk.preprocess.fixed_size and res != 56 else {}
        with torch.inference_mode():
            given = model(pixel_values=batch, **ask)
        pooled = getattr(given, "pooler_output", None)
        if kind in ("vit", "deit", "vit_msn"):
            pooled = given.last_hidden_state[:, 0]  # the pooler is not of the checkpoint
        elif kind == "ijepa":
            pooled = given.last_hidden_state.mean(1)
        found = run_at(trunk, res)(batch)
        assert found.shape == (2, trunk.dim)
        torch.testing.assert_close(found, pooled.flatten(1), atol=1e-5, rtol=1e-5)
    assert len(trunk.module.state_dict()) <= len(whole.state_dict())


def test_sizes_between_patches_are_refused_with_the_nearest(tmp_path: Path, write_model: Write) -> None:
    for kind in ("vit", "dinov2"):
        write_model(tmp_path / kind, kind)
        source = find_source(f"transformers:{tmp_path / kind}")
        with pytest.raises(UsageError, match=r"found 60 px for x, .*patches are 14 px.*nearest: --res 56 or 70"):
            expect_sizes("x", source.architecture, source.preprocess, [56, 84, 60])


@pytest.mark.parametrize(
    ("processor", "options", "expected"),
    [
        ("ViTImageProcessor", {"size": {"height": 96, "width": 96}}, ("bilinear", "1.0", 96, "squash")),
        (
            "BitImageProcessor",
            {"size": {"shortest_edge": 256}, "crop_size": 224},
            ("bicubic", "0.875", 224, "center"),
        ),
        (
            "ConvNextImageProcessor",
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
            ("bicubic", "0.875", 224, "center"),
        ),
        (
            "ConvNextImageProcessor",
            {"size": {"shortest_edge": 384}, "crop_pct": 0.875},
            ("bicubic", "1.0", 384, "squash"),
        ),
    ],
)
def test_preprocessing_is_the_processors(
    tmp_path: Path, transformers: Any, write_model: Write, processor: str, options: Any, expected: Any
) -> None:
    write_model(tmp_path, "dinov2")
    look = getattr(transformers, processor)(image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7], **options)
    look.save_pretrained(tmp_path)
    found = find_source(f"transformers:{tmp_path}").preprocess
    *size, mode = expected
    assert found == Preprocess(("0.1", "0.2", "0.3"), ("0.5", "0.6", "0.7"), *size, crop_mode=mode)


def test_weights_in_parts_and_in_torchs_format_are_the_same(tmp_path: Path, write_model: Write) -> None:
    model = write_model(tmp_path / "one", "dinov2")
    write_model(tmp_path / "parts", "dinov2", max_shard_size="20KB")
    write_model(tmp_path / "bin", "dinov2")
    (tmp_path / "bin" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "bin" / "pytorch_model.bin")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    trunks = [load_trunk(f"transformers:{tmp_path / name}") for name in ("one", "parts", "bin")]
    assert len({(trunk.weights_sha256, trunk.architecture) for trunk in trunks}) == 1


def test_another_folder_of_transformers_is_one_line(tmp_path: Path, transformers: Any, write_model: Write) -> None:
    from safetensors.torch import save_file

    def expect(message: str) -> None:
        with pytest.raises((UsageError, DataError), match=message) as caught:
            load_trunk(f"transformers:{tmp_path}")
        assert "\n" not in str(caught.value)

    expect(r"found no config.json in .*; expected a folder that save_pretrained wrote")
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    expect("found a timm model in .*: give local-dir:")
    transformers.BertConfig().save_pretrained(tmp_path)
    expect("found a model of type bert in .*; expected one of vit, ")
    (tmp_path / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}')
    (tmp_path / "mine.py").write_text("raise SystemExit('run')")
    expect("config.json is not that of a vision model of transformers")
    write_model(tmp_path, "dinov2")
    (tmp_path / "preprocessor_config.json").unlink()
    expect("found no preprocessor_config.json or processor_config.json in")
    write_model(tmp_path, "dinov2")
    save_file({"some.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    expect("model.safetensors lacks .* tensors of dinov2")
    torch.save({"a": Path}, tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    expect("is not a plain state dict")


def test_a_towers_features_are_open_clips_own(tmp_path: Path, open_clip: Any, write_tower: Write) -> None:
    model = write_tower(tmp_path)
    trunk = load_trunk(f"open_clip:local-dir:{tmp_path}")
    assert trunk.preprocess == Preprocess(
        ("0.5", "0.4", "0.3"), ("0.2", "0.2", "0.2"), "bilinear", "1.0", 64, fixed_size=True
    )
    assert trunk.dim == 64
    both = trunk.take(["pooled", "projected", "cls", "last2"])
    assert both.dim == 64 + 24 + 64 + 128
    for res in (64, 96):
        batch = torch.randn(2, 3, res, res)
        with torch.no_grad():
            if res != 64:
                text = {"width": 16, "heads": 2, "layers": 1, "context_length": 8, "vocab_size": 99}
                tower = {**TOWER, "vision_cfg": {**TOWER["vision_cfg"], "image_size": res}}
                other = open_clip.CLIP(**tower, text_cfg=text).eval()
                open_clip.load_checkpoint(other, str(tmp_path / "open_clip_model.safetensors"))
                model = other
            wanted = model.encode_image(batch)
        found = run_at(both, res)(batch)
        torch.testing.assert_close(found[:, 64:88], wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found[:, :64] @ model.visual.proj, wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found[:, -64:], found[:, :64], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["ViT-S-32-alt", "RN50", "MobileCLIP2-S0"])
def test_a_tower_of_each_kind_takes_weights_of_a_file(tmp_path: Path, open_clip: Any, name: str) -> None:
    """open_clip's own, OpenAI's ResNet, and timm's; the text tower's tensors are left out."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model(name, pretrained_text=False).eval()
    file = tmp_path / "w.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    trunk = load_trunk(f"open_clip:{name}", weights=file)
    res = trunk.preprocess.native_res
    batch = torch.randn(1, 3, res, res)
    module: Any = trunk.module
    with torch.inference_mode():
        torch.testing.assert_close(module.project(module(batch)), model.encode_image(batch), atol=1e-5, rtol=1e-5)
    if name == "RN50":
        with pytest.raises(ValueError, match="its attention pool is cut for one size"):
            fit_module(module, trunk.architecture, 2 * res)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("ViT-B-23/openai", r"open_clip has no model ViT-B-23: did you mean .*ViT-B-32"),
        ("ViT-B-32/opanai", r"open_clip has no weights ViT-B-32/opanai: choose from .*laion2b"),
        ("ViT-B-32/openai", r"trained with QuickGELU; give open_clip:ViT-B-32-quickgelu/openai"),
        ("local-dir:/nowhere", r"found no /nowhere/open_clip_config.json"),
    ],
)
def test_another_name_of_open_clip_is_one_line(open_clip: Any, model: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_source(f"open_clip:{model}")


def test_a_tag_of_open_clip_says_its_preprocessing(
    open_clip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    source = find_source("open_clip:ViT-B-16-SigLIP/webli")
    look = source.preprocess
    assert (look.mean, look.interpolation, look.crop_mode) == (("0.5", "0.5", "0.5"), "bicubic", "squash")
    assert source.weights == "open_clip:ViT-B-16-SigLIP/webli"
    assert not find_weights("open_clip:ViT-B-16-SigLIP/webli")


@pytest.mark.parametrize("library", ["transformers", "open_clip"])
def test_from_a_folder_to_an_exported_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, library: str
) -> None:
    import onnxruntime

    if library == "transformers":
        request.getfixturevalue("write_model")(tmp_path / "model", "vit")
        name, sides = f"transformers:{tmp_path / 'model'}", [56, 84]
    else:
        request.getfixturevalue("write_tower")(tmp_path / "model")
        name, sides = f"open_clip:local-dir:{tmp_path / 'model'}", [64, 96]
    write_splits(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    fixgrid.extract("data", trunk=name, res=sides, train_views=1, workers=1)
    assert recall_trunk(name, None, tmp_path / "features" / "trunks") is not None
    assert len(fixgrid.grid().cells) == 4
    trunk = load_trunk(name)
    for res in sides:
        kept = fixgrid.fit_head(pairs=[(res, res)], out=f"head{res}")
        assert kept is not None
        found = fixgrid.predict(f"head{res}", "data/test", workers=1).predictions
        fixgrid.export(f"head{res}", "onnx", f"net{res}.onnx")
        session = onnxruntime.InferenceSession(f"net{res}.onnx")
        view = read_view(load_head(Path(f"head{res}")).view)
        crops = [render_view(decode_rgb(Path(item.path.decode()).read_bytes()), view, b"")[0] for item in found]
        (given,) = session.run(None, {"pixels": np.stack(crops)})
        np.testing.assert_allclose(given.max(1), [item.top[0][1] for item in found], atol=1e-4)
        fixgrid.export(f"head{res}", "torch", f"net{res}.pt2")
    assert isinstance(trunk.at(sides[1]), nn.Module)
    with pytest.raises(UsageError, match="cannot be exported as a state dict"):
        fixgrid.export(f"head{sides[0]}", "safetensors", "net")
    assert open_library(library).rule == f"{library} 1"

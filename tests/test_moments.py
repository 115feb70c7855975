"""Moments of the last batch norm's input, and a trunk whose statistics they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from stub import center
from torch import nn

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.embed.backends.moments import OpenMoments, find_last_norm
from fixgrid.embed.backends.pixels import PixelTrunk
from fixgrid.embed.backends.probe import make_probe
from fixgrid.embed.trunks.library import build_meta_module
from fixgrid.embed.trunks.recalibrated import replace_statistics
from fixgrid.embed.trunks.trunk import Trunk, load_trunk

TRUNKS = {"timm:test_efficientnet": "bn2", "torchvision:resnet18": "layer4.1.bn2"}


@pytest.fixture(scope="module", params=TRUNKS)
def trunk(request: pytest.FixtureRequest) -> Trunk:
    return load_trunk(request.param, random_seed=0)


def watch(trunk: Trunk, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the last batch norm is given, and what its own arithmetic makes of it: float64 (B, C, cells) each."""
    seen: list[torch.Tensor] = []
    norm = trunk.module.get_submodule(TRUNKS[trunk.name])
    assert isinstance(norm, nn.BatchNorm2d)
    hook = norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        PixelTrunk(trunk.module, trunk.preprocess)(torch.from_numpy(pixels.copy()))
        out = nn.functional.batch_norm(
            seen[0], norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
    hook.remove()
    given, made = (part.double().flatten(2).numpy() for part in (seen[0], out))
    return given, made


def open_moments(trunk: Trunk, folder: Path, threads: int = 1) -> OpenMoments:
    weights = folder / "trunk.safetensors"
    save_file(trunk.module.state_dict(), weights)
    norm = TRUNKS[trunk.name]
    return OpenMoments(trunk.architecture, trunk.preprocess, str(weights), norm, "cpu", threads)


def test_the_last_batch_norm_is_the_one_applied_last(trunk: Trunk) -> None:
    name, channels = find_last_norm(trunk.name, trunk.module, 64)
    assert name == TRUNKS[trunk.name]
    assert trunk.module.get_submodule(name).num_features == channels
    assert find_last_norm(trunk.name, build_meta_module(trunk.architecture).module, 64) == (name, channels)
    assert not any(part._forward_pre_hooks for part in trunk.module.modules())


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_convnext"])
def test_a_trunk_without_batch_norms_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"found no batch norm in {name}, expected"):
        find_last_norm(name, build_meta_module(name).module, 64)


def test_a_batch_norm_without_running_statistics_is_none() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False))
    assert find_last_norm("small", module, 16) == ("1", 4)


def test_moments_are_numpys_of_each_image(trunk: Trunk, tmp_path: Path) -> None:
    pixels = np.concatenate([make_probe(64), make_probe(64)[:, ::-1]])
    given, _ = watch(trunk, pixels)
    found = open_moments(trunk, tmp_path)(center(64))(pixels)
    np.testing.assert_allclose(found, np.concatenate([given.mean(2), given.var(2)], axis=1), rtol=2e-5, atol=1e-6)


def test_neither_neighbours_nor_threads_change_a_bit(trunk: Trunk, tmp_path: Path) -> None:
    pixels = np.concatenate([make_probe(64), make_probe(64)[:, ::-1]])
    opener = open_moments(trunk, tmp_path)
    backend = opener(center(64))
    assert backend.batch == 1
    one = np.concatenate([backend(pixels[i : i + 1]) for i in range(4)])
    backend = open_moments(trunk, tmp_path, threads=2)(center(64))
    two = np.concatenate([backend(pixels[i : i + 1]) for i in (3, 2, 1, 0)])[::-1]
    torch.set_num_threads(1)
    np.testing.assert_array_equal(one, two)


def test_with_its_own_moments_a_batch_norm_gives_mean_beta_and_spread_gamma(trunk: Trunk) -> None:
    pixels = np.concatenate([make_probe(64), make_probe(64)[:, ::-1]])
    norm = trunk.module.get_submodule(TRUNKS[trunk.name])
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, len(norm.weight)))
        norm.bias.copy_(torch.linspace(-1, 1, len(norm.bias)))
    given, _ = watch(trunk, pixels)
    mean, var = given.mean((0, 2)), given.var((0, 2))
    again = replace_statistics(trunk, TRUNKS[trunk.name], mean.astype(np.float32), var.astype(np.float32))
    _, made = watch(again, pixels)
    spread = norm.weight.numpy() * np.sqrt(var / (var + norm.eps))
    np.testing.assert_allclose(made.mean((0, 2)), norm.bias.numpy(), atol=1e-4)
    np.testing.assert_allclose(made.std((0, 2)), spread, rtol=1e-3, atol=1e-5)


def test_only_the_statistics_and_the_digest_change(trunk: Trunk) -> None:
    before = {name: value.clone() for name, value in trunk.module.state_dict().items()}
    channels = trunk.module.get_submodule(TRUNKS[trunk.name]).num_features
    new = np.arange(2 * channels, dtype=np.float32).reshape(2, -1)
    again = replace_statistics(trunk, TRUNKS[trunk.name], *new)
    changed = [name for name, value in again.module.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == [f"{TRUNKS[trunk.name]}.running_mean", f"{TRUNKS[trunk.name]}.running_var"]
    assert all(torch.equal(value, before[name]) for name, value in trunk.module.state_dict().items())
    assert again.weights_sha256 != trunk.weights_sha256
    assert not any(part.training for part in again.module.modules())
    shared = {parameter.data_ptr() for parameter in trunk.module.parameters()}
    assert {parameter.data_ptr() for parameter in again.module.parameters()} == shared


@pytest.mark.parametrize(("norm", "channels"), [("elsewhere", None), (None, 3)])
def test_statistics_of_another_batch_norm_are_refused(trunk: Trunk, norm: str | None, channels: int | None) -> None:
    name = TRUNKS[trunk.name]
    n = channels or trunk.module.get_submodule(name).num_features
    with pytest.raises(CacheError, match="found no batch norm"):
        replace_statistics(trunk, norm or name, np.zeros(n, np.float32), np.ones(n, np.float32))

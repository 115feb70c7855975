"""On a CUDA device, where there is one: the same features, whatever its memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.backends.probe import make_probe, run_eager
from fixgrid.embed.backends.spec import open_backend
from fixgrid.embed.backends.torch_backend import TorchBackend
from fixgrid.embed.trunks.own import OwnTrunk, identify_own
from fixgrid.embed.trunks.trunk import Trunk, load_trunk

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def lite0() -> Trunk:
    return load_trunk("efficientnet_lite0")


@pytest.fixture
def little_memory() -> Iterator[None]:
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e9 / torch.cuda.get_device_properties(0).total_memory)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize(("precision", "distance"), [("fp32", 1e-4), ("bf16", 5e-2), ("fp16", 1e-2)])
@pytest.mark.parametrize("kind", ["torch", "compile", "eager"])
def test_features_are_those_of_the_cpu(
    lite0: Trunk, tmp_path: Path, kind: str, precision: str, distance: float
) -> None:
    spec = prepare_backend(lite0, [96], kind=kind, folder=tmp_path, device="cuda", precision=precision)
    assert (spec.kind, spec.reason) == (kind, "")
    pixels = np.concatenate([make_probe(96)[:, ::step] for step in (1, -1)] * 50)
    backend = open_backend(spec, 96)
    assert isinstance(backend, TorchBackend)
    first, second = backend.start(pixels), backend.start(pixels[::-1])  # neither overwrites the other
    wanted = run_eager(lite0, pixels)
    for found, exact in ((first(), wanted), (second(), wanted[::-1])):
        assert np.linalg.norm(found - exact) <= distance * np.linalg.norm(exact)


class Mixed(nn.Module):
    """Makes a tensor of its own on the way, which must be where its input is."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 32, 7, 4), nn.BatchNorm2d(32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.norm(self.conv(x))).flatten(2)
        weights = torch.arange(maps.shape[2], dtype=x.dtype, device=x.device)
        return (maps * torch.softmax(weights / len(weights), 0)).sum(2)


@pytest.mark.parametrize(("precision", "distance"), [("fp32", 1e-4), ("bf16", 5e-2), ("fp16", 1e-2)])
@pytest.mark.parametrize("kind", ["torch", "compile", "eager"])
def test_a_module_of_ones_own_runs_as_a_program(tmp_path: Path, kind: str, precision: str, distance: float) -> None:
    trunk = identify_own(OwnTrunk(Mixed(), native_res=96)).load()
    spec = prepare_backend(trunk, [96, 64], kind=kind, folder=tmp_path, device="cuda", precision=precision)
    assert (spec.kind, spec.reason, [res for res, _ in spec.graphs]) == (kind, "", [96, 64])
    pixels = np.concatenate([make_probe(96)[:, ::step] for step in (1, -1)] * 50)
    found, exact = open_backend(spec, 96)(pixels), run_eager(trunk, pixels)
    assert np.linalg.norm(found - exact) <= distance * np.linalg.norm(exact)


@pytest.mark.usefixtures("little_memory")
def test_a_batch_that_does_not_fit_is_halved(lite0: Trunk, tmp_path: Path) -> None:
    spec = prepare_backend(lite0, [640], kind="torch", folder=tmp_path, device="cuda")
    backend = open_backend(spec, 640)
    assert isinstance(backend, TorchBackend)
    pixels = np.repeat(make_probe(640)[:1], 64, axis=0)
    features = backend(pixels)
    assert backend.micro < 64
    assert backend.notices
    np.testing.assert_allclose(features, np.repeat(features[:1], 64, axis=0), rtol=1e-3, atol=1e-4)

"""Backends: equal to the eager trunk, lean to open, and never out of memory without a word."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ROOT
from numpy.typing import NDArray
from torch import nn

from fixgrid.cache.errors import UsageError
from fixgrid.embed.backends import graphs, onnx_runtime, torch_backend
from fixgrid.embed.backends import prepare as backends
from fixgrid.embed.backends.pixels import PixelTrunk, fold_batch_norms
from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.backends.probe import make_probe, run_eager
from fixgrid.embed.backends.spec import BackendSpec, open_backend
from fixgrid.embed.backends.torch_backend import TorchBackend
from fixgrid.embed.task import Answer
from fixgrid.embed.trunks.library import build_module
from fixgrid.embed.trunks.trunk import Trunk, load_trunk
from fixgrid.embed.trunks.weights import fingerprint_weights

SIDES = (96, 130)


@pytest.fixture(scope="module")
def lite0() -> Trunk:
    return load_trunk("efficientnet_lite0")


@pytest.fixture(scope="module")
def tiny() -> Trunk:
    return load_trunk("timm:test_efficientnet", random_seed=0)


@pytest.fixture(scope="module")
def specs(lite0: Trunk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, BackendSpec]:
    """Both kinds that every install has, prepared from the real weights."""
    folder = tmp_path_factory.mktemp("backends")
    made = {kind: prepare_backend(lite0, SIDES, kind=kind, folder=folder) for kind in ("onnxruntime", "torch")}
    assert [spec.kind for spec in made.values()] == list(made)  # none fell back to another
    return made


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def distance(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("kind", ["onnxruntime", "torch"])
@pytest.mark.parametrize("side", SIDES)
def test_a_backend_gives_the_eager_features(
    kind: str, side: int, specs: dict[str, BackendSpec], lite0: Trunk
) -> None:
    pixels = np.concatenate([make_probe(side), make_probe(side)[:, ::-1], make_probe(side)[:, :, ::-1]])
    features = open_backend(specs[kind], side)(pixels)
    assert features.shape == (6, 1280)
    assert features.dtype == np.float32
    assert distance(features, run_eager(lite0, pixels)) < 1e-5


def test_eager_features_are_those_of_the_trunk_on_the_published_normalisation(lite0: Trunk) -> None:
    pixels = make_probe(96)
    batch = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.inference_mode():
        assert distance(run_eager(lite0, pixels), lite0.module(batch).numpy()) < 1e-5


def test_real_photographs_give_the_eager_features(
    specs: dict[str, BackendSpec], lite0: Trunk, shared_data: Path
) -> None:
    from PIL import Image

    files = sorted((shared_data / "flowers").rglob("*.jpg"))[:6]
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB").resize((96, 96))) for file in files])
    for spec in specs.values():
        assert distance(open_backend(spec, 96)(pixels), run_eager(lite0, pixels)) < 1e-5


def test_a_row_has_the_same_bits_wherever_it_stands_in_a_batch(specs: dict[str, BackendSpec]) -> None:
    random = np.random.default_rng(4)
    pixels = random.integers(0, 256, (5, 96, 96, 3), dtype=np.uint8)
    run = open_backend(specs["onnxruntime"], 96)
    together = run(pixels)
    order = random.permutation(5)
    np.testing.assert_array_equal(run(pixels[order]), together[order])
    np.testing.assert_array_equal(run(pixels[3:4])[0], together[3])


def test_no_buffer_of_the_trunk_changes_by_a_byte(lite0: Trunk, specs: dict[str, BackendSpec]) -> None:
    for spec in specs.values():
        open_backend(spec, 96)(make_probe(96))
    assert fingerprint_weights(lite0.module.state_dict()) == lite0.weights_sha256


def test_the_first_choice_on_a_cpu_is_onnxruntime_without_a_reason(tiny: Trunk, tmp_path: Path) -> None:
    spec = prepare_backend(tiny, [64], folder=tmp_path)
    assert (spec.kind, spec.batch, spec.reason) == ("onnxruntime", 1, "")


def test_a_spec_travels_by_pickle_and_opens_without_torch(specs: dict[str, BackendSpec]) -> None:
    spec = specs["onnxruntime"]
    assert pickle.loads(pickle.dumps(spec)) == spec
    code = (
        "import pickle, sys; spec = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "import numpy as np; from fixgrid.embed.backends.spec import open_backend\n"
        "assert open_backend(spec, 96)(np.zeros((1, 96, 96, 3), np.uint8)).shape == (1, 1280)\n"
        "print(*sorted({'torch', 'timm', 'onnx', 'safetensors'} & set(sys.modules)))"
    )
    argv = [sys.executable, "-c", code, pickle.dumps(spec).hex()]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_two_views_of_one_resolution_share_a_session(specs: dict[str, BackendSpec]) -> None:
    first, second = (open_backend(specs["onnxruntime"], 96) for _ in range(2))
    assert vars(first) == vars(second)


def test_torch_takes_any_shape_and_says_so(specs: dict[str, BackendSpec], lite0: Trunk) -> None:
    assert specs["torch"].any_shape
    assert not specs["onnxruntime"].any_shape
    wide = np.ascontiguousarray(make_probe(130)[:, :77])
    assert distance(open_backend(specs["torch"], 96)(wide), run_eager(lite0, wide)) < 1e-5


def test_a_graph_with_free_size_serves_every_resolution(
    tiny: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "SHARED_GRAPH_BYTES", 0)
    spec = prepare_backend(tiny, [64, 96, 75], kind="onnxruntime", folder=tmp_path)
    assert spec.kind == "onnxruntime"
    assert len({graph for _, graph in spec.graphs}) == 1


def test_a_backend_that_is_not_exact_is_passed_over_with_the_reason(
    tiny: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Coarse(onnx_runtime.OnnxBackend):
        def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            return super().__call__(pixels) * np.float32(1.001)

    monkeypatch.setattr(onnx_runtime, "OnnxBackend", Coarse)
    spec = prepare_backend(tiny, [64], folder=tmp_path)
    assert spec.kind == "torch"
    assert "onnxruntime not used: its features at 64 px are 1.0e-03 from eager" in spec.reason


def test_a_trunk_that_cannot_be_exported_runs_on_torch_with_the_reason(
    tiny: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("no such operator\nlong story")

    monkeypatch.setattr(torch.onnx, "export", fail)
    spec = prepare_backend(tiny, [64], folder=tmp_path)
    assert spec.kind == "torch"
    assert spec.reason.endswith("cannot be exported (no such operator)")


def test_a_graph_that_the_runtime_refuses_is_passed_over(
    tiny: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_nonsense(trunk: Trunk, sides: list[int], folder: Path) -> tuple[tuple[int, str], ...]:
        (folder / "bad.onnx").write_bytes(b"nonsense")
        return tuple((side, str(folder / "bad.onnx")) for side in sides)

    monkeypatch.setattr(graphs, "write_graphs", write_nonsense)
    spec = prepare_backend(tiny, [64], folder=tmp_path)
    assert spec.kind == "torch"
    assert "onnxruntime not used: it cannot run" in spec.reason


def test_reduced_precision_runs_on_torch(tiny: Trunk, tmp_path: Path) -> None:
    spec = prepare_backend(tiny, [64], kind="onnxruntime", folder=tmp_path, precision="bf16")
    assert spec.kind == "torch"
    assert "fp32 on cpu only" in spec.reason
    features = open_backend(spec, 64)(make_probe(64))
    assert features.dtype == np.float32
    assert 1e-5 < distance(features, run_eager(tiny, make_probe(64))) < 5e-2


def test_a_missing_optional_package_is_named(tiny: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: find_spec(name) if name == "torch" else None)
    with pytest.raises(UsageError, match="pip install openvino"):
        prepare_backend(tiny, [64], kind="openvino", folder=tmp_path)
    spec = prepare_backend(tiny, [64], folder=tmp_path)
    assert (spec.kind, spec.reason) == ("torch", "onnxruntime not used: the package onnxruntime is not installed")


def test_an_unknown_kind_is_refused(tiny: Trunk, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'tensorrt'; expected auto, onnxruntime"):
        prepare_backend(tiny, [64], kind="tensorrt", folder=tmp_path)


def test_openvino_gives_the_eager_features(tiny: Trunk, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    spec = prepare_backend(tiny, [64], kind="openvino", folder=tmp_path)
    assert spec.kind == "openvino"
    pixels = np.concatenate([make_probe(64), make_probe(64)[::-1]])
    assert distance(open_backend(spec, 64)(pixels), run_eager(tiny, pixels)) < 1e-4


def test_a_trunk_left_in_train_mode_is_refused(tmp_path: Path) -> None:
    trunk = load_trunk("timm:test_efficientnet", random_seed=0)
    norm = next(part for part in trunk.module.modules() if isinstance(part, nn.BatchNorm2d))
    norm.train()
    with pytest.raises(ValueError, match=r"not frozen.*bn1"):
        prepare_backend(trunk, [64], folder=tmp_path)
    norm.eval()
    norm.weight.requires_grad_()
    with pytest.raises(ValueError, match="not frozen"):
        prepare_backend(trunk, [64], folder=tmp_path)


class Device:
    """An accelerator with room for `room` images: sums their pixels, and counts what it was asked."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(pixels))
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return pixels.float().flatten(1).sum(1, keepdim=True)


def test_out_of_memory_halves_the_micro_batch_inside_the_same_batch_and_remembers() -> None:
    device = Device(room=3)
    backend = TorchBackend(device, batch=16)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    wanted = pixels.reshape(16, -1).sum(1, dtype=np.float32)
    np.testing.assert_array_equal(backend(pixels)[:, 0], wanted)
    assert device.asked == [16, 8, 4, *[2] * 8]
    assert [notice.split(":")[1].split()[3] for notice in backend.notices] == ["8", "4", "2"]
    device.asked.clear()
    np.testing.assert_array_equal(backend(pixels[:5])[:, 0], wanted[:5])
    assert device.asked == [2, 2, 1]


def test_one_image_that_does_not_fit_ends_in_one_line_that_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"one image of 8 x 9 px does not fit .* choose lower resolutions"):
        TorchBackend(Device(room=0), batch=4)(np.zeros((4, 8, 9, 3), np.uint8))


@pytest.mark.filterwarnings("error")
def test_pixels_that_may_not_be_written_to_are_taken_without_a_warning() -> None:
    pixels = np.frombuffer(bytes([1] * 12), np.uint8).reshape(1, 2, 2, 3)
    assert TorchBackend(Device(room=1), batch=1)(pixels).tolist() == [[12.0]]


@pytest.mark.parametrize("words", torch_backend.NO_MEMORY)
def test_memory_that_a_library_could_not_get_halves_the_batch_too(words: str) -> None:
    class Disguised(Device):
        def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
            try:
                return super().__call__(pixels)
            except torch.OutOfMemoryError as error:
                raise RuntimeError(f"cuDNN error: {words} to run") from error

    device = Disguised(room=2)
    assert TorchBackend(device, batch=4)(np.ones((4, 2, 2, 3), np.uint8)).tolist() == [[12.0]] * 4
    assert device.asked == [4, 2, 2]


def test_an_error_of_another_kind_is_not_taken_for_memory() -> None:
    def fail(pixels: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        TorchBackend(fail, batch=4)(np.ones((4, 2, 2, 3), np.uint8))


class Slow(torch_backend.SameMemory):
    """A link over which features arrive when they are asked for; notes what is done when."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def send(self, part: NDArray[np.uint8]) -> torch.Tensor:
        self.log.append(f"send {len(part)}")
        return super().send(part)

    def fetch(self, features: torch.Tensor) -> Answer:
        found = super().fetch(features)
        return lambda: (self.log.append(f"wait {len(features)}"), found())[1]


def test_a_batch_begins_before_the_one_before_it_is_waited_for() -> None:
    log: list[str] = []
    backend = TorchBackend(Device(room=3), batch=6, link=Slow(log))
    first, second = (backend.start(np.full((6, 2, 2, 3), value, np.uint8)) for value in (1, 2))
    assert log == ["send 6", "send 3", "send 3", "send 3", "send 3"]  # the first had not fitted
    assert (first().tolist(), second().tolist()) == ([[12.0]] * 6, [[24.0]] * 6)
    assert log[5:] == ["wait 3"] * 4


class Streams:
    """torch.cuda as far as a link needs it, on a machine without: notes what is done on which stream."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.now = "computing"

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        computing = SimpleNamespace(wait_stream=lambda other: self.log.append(f"wait for {other}"))
        event = SimpleNamespace(
            record=lambda stream: self.log.append("record"), synchronize=lambda: self.log.append("synchronize")
        )
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: "copies")
        monkeypatch.setattr(torch.cuda, "Event", lambda: event)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: computing)
        monkeypatch.setattr(torch.cuda, "stream", self.use)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: (self.log.append("pin"), tensor)[1])
        monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: self.log.append("keep"))
        to = torch.Tensor.to
        noted = "copy on {} to {}, non_blocking={non_blocking}"
        monkeypatch.setattr(
            torch.Tensor,
            "to",
            lambda tensor, device, **how: (
                self.log.append(noted.format(self.now, device, **how)),
                to(tensor, device),
            )[1],
        )

    @contextmanager
    def use(self, stream: str) -> Iterator[None]:
        self.now = stream
        yield
        self.now = "computing"


def test_pixels_are_copied_beside_the_kernels_and_features_waited_for_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = Streams()
    streams.install(monkeypatch)
    link = torch_backend.CudaLink(torch.device("cpu"))
    pixels = link.send(np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3))
    sent = ["pin", "copy on copies to cpu, non_blocking=True", "wait for copies", "keep"]
    assert streams.log == sent
    answer = link.fetch(pixels.float().flatten(1))
    fetched = ["copy on computing to cpu, non_blocking=True", "record"]
    assert streams.log[4:] == fetched
    assert answer().tolist() == [[*range(12)]]
    assert streams.log[6:] == ["synchronize"]


def test_a_compiled_graph_sees_one_batch_size_only() -> None:
    device = Device(room=8)
    backend = TorchBackend(device, batch=8, pad=True)
    assert backend(np.ones((11, 2, 2, 3), np.uint8)).tolist() == [[12.0]] * 11
    assert device.asked == [8, 8]


@pytest.mark.parametrize(
    ("architecture", "n_norms"),
    [("timm:test_efficientnet", 13), ("torchvision:resnet18", 20), ("torchvision:densenet121", 59)],
)
def test_only_norms_that_directly_follow_a_convolution_are_folded(architecture: str, n_norms: int) -> None:
    torch.manual_seed(0)
    module = build_module(architecture).module
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 2)
    batch = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        wanted = module(batch).numpy()
        assert fold_batch_norms(module, batch) == n_norms
        assert distance(module(batch).numpy(), wanted) < 1e-5


class Shared(nn.Module):
    """One convolution under two norms: merging either would change the other's input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        nn.init.constant_(self.second.running_var, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.first(self.conv(x)), self.second(self.conv(x))])


def test_a_convolution_that_is_called_twice_is_left_alone() -> None:
    module, batch = Shared().eval(), torch.ones(1, 3, 5, 5)
    with torch.inference_mode():
        wanted = module(batch)
        assert fold_batch_norms(module, batch) == 0
        torch.testing.assert_close(module(batch), wanted)
    assert not any(part._forward_hooks for part in module.modules())


def test_a_trunk_that_folding_changes_runs_eager(
    tiny: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(module: nn.Module, example: torch.Tensor) -> None:
        next(module.parameters()).mul_(1.01)

    monkeypatch.setattr(torch_backend, "fold_batch_norms", spoil)
    spec = prepare_backend(tiny, [64], kind="torch", folder=tmp_path)
    assert spec.kind == "eager"
    assert "torch not used: its features at 64 px" in spec.reason


def test_the_mean_colour_is_what_zero_padding_stands_for(tiny: Trunk) -> None:
    """A picture of exactly the mean colour is zero to the trunk, borders included."""
    facts = replace(tiny.preprocess, mean=("0.2", "0.4", "0.6"))
    grey = np.full((1, 64, 64, 3), (51, 102, 153), np.uint8)
    with torch.inference_mode():
        seen = PixelTrunk(nn.Identity(), facts)(torch.from_numpy(grey))
    assert seen.abs().max() < 1e-6

"""Backends: what runs a trunk on pixels, the fastest exact one chosen, described so that a worker can open it.

Importing this module and opening an ONNX Runtime backend costs no torch: workers start in under a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from ..task import Backend
    from ..trunks.preprocess import Preprocess
    from ..trunks.trunk import Trunk

KINDS = ("onnxruntime", "openvino", "torch", "compile", "eager")
PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino"}

# OpenVINO is not in the automatic choice: 1.8x eager on lite0 where ONNX Runtime reaches 1.9-2x.
AUTOMATIC = {"cpu": "onnxruntime", "cuda": "torch"}
FALLBACKS = ("torch", "eager")
"""What is tried when the first choice fails; eager is the trunk as it was loaded, exact by definition."""

# One-thread ONNX Runtime, lite0 at 224: 10.6 ms for a batch of 1, 18 ms an image for 16, and a row's bits
# do not depend on the batch. Eager torch wants enough images to hide its dispatch, an accelerator to fill.
BATCHES = {"onnxruntime": 1, "openvino": 1, "torch": 8, "compile": 8, "eager": 8}
ACCELERATOR_BATCH = 64

# Relative L2 distance to eager float32 that a probe may have. Reduced precision is part of the key, and is
# held to its own rounding: 8 bits of mantissa in bf16, 11 in fp16.
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 1e-2}


@dataclass(frozen=True)
class BackendSpec:
    """Everything a worker process needs to open a backend: plain values and files.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    architecture : str
        See `embed.architectures.build_module`.
    preprocess : Preprocess
    graphs : tuple of (int, str)
        ONNX file per resolution (px); empty for torch.
    weights : str
        Safetensors file of the trunk; empty for ONNX.
    device, threads, precision
        As given to `prepare_backend`.
    batch : int
        Images per forward pass.
    reason : str
        Why a faster kind was not taken; empty if none was passed over.
    """

    kind: str
    architecture: str
    preprocess: Preprocess
    graphs: tuple[tuple[int, str], ...]
    weights: str
    device: str
    threads: int
    precision: str
    batch: int
    reason: str = ""

    @property
    def any_shape(self) -> bool:
        """Whether inputs of any height and width are taken (view kind ``whole`` needs it)."""
        return self.kind in ("torch", "eager")


class UnusableBackendError(Exception):
    """A kind that this trunk, machine or precision cannot use; its text is the reason."""


class OnnxBackend:
    """One ONNX Runtime session, one image at a time."""

    name = "onnxruntime"
    batch = 1

    def __init__(self, session: Any) -> None:
        self._session = session

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (B, R, R, 3) -> float32 (B, D)."""
        rows = (self._session.run(None, {"pixels": pixels[i : i + 1]})[0] for i in range(len(pixels)))
        return np.concatenate(list(rows))


class OpenVinoBackend:
    """One OpenVINO request, one image at a time."""

    name = "openvino"
    batch = 1

    def __init__(self, request: Any) -> None:
        self._request = request

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (B, R, R, 3) -> float32 (B, D)."""
        rows = (self._request.infer([pixels[i : i + 1]])[0].copy() for i in range(len(pixels)))
        return np.concatenate(list(rows))


@cache
def _open_session(graph: str, threads: int) -> Any:
    """One session per file and process: two views at one resolution share weights and arena."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@cache
def _open_request(graph: str, threads: int) -> Any:
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    runtime = openvino.Core()
    return runtime.compile_model(runtime.read_model(graph), "CPU", settings).create_infer_request()


def open_backend(spec: BackendSpec, res: int) -> Backend:
    """The backend that a spec describes, for inputs of side `res` (px)."""
    if spec.kind == "onnxruntime":
        return OnnxBackend(_open_session(dict(spec.graphs)[res], spec.threads))
    if spec.kind == "openvino":
        return OpenVinoBackend(_open_request(dict(spec.graphs)[res], spec.threads))
    from .torch_backend import open_torch

    return open_torch(spec, res)


def prepare_backend(
    trunk: Trunk,
    resolutions: Sequence[int],
    *,
    kind: str = "auto",
    folder: Path,
    device: str = "cpu",
    threads: int = 1,
    precision: str = "fp32",
) -> BackendSpec:
    """The first backend of the wanted order that is there and reproduces the trunk, with its files written.

    Every resolution is tried on a probe batch against the trunk's own eager float32 features.

    Parameters
    ----------
    trunk : Trunk
    resolutions : sequence of int
        Sides of the inputs to come (px).
    kind : str
        ``auto`` or one of `KINDS`. If the kind asked for fails, one of `FALLBACKS` takes over and
        ``reason`` says why.
    folder : Path
        Where the graph or weights files go; workers must find them there.
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int
        Threads of one worker's trunk.
    precision : {"fp32", "bf16", "fp16"}

    Raises
    ------
    UsageError
        If the kind is unknown or its package is not installed, or no kind reproduces the trunk.
    ValueError
        If the trunk is in train mode or wants gradients.
    """
    _expect_frozen(trunk.module)
    _expect_kind(kind)
    reasons: list[str] = []
    for candidate in list_candidates(kind, device):
        spec = BackendSpec(
            kind=candidate,
            architecture=trunk.architecture,
            preprocess=trunk.preprocess,
            graphs=(),
            weights="",
            device=device,
            threads=threads,
            precision=precision,
            batch=BATCHES[candidate] if device == "cpu" else ACCELERATOR_BATCH,
        )
        try:
            return replace(_write_and_probe(spec, trunk, resolutions, folder), reason="; ".join(reasons))
        except UnusableBackendError as error:
            reasons.append(f"{candidate} not used: {error}")
        finally:
            _open_session.cache_clear()  # the parent does not run the trunk: give its memory to the workers
            _open_request.cache_clear()
            if device != "cpu":
                _empty_device()
    raise UsageError(f"no backend reproduces {trunk.name}: {'; '.join(reasons)}")


def _empty_device() -> None:
    import torch

    torch.cuda.empty_cache()


def _expect_frozen(module: nn.Module) -> None:
    training = [name or "the trunk" for name, part in module.named_modules() if part.training]
    if training or any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(f"the trunk is not frozen: call eval() and requires_grad_(False) ({training[:3]})")


def _expect_kind(kind: str) -> None:
    if kind not in ("auto", *KINDS):
        raise UsageError(f"found --backend {kind!r}; expected auto, {', '.join(KINDS)}")
    package = PACKAGES.get(kind)
    if package and find_spec(package) is None:
        raise UsageError(f"--backend {kind} needs the package {package}: pip install {package}, or --backend auto")


def list_candidates(kind: str, device: str) -> tuple[str, ...]:
    """`KINDS` in the order in which they are tried."""
    first = AUTOMATIC[device.partition(":")[0]] if kind == "auto" else kind
    return tuple(dict.fromkeys((first, *FALLBACKS)))


def _write_and_probe(spec: BackendSpec, trunk: Trunk, resolutions: Sequence[int], folder: Path) -> BackendSpec:
    from .probe import check_exact, write_graphs, write_weights

    if spec.kind in PACKAGES:
        if find_spec(PACKAGES[spec.kind]) is None:
            raise UnusableBackendError(f"the package {PACKAGES[spec.kind]} is not installed")
        if spec.device != "cpu" or spec.precision != "fp32":
            raise UnusableBackendError(f"it runs fp32 on cpu only, not {spec.precision} on {spec.device}")
        spec = replace(spec, graphs=write_graphs(trunk, resolutions, folder))
    else:
        spec = replace(spec, weights=str(write_weights(trunk, folder)))
    for res in resolutions:
        check_exact(spec, trunk, res, TOLERANCE[spec.precision])
    return spec

"""A backend's files, written by the parent, and the proof that they reproduce the trunk."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..trunks.trunk import Trunk
from .pixels import PixelTrunk
from .prepare import BackendSpec, UnusableBackendError, open_backend

# Above this, one graph with free height and width serves every resolution, so that a worker holds the
# weights once. Below, one graph per resolution: lite0's SAME padding, computed at run time, costs it 17-25 %
# (11.5 instead of 9.8 ms at 224, 35 instead of 28 at 380); ResNets lose nothing.
SHARED_GRAPH_BYTES = 1 << 30
OPSET = 17


def write_weights(trunk: Trunk, folder: Path) -> Path:
    """Safetensors file of a trunk's state dict, for workers that rebuild it."""
    from safetensors.torch import save_file

    path = folder / "trunk.safetensors"
    if not path.exists():
        save_file({name: value.contiguous() for name, value in trunk.module.state_dict().items()}, path)
    return path


def write_graphs(trunk: Trunk, resolutions: Sequence[int], folder: Path) -> tuple[tuple[int, str], ...]:
    """ONNX files, uint8 (1, R, R, 3) ``pixels`` to float32 (1, D) ``features``, one entry per resolution.

    Weights beyond 2 GB are written beside their graph, so each graph has a folder of its own.

    Raises
    ------
    UnusableBackendError
        If the trunk cannot be exported.
    """
    size = sum(value.nbytes for value in trunk.module.state_dict().values())
    if size > SHARED_GRAPH_BYTES:
        graph = _export(trunk, resolutions[0], folder / "any", free_size=True)
        return tuple((res, str(graph)) for res in resolutions)
    return tuple((res, str(_export(trunk, res, folder / str(res), free_size=False))) for res in resolutions)


def _export(trunk: Trunk, res: int, folder: Path, *, free_size: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trunk.onnx"
    example = torch.zeros(1, res, res, 3, dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracing exporter: deprecated, but .5 s where dynamo takes 10-19
            torch.onnx.export(
                PixelTrunk(trunk.module, trunk.preprocess),
                (example,),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=["pixels"],
                output_names=["features"],
                dynamic_axes={"pixels": {1: "height", 2: "width"}} if free_size else None,
            )
    except (RuntimeError, ValueError, TypeError) as error:
        raise UnusableBackendError(f"{trunk.name} cannot be exported ({_first_line(error)})") from error
    return path


def make_probe(res: int) -> NDArray[np.uint8]:
    """Two pictures, uint8 (2, res, res, 3): colour gradients with grain, close to a photograph's statistics."""
    random = np.random.default_rng(2020)
    y, x = np.mgrid[0 : 1 : 1j * res, 0 : 1 : 1j * res]
    waves = [np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in random.uniform(-4, 4, (6, 3))]
    smooth = np.stack(waves, axis=-1).reshape(res, res, 2, 3).transpose(2, 0, 1, 3)
    return np.clip(120 + 60 * smooth + random.normal(0, 15, smooth.shape), 0, 255).astype(np.uint8)


def run_eager(trunk: Trunk, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The features by definition: eager float32 on the CPU, shape (B, D)."""
    whole = PixelTrunk(trunk.module, trunk.preprocess)
    with torch.inference_mode():
        features: NDArray[np.float32] = whole(torch.from_numpy(pixels)).numpy()
    return features


def check_exact(spec: BackendSpec, trunk: Trunk, res: int, tolerance: float) -> None:
    """Run the probe through a backend and through the trunk.

    Raises
    ------
    UnusableBackendError
        If the backend cannot run it, or the relative L2 distance is above `tolerance`.
    """
    probe = make_probe(res)
    try:
        found = open_backend(spec, res)(probe)
    except list_errors(spec.kind) as error:
        raise UnusableBackendError(f"it cannot run {trunk.name} at {res} px ({_first_line(error)})") from error
    wanted = run_eager(trunk, probe)
    distance = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
    if not distance <= tolerance:
        raise UnusableBackendError(
            f"its features at {res} px are {distance:.1e} from eager float32, expected {tolerance:.0e} at most"
        )


def list_errors(kind: str) -> tuple[type[Exception], ...]:
    """What a runtime raises on a graph it cannot run; ONNX Runtime's classes share no base of their own."""
    if kind != "onnxruntime":
        return (RuntimeError,)
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (RuntimeError, *own)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:160] or type(error).__name__

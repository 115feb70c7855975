"""OpenVINO on a CPU, if it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .spec import BackendSpec

if TYPE_CHECKING:
    from ..trunks.trunk import Trunk

package = "openvino"
batch = 1
devices, precisions = ("cpu",), ("fp32",)


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


def write_files(spec: BackendSpec, trunk: Trunk, resolutions: Sequence[int], folder: Path) -> BackendSpec:
    """See `embed.backends.spec.Runtime`."""
    from .graphs import write_graphs

    return replace(spec, graphs=write_graphs(trunk, resolutions, folder))


def open_backend(spec: BackendSpec, res: int) -> OpenVinoBackend:
    """See `embed.backends.spec.Runtime`."""
    return OpenVinoBackend(_open_request(dict(spec.graphs)[res], spec.threads))


def list_errors() -> tuple[type[Exception], ...]:
    """See `embed.backends.spec.Runtime`."""
    return (RuntimeError,)


def forget() -> None:
    """See `embed.backends.spec.Runtime`."""
    _open_request.cache_clear()

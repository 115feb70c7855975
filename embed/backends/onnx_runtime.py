"""ONNX Runtime on a CPU: the fastest exact backend there, and free of torch where it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import sessions
from .spec import BackendSpec

if TYPE_CHECKING:
    from ..trunks.trunk import Trunk

package = "onnxruntime"
# One thread, lite0 at 224: 10.6 ms for a batch of 1, 18 ms an image for 16, and a row's bits do not depend on the
# batch.
batch = 1
devices, precisions = ("cpu",), ("fp32",)


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


@cache
def _open_session(graph: str, threads: int) -> Any:
    """One session per file and process: two views at one resolution share weights and arena."""
    return sessions.open_session(graph, threads)


def write_files(spec: BackendSpec, trunk: Trunk, resolutions: Sequence[int], folder: Path) -> BackendSpec:
    """See `embed.backends.spec.Runtime`."""
    from .graphs import write_graphs

    return replace(spec, graphs=write_graphs(trunk, resolutions, folder))


def open_backend(spec: BackendSpec, res: int) -> OnnxBackend:
    """See `embed.backends.spec.Runtime`."""
    return OnnxBackend(_open_session(dict(spec.graphs)[res], spec.threads))


def list_errors() -> tuple[type[Exception], ...]:
    """See `embed.backends.spec.Runtime`."""
    return sessions.list_errors()


def forget() -> None:
    """See `embed.backends.spec.Runtime`."""
    _open_session.cache_clear()

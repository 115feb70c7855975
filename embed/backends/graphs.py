"""A backend's files, written by the parent: graphs, programs, weights."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch

from ..trunks.onnx_graph import OnnxModule, save_graph
from ..trunks.trunk import Trunk
from ..trunks.weights import part_tensors
from .composed import compose_graph
from .pixels import PixelTrunk
from .spec import UnusableBackendError

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
        save_file(part_tensors(trunk.module.state_dict()), path)
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
    if size > SHARED_GRAPH_BYTES and not trunk.rule:
        graph = _export(trunk, resolutions[0], folder / "any", free_size=True)
        return tuple((res, str(graph)) for res in resolutions)
    return tuple((res, str(_export(trunk, res, folder / str(res), free_size=False))) for res in resolutions)


@contextmanager
def trace_plainly() -> Iterator[None]:
    """The tracing exporter, deprecated, but .5 s where dynamo takes 10 to 19: without warnings, without the whole
    graph printed where it fails, and without torch's fused attention, which is no operator of ONNX."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _export(trunk: Trunk, res: int, folder: Path, *, free_size: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trunk.onnx"
    example = torch.zeros(1, res, res, 3, dtype=torch.uint8)
    if isinstance(trunk.module, OnnxModule):
        save_graph(compose_graph(trunk.module, trunk.preprocess, None if free_size else res), path)
        return path
    try:
        with trace_plainly():
            torch.onnx.export(
                PixelTrunk(trunk.at(res), trunk.preprocess),
                (example,),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=["pixels"],
                output_names=["features"],
                dynamic_axes={"pixels": {1: "height", 2: "width"}} if free_size else None,
            )
    except (RuntimeError, ValueError, TypeError) as error:
        raise _refuse(trunk, error) from error
    return path


def write_programs(trunk: Trunk, resolutions: Sequence[int], folder: Path) -> tuple[tuple[int, str], ...]:
    """`torch.export` programs, normalised float32 (B, 3, R, R) to float32 (B, D), one entry per resolution.

    Workers run them without the trunk's class: nothing of the user's is imported or unpickled there.

    Raises
    ------
    UnusableBackendError
        If the trunk cannot be exported.
    """
    if isinstance(trunk.module, OnnxModule):
        raise UnusableBackendError("it runs no ONNX graph; choose --device cpu --backend auto")
    written = []
    for res in resolutions:
        path = folder / f"{res}.pt2"
        if not path.exists():
            example, batch = (torch.zeros(2, 3, res, res),), torch.export.Dim("batch")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    torch.export.save(
                        torch.export.export(trunk.at(res), example, dynamic_shapes=({0: batch},)), path
                    )
            except (RuntimeError, ValueError, TypeError, AssertionError) as error:
                raise _refuse(trunk, error) from error
        written.append((res, str(path)))
    return tuple(written)


def _refuse(trunk: Trunk, error: BaseException) -> UnusableBackendError:
    line = (str(error).splitlines() or [""])[0][:160] or type(error).__name__
    return UnusableBackendError(f"{trunk.name} cannot be exported ({line})")

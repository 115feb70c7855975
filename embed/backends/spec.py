"""What backends share: their table, what a worker is told of one, and how it opens it.

Importing this module and opening an ONNX Runtime backend costs no torch: workers start in under a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ..trunks.nodes import POOLED
from ..trunks.preprocess import Preprocess

if TYPE_CHECKING:
    from ..task import Backend
    from ..trunks.trunk import Trunk

BACKENDS = {
    "onnxruntime": "fixgrid.embed.backends.onnx_runtime",
    "openvino": "fixgrid.embed.backends.openvino_runtime",
    "torch": "fixgrid.embed.backends.torch_runtime",
    "compile": "fixgrid.embed.backends.torch_runtime",
    "eager": "fixgrid.embed.backends.torch_runtime",
}
"""Kind of backend to the module of its runtime (a `Runtime`)."""

# Relative L2 distance to eager float32 that a probe may have. Reduced precision is part of the key, and is
# held to its own rounding: 8 bits of mantissa in bf16, 11 in fp16.
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 1e-2}


@dataclass(frozen=True)
class BackendSpec:
    """Everything a worker process needs to open a backend: plain values and files.

    Attributes
    ----------
    kind : str
        One of `BACKENDS`.
    architecture : str
        See `embed.trunks.library.build_module`.
    preprocess : Preprocess
    graphs : tuple of (int, str)
        File of the whole trunk per resolution (px): an ONNX graph, or a `torch.export` program of a trunk that no
        library can build; empty for other trunks on torch.
    weights : str
        Safetensors file of the trunk; empty if there are graphs.
    device, threads, precision
        As given to `prepare_backend`.
    batch : int
        Images per forward pass.
    runtime : str
        Module of the kind's runtime.
    library : str
        Module of the architecture's library.
    name : str
        Of the trunk, for messages.
    nodes : tuple of str
    rule : str
        As `Trunk` has them.
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
    runtime: str
    library: str = ""
    name: str = ""
    nodes: tuple[str, ...] = (POOLED,)
    rule: str = ""
    reason: str = ""

    @property
    def any_shape(self) -> bool:
        """Whether inputs of any height and width are taken (view kind ``whole`` needs it)."""
        return self.kind in ("torch", "eager") and not self.graphs

    def move(self, old: Path, new: Path) -> BackendSpec:
        """The same with its files in another folder, under the same names."""

        def find(file: str) -> str:
            return str(new / Path(file).relative_to(old)) if file else ""

        graphs = tuple((res, find(graph)) for res, graph in self.graphs)
        return replace(self, graphs=graphs, weights=find(self.weights))


class UnusableBackendError(Exception):
    """A kind that this trunk, machine or precision cannot use; its text is the reason."""


class Runtime(Protocol):
    """What a runtime's module has. Importing it imports no runtime: that is left to its functions.

    Attributes
    ----------
    package : str
        That must be installed, and that workers import.
    batch : int
        Images per forward pass on a CPU.
    devices, precisions : tuple of str
        What it runs on, and in.
    """

    package: str
    batch: int
    devices: tuple[str, ...]
    precisions: tuple[str, ...]

    def write_files(self, spec: BackendSpec, trunk: Trunk, resolutions: Sequence[int], folder: Path) -> BackendSpec:
        """The spec with the files that it needs, written; UnusableBackendError if this trunk cannot be."""
        ...

    def open_backend(self, spec: BackendSpec, res: int) -> Backend:
        """The backend for inputs of side `res` (px)."""
        ...

    def list_errors(self) -> tuple[type[Exception], ...]:
        """What it raises on a trunk that it cannot run."""
        ...

    def forget(self) -> None:
        """Give memory back that opened backends of this process share."""
        ...


def import_runtime(place: str) -> Runtime:
    """The runtime in a module: one of `BACKENDS`, or ``BackendSpec.runtime``."""
    return cast(Runtime, import_module(place))


def open_backend(spec: BackendSpec, res: int) -> Backend:
    """The backend that a spec describes, for inputs of side `res` (px)."""
    return import_runtime(spec.runtime).open_backend(spec, res)

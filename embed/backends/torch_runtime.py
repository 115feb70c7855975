"""torch on a CPU or an accelerator: folded, compiled or as the trunk was loaded; see `torch_backend`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..trunks.source import is_own
from .spec import BackendSpec

if TYPE_CHECKING:
    from ..trunks.trunk import Trunk
    from .torch_backend import TorchBackend

package = "torch"
batch = 8  # eager torch wants enough images to hide its dispatch
devices, precisions = ("cpu", "cuda"), ("fp32", "bf16", "fp16")


def write_files(spec: BackendSpec, trunk: Trunk, resolutions: Sequence[int], folder: Path) -> BackendSpec:
    """See `embed.backends.spec.Runtime`."""
    from .graphs import write_programs, write_weights

    if is_own(trunk.architecture):
        return replace(spec, graphs=write_programs(trunk, resolutions, folder))
    return replace(spec, weights=str(write_weights(trunk, folder)))


def open_backend(spec: BackendSpec, res: int) -> TorchBackend:
    """See `embed.backends.spec.Runtime`."""
    from .torch_backend import open_torch

    return open_torch(spec, res)


def list_errors() -> tuple[type[Exception], ...]:
    """See `embed.backends.spec.Runtime`."""
    return (RuntimeError,)


def forget() -> None:
    """See `embed.backends.spec.Runtime`."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()

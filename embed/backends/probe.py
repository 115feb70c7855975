"""The proof that a backend reproduces the trunk; torch is imported where the trunk itself runs, and only there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..trunks.sizes import name_refusal
from .spec import TOLERANCE, BackendSpec, UnusableBackendError, import_runtime, open_backend

if TYPE_CHECKING:
    from ..trunks.trunk import Trunk


def make_probe(res: int) -> NDArray[np.uint8]:
    """Two pictures, uint8 (2, res, res, 3): colour gradients with grain, close to a photograph's statistics."""
    random = np.random.default_rng(2020)
    y, x = np.mgrid[0 : 1 : 1j * res, 0 : 1 : 1j * res]
    waves = [np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in random.uniform(-4, 4, (6, 3))]
    smooth = np.stack(waves, axis=-1).reshape(res, res, 2, 3).transpose(2, 0, 1, 3)
    return np.clip(120 + 60 * smooth + random.normal(0, 15, smooth.shape), 0, 255).astype(np.uint8)


def run_eager(trunk: Trunk, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The features by definition: eager float32 on the CPU, shape (B, D).

    Raises
    ------
    UsageError
        If the trunk takes no images of that size.
    """
    import torch

    from .pixels import PixelTrunk

    res = max(pixels.shape[1:3])
    whole = PixelTrunk(trunk.at(res), trunk.preprocess)
    with torch.inference_mode(), name_refusal(trunk.name, res):
        features: NDArray[np.float32] = whole(torch.from_numpy(pixels)).numpy()
    return features


def check_exact(spec: BackendSpec, wanted: Mapping[int, NDArray[np.float32]]) -> None:
    """Run the probe of every resolution through a backend.

    Parameters
    ----------
    spec : BackendSpec
    wanted : mapping of px to float32 array, shape (2, D)
        `run_eager` of each probe.

    Raises
    ------
    UnusableBackendError
        If the backend cannot run one, or the relative L2 distance is above its precision's `TOLERANCE`.
    """
    tolerance = TOLERANCE[spec.precision]
    for res, exact in wanted.items():
        try:
            found = open_backend(spec, res)(make_probe(res))
        except import_runtime(spec.runtime).list_errors() as error:
            raise UnusableBackendError(f"it cannot run at {res} px ({_first_line(error)})") from error
        if found.shape != exact.shape:
            raise UnusableBackendError(f"it gives shape {found.shape} at {res} px, the trunk {exact.shape}")
        distance = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
        if not distance <= tolerance:
            raise UnusableBackendError(
                f"its features at {res} px are {distance:.1e} from eager float32, expected {tolerance:.0e} at most"
            )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:160] or type(error).__name__

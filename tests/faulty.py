"""Images that do to a worker what real decoders did: the end of the file says what."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from stub import StubBackend

from fixgrid.cache.scale import Scale
from fixgrid.cache.view import View
from fixgrid.embed import task
from fixgrid.embed.decode import Decoded, decode_image

ENDS = (b"segv", b"exit", b"hang", b"once")
TIRED_AFTER = 130  # calls


def spoil(path: Path, end: bytes) -> None:
    """Make an image of that kind; what follows the end of a PNG changes no pixel."""
    path.write_bytes(path.read_bytes() + end)


def _decode(data: bytes, scale: Scale) -> Decoded:
    if data.endswith(b"segv"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if data.endswith(b"exit"):
        os._exit(3)
    if data.endswith(b"hang"):
        time.sleep(3600)
    if data.endswith(b"once") and not os.path.exists(os.environ["FAULT_ONCE"]):
        Path(os.environ["FAULT_ONCE"]).touch()
        os._exit(9)
    return decode_image(data, scale)


def open_faulty(view: View) -> StubBackend:
    """An opener whose process decodes with the faults."""
    task.decode_image = _decode
    return StubBackend(view)


def open_asserting(view: View) -> StubBackend:
    """A trunk whose accelerator fails for good, in the first process only if ``FAULT_ONCE`` names a file."""

    class Asserting(StubBackend):
        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            once = os.environ.get("FAULT_ONCE")
            if not (once and os.path.exists(once)):
                Path(once or os.devnull).touch()
                raise RuntimeError("CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`")
            return super().__call__(pixels)

    return Asserting(view)


class _Dying(StubBackend):
    def __call__(self, pixels: object) -> object:
        os.kill(os.getpid(), signal.SIGKILL)


def open_dying(view: View) -> StubBackend:
    """A trunk that memory runs out for."""
    return _Dying(view)


def fail_to_open(view: View) -> StubBackend:
    """A trunk that ends its process while it is opened."""
    os._exit(7)


def break_open(view: View) -> StubBackend:
    """A bug of ours."""
    raise AssertionError("a bug")


def open_placed(view: View) -> StubBackend:
    """A trunk that notes in the folder ``NOTES`` where its process was placed."""
    Path(os.environ["NOTES"], f"{os.environ['PLACE']}-{os.getpid()}").touch()
    return open_faulty(view)


@dataclass(frozen=True)
class OpenFiled:
    """A trunk with a file, which notes in the folder ``notes`` where it was read."""

    folder: Path
    notes: Path

    def move(self, folder: Path) -> OpenFiled:
        return replace(self, folder=folder)

    def __call__(self, view: View) -> StubBackend:
        name = (self.folder / "of trunk" / "name").read_text()
        Path(self.notes, f"{name} {str(self.folder).replace('/', '|')}").touch()
        return StubBackend(view)


def open_slow(view: View) -> StubBackend:
    """Batches that take a while, so that a signal falls into one."""
    time.sleep(0.05)
    return _Slow(view)


class _Slow(StubBackend):
    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        time.sleep(0.02)
        return super().__call__(pixels)


def open_tiring(view: View) -> StubBackend:
    """Batches that end a first shard soon and the whole run late, however slowly the test comes to stop it."""
    return _Tiring(view)


class _Tiring(StubBackend):
    calls = 0  # of all views in this process

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        _Tiring.calls += 1
        time.sleep(0.02 if _Tiring.calls <= TIRED_AFTER else 0.5)
        return super().__call__(pixels)


def open_slow_decoder(view: View) -> StubBackend:
    """Images that take a while."""

    def decode(data: bytes, scale: Scale) -> Decoded:
        time.sleep(0.02)
        return decode_image(data, scale)

    task.decode_image = decode
    return StubBackend(view)


def open_narrow(view: View) -> object:
    """A torch backend on a device with room for two images."""
    import torch

    from fixgrid.embed.backends.torch_backend import TorchBackend

    def run(pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return pixels.float().flatten(1)[:, :6]

    return TorchBackend(run, batch=8)

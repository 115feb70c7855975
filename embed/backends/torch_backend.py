"""The torch backends: eager, folded and compiled, on a CPU or an accelerator.

An accelerator is kept busy: a batch is begun while the one before it computes, and copies go to and fro meanwhile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from fixgrid.cache.errors import UsageError

from ..task import Answer
from ..trunks.library import build_module
from ..trunks.trunk import assemble
from .pixels import PixelTrunk, fold_batch_norms
from .spec import BackendSpec

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
# What cuBLAS and cuDNN say, in a RuntimeError, when it was memory that they could not get.
NO_MEMORY = ("ALLOC_FAILED", "Unable to find a valid cuDNN algorithm", "unable to find an engine to execute")


class Link(Protocol):
    """How pixels get to a device, and features from it."""

    def send(self, part: NDArray[np.uint8]) -> Tensor:
        """The pixels on the device, perhaps still on their way; what uses them there waits for them."""
        ...

    def fetch(self, features: Tensor) -> Answer:
        """Begin to bring them here; the answer waits until they are."""
        ...


class SameMemory:
    """The link to a CPU."""

    def send(self, part: NDArray[np.uint8]) -> Tensor:
        """The pixels themselves."""
        return _wrap(part)

    def fetch(self, features: Tensor) -> Answer:
        """The features themselves."""
        return features.numpy


def _wrap(part: NDArray[np.uint8]) -> Tensor:
    """A tensor of the same memory, or of a copy where torch would warn that it may not write to it."""
    return torch.from_numpy(np.require(part, requirements=["C", "W"]))


class CudaLink:
    """The link to a CUDA device: pinned memory and a stream of its own, so that copies do not wait for kernels."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._copies = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(self, part: NDArray[np.uint8]) -> Tensor:
        """The pixels on the device, copied while kernels begun before still run."""
        pinned = _wrap(part).pin_memory()
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copies):
            pixels = pinned.to(self._device, non_blocking=True)
        computing.wait_stream(self._copies)
        pixels.record_stream(computing)  # its memory is not handed out again before they are done with it
        return pixels

    def fetch(self, features: Tensor) -> Answer:
        """Features in pinned memory; the answer waits for these alone, not for what was begun after them."""
        found = features.to("cpu", non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record(torch.cuda.current_stream(self._device))

        def wait() -> NDArray[np.float32]:
            arrived.synchronize()
            return found.numpy()

        return wait


class TorchBackend:
    """Runs a module in micro-batches that shrink when memory runs out.

    Parameters
    ----------
    run : callable
        Pixels tensor uint8 (B, H, W, 3) on `device` to features (B, D) there.
    batch : int
        Images per forward pass, to begin with.
    device, precision, name : str
    pad : bool
        Fill a short batch up to `batch`: a compiled graph fits one batch size.
    link : Link
        The one that fits `device`, if not given.

    Attributes
    ----------
    micro : int
        Images per forward pass that memory is known to allow; kept for the next call.
    notices : list of str
        One line per reduction; `embed.task.run_shard` takes them into its receipt.
    """

    def __init__(
        self,
        run: Callable[[Tensor], Tensor],
        *,
        batch: int,
        device: str = "cpu",
        precision: str = "fp32",
        name: str = "torch",
        pad: bool = False,
        link: Link | None = None,
    ) -> None:
        self.name, self.batch, self.micro, self.notices = name, batch, batch, list[str]()
        self._run, self._device, self._precision, self._pad = run, torch.device(device), precision, pad
        self._link = link or (CudaLink(self._device) if self._device.type == "cuda" else SameMemory())

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of a batch of any size, in its order: uint8 (B, H, W, 3) -> float32 (B, D).

        Raises
        ------
        UsageError
            If not even one image fits in memory.
        """
        return self.start(pixels)()

    def start(self, pixels: NDArray[np.uint8]) -> Answer:
        """Begin a batch; the answer waits for its features. Memory that runs out does so here.

        Parameters
        ----------
        pixels : uint8 array, shape (B, H, W, 3)

        Returns
        -------
        callable, giving a float32 array of shape (B, D)

        Raises
        ------
        UsageError
            If not even one image fits in memory.
        """
        answers: list[Answer] = []
        done = 0
        while done < len(pixels):
            part = pixels[done : done + self.micro]
            answer = self._try(part)
            if answer is None:
                self._shrink(len(part), pixels.shape)
            else:
                answers.append(answer)
                done += len(part)
        return lambda: np.concatenate([answer() for answer in answers])

    def _try(self, part: NDArray[np.uint8]) -> Answer | None:
        """The features to come, or None where the device's memory ran out."""
        wanted = len(part)
        if self._pad and wanted < self.micro:
            part = np.concatenate([part, np.repeat(part[-1:], self.micro - wanted, axis=0)])
        try:
            with torch.inference_mode(), self._autocast():
                return self._link.fetch(self._run(self._link.send(part)).float()[:wanted])
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            return None  # handled by the caller: here the traceback still holds the tensors

    def _autocast(self) -> Any:
        if self._precision == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, DTYPES[self._precision])

    def _shrink(self, failed: int, shape: tuple[int, ...]) -> None:
        height, width = shape[1:3]
        if failed == 1:
            raise UsageError(
                f"one image of {height} x {width} px does not fit in the memory of {self._device}: "
                "choose lower resolutions, or --device cpu"
            )
        self.micro = failed // 2
        self.notices.append(
            f"out of memory with {failed} images of {height} x {width} px: going on with {self.micro} at a time"
        )
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in NO_MEMORY)


def open_torch(spec: BackendSpec, res: int) -> TorchBackend:
    """A backend with its own copy of the trunk, channels last; batch norms folded unless it is eager.

    Parameters
    ----------
    spec : BackendSpec
        Of kind ``torch``, ``compile`` or ``eager``.
    res : int
        Side of an input (px) to trace the trunk with.
    """
    torch.set_num_threads(spec.threads)
    module = _open_program(spec, res) if spec.graphs else _rebuild(spec, res)
    if spec.device == "cpu":
        reuse_large_blocks()
    elif spec.precision == "fp32":
        torch.backends.cudnn.allow_tf32 = False  # TensorFloat-32 keeps 10 bits: not float32
    if spec.kind != "eager" and not spec.graphs:  # a program has no layers any more
        fold_batch_norms(module, torch.zeros(1, 3, res, res))
    whole: nn.Module = PixelTrunk(module, spec.preprocess).to(spec.device).to(memory_format=torch.channels_last)
    compiled = spec.kind == "compile"
    mode = "default" if spec.device == "cpu" else "reduce-overhead"  # with CUDA graphs
    return TorchBackend(
        torch.compile(whole, dynamic=False, mode=mode) if compiled else whole,
        batch=spec.batch,
        device=spec.device,
        precision=spec.precision,
        name=spec.kind,
        pad=compiled,
    )


def _rebuild(spec: BackendSpec, res: int) -> nn.Module:
    module = build_module(spec.architecture, spec.library).module
    module.load_state_dict(load_file(spec.weights))
    look = spec.name, module, spec.architecture, spec.preprocess, spec.rule, spec.nodes
    return assemble(*look, res, spec.library)


def _open_program(spec: BackendSpec, res: int) -> nn.Module:
    from torch.export.passes import move_to_device_pass

    program = torch.export.load(dict(spec.graphs)[res])
    if spec.device != "cpu":
        program = move_to_device_pass(program, spec.device)  # what the trunk makes on the way is made there, too
    return program.module()


def reuse_large_blocks() -> None:
    """Make glibc keep freed blocks of any size instead of returning them to the system.

    Eager torch frees and asks again for the same feature maps with every layer; with glibc's defaults
    each comes back as untouched pages. lite0 at 224 px: 19 images/s by default, 60 to 82 with both
    settings, no gain from either alone. Elsewhere than glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)

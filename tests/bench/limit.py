"""The limit: the fastest exact trunk, and the fastest decode and resize, each alone with every core.

One process per core, one thread each, repeats its work for the same time; their rates add up. The processes stay,
so that a measurement can be as short as the pauses of an extraction that it alternates with.
"""

from __future__ import annotations

import io
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from statistics import harmonic_mean
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fixgrid.cache.view import View
from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.backends.spec import BACKENDS, BackendSpec, import_runtime, open_backend
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.sizing import size_workers
from fixgrid.embed.trunks.trunk import Trunk
from fixgrid.embed.views import plan_crops, render_view

READY_IMAGES = 8
"""Images that a trunk process holds ready."""


class Cost(NamedTuple):
    """Of one image: seconds of the machine, and of its processors, which others that use them cannot take away."""

    wall_s: float
    cpu_s: float


def average(costs: Sequence[Cost]) -> Cost:
    """Of measurements that took the same time: all their seconds over all their images."""
    return Cost(harmonic_mean(cost.wall_s for cost in costs), harmonic_mean(cost.cpu_s for cost in costs))


Work = Callable[[], int]
"""Does some more of it and returns for how many images."""


def prepare_kinds(trunk: Trunk, resolutions: Sequence[int], folder: Path) -> list[BackendSpec]:
    """Every exact backend that this machine has and that needs no compiler."""
    kinds = [
        kind
        for kind, place in BACKENDS.items()
        if kind not in ("compile", "eager") and find_spec(import_runtime(place).package)
    ]
    threads = size_trunk(trunk)[1]
    specs = [prepare_backend(trunk, resolutions, kind=kind, folder=folder, threads=threads) for kind in kinds]
    return [spec for spec, kind in zip(specs, kinds, strict=True) if spec.kind == kind]


def size_trunk(trunk: Trunk) -> tuple[int, int]:
    """Processes and threads in each, as extraction has them."""
    sizing = size_workers(sum(tensor.nbytes for tensor in trunk.module.state_dict().values()), "cpu")
    return sizing.workers, sizing.threads


Parts = Mapping[str, tuple[Callable[..., Work], tuple[Any, ...]]]
"""Name to what opens the work in a process, given the process' photographs and these arguments."""


class Yardstick:
    """Processes that have every part of a limit ready, and do one of them together when told.

    Parameters
    ----------
    parts : Parts
    photos : sequence of Path
        Shared out to the processes.
    processes : int
    """

    def __init__(self, parts: Parts, photos: Sequence[Path], processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(processes)
        self._pipes, self._processes = [], []
        for i in range(processes):
            ours, theirs = context.Pipe()
            args = (theirs, parts, photos[i::processes], self._barrier)
            self._processes.append(context.Process(target=_serve, args=args, daemon=True))
            self._processes[-1].start()
            theirs.close()
            self._pipes.append(ours)

    def __enter__(self) -> Yardstick:
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes: they hold sessions and libraries."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.join()

    def measure(self, name: str, seconds: float) -> Cost:
        """Cost per image of a part, from so many seconds of it."""
        for pipe in self._pipes:
            pipe.send((name, seconds))
        found = [pipe.recv() for pipe in self._pipes]
        rate = sum(images / wall for images, wall, _ in found)
        return Cost(1 / rate, sum(cpu for *_, cpu in found) / sum(images for images, *_ in found))


def _serve(pipe: Any, parts: Parts, photos: Sequence[Path], barrier: Any) -> None:
    works: dict[str, Work] = {}
    while True:
        try:
            name, seconds = pipe.recv()
        except EOFError:
            return
        if name not in works:
            opener, args = parts[name]
            works[name] = opener(photos, *args)
            works[name]()
        barrier.wait(600)
        pipe.send(_repeat(works[name], seconds))


def _repeat(work: Work, seconds: float) -> tuple[int, float, float]:
    """Images done, seconds, processor seconds."""
    images, began, cpu_began = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        images += work()
    return images, time.perf_counter() - began, time.process_time() - cpu_began


def open_trunk(photos: Sequence[Path], spec: BackendSpec, res: int) -> Work:
    """The trunk alone, its pixels ready in memory."""
    backend = open_backend(spec, res)
    sides = (res, res)
    ready = [np.asarray(decode_rgb(path.read_bytes()).resize(sides)) for path in photos[:READY_IMAGES]]
    batches = cycle([np.stack(ready[i : i + backend.batch]) for i in range(0, len(ready), backend.batch)])
    return lambda: len(backend(next(batches)))


def open_decoder(photos: Sequence[Path], method: str, views: Sequence[View]) -> Work:
    """Reading, decoding and resizing to every view, by one of `METHODS`."""
    render = METHODS[method](views)
    paths = cycle(photos)

    def work() -> int:
        render(next(paths).read_bytes())
        return 1

    return work


def _render_views(views: Sequence[View]) -> Callable[[bytes], Any]:
    """As extraction does it."""

    def render(data: bytes) -> list[Any]:
        image = decode_rgb(data)
        return [render_view(image, view, bytes(32)) for view in views]

    return render


def _render_boxes(views: Sequence[View]) -> Callable[[bytes], Any]:
    """Pillow resizing only the crop's box."""

    def render(data: bytes) -> list[Any]:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        return [np.asarray(_resize_box(image, view)) for view in views]

    return render


def _resize_box(image: Image.Image, view: View) -> Image.Image:
    crop = plan_crops(view, *image.size, bytes(32))[0]
    across, down = image.width / crop.resized[0], image.height / crop.resized[1]
    left, top, right, bottom = crop.box
    box = (left * across, top * down, right * across, bottom * down)
    return image.resize(crop.out, Image.Resampling.BICUBIC, box=box)


def _render_tensors(views: Sequence[View]) -> Callable[[bytes], Any]:
    """torchvision decoding to uint8 tensors, resized by torch with antialias, then cropped."""
    import torch
    from torch.nn.functional import interpolate
    from torchvision.io import ImageReadMode, decode_image

    torch.set_num_threads(1)

    def render(data: bytes) -> list[Any]:
        image = decode_image(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)[None]
        return [cut(image, view) for view in views]

    def cut(image: Any, view: View) -> Any:
        crop = plan_crops(view, image.shape[-1], image.shape[-2], bytes(32))[0]
        left, top, right, bottom = crop.box
        resized = interpolate(image, crop.resized[::-1], mode="bicubic", antialias=True)
        return resized[..., top:bottom, left:right].contiguous()

    return render


METHODS: dict[str, Callable[[Sequence[View]], Callable[[bytes], Any]]] = {
    "views": _render_views,
    "pillow box": _render_boxes,
    "uint8 tensors": _render_tensors,
}

"""Whether this machine, its libraries and a cache are fit for an extraction, how fast it is, and what to do."""

from __future__ import annotations

import io
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fixgrid.cache.errors import CacheError, say_command
from fixgrid.cache.health import count_bad_rows, find_exposure, find_filesystem, verify_store
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View

from .decode import decode_rgb
from .sizing import WORKER_BYTES, choose_device, choose_precision, read_available_bytes, size_workers
from .trunks.identity import find_weights
from .views import render_view

PACKAGES = (
    "torch", "torchvision", "timm", "onnxruntime", "onnx", "numpy", "pillow", "h5py", "scikit-learn", "safetensors",
)  # fmt: skip
VOLATILE = ("tmpfs", "ramfs")
NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "afs",
    "ceph",
    "lustre",
    "gpfs",
    "beegfs",
    "fuse.sshfs",
    "fuse.s3fs",
)
LITTLE_BYTES = 1 << 30
PHOTO_PX = (500, 375)
TRAIN_VIEWS = 2
CONTENT = bytes(32)


class Check(NamedTuple):
    """What was looked at, ``ok``, ``warn`` or ``broken``, what was found, and what to do about it."""

    check: str
    state: str
    found: str
    do: str = ""


def shorten_check(check: Check) -> dict[str, str]:
    """A check for 80 columns, which have no room for a fourth: what to do follows what was found."""
    return {"check": check.check, "state": check.state, "found": "; ".join(filter(None, (check.found, check.do)))}


class Timing(NamedTuple):
    """One worker's ms per image decoded, per crop cut, and per crop through the trunk, and the trunk's backend."""

    decode_ms: float
    view_ms: float
    trunk_ms: float
    backend: str


def examine_installation() -> list[Check]:
    """Python, the libraries, whether torch and torchvision fit each other, cores, memory, accelerator."""
    versions = {package: _find_version(package) for package in PACKAGES}
    lacking = [package for package, found in versions.items() if not found]
    found = ", ".join(f"{package} {number or 'missing'}" for package, number in versions.items())
    libraries = Check("libraries", "broken" if lacking else "ok", found, _install() if lacking else "")
    pair = _check_pair(versions["torch"], versions["torchvision"])
    checks = [Check("python", "ok", platform.python_version()), libraries, pair, _check_memory()]
    return checks if pair.state == "broken" else [*checks, _check_device()]


def _find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _install() -> str:
    return "pip install -r requirements.txt"


def _check_pair(torch: str, torchvision: str) -> Check:
    """Torchvision's compiled operators load only beside the torch that they were built for."""
    name, found = "torch pair", f"torch {torch or 'missing'}, torchvision {torchvision or 'missing'}"
    try:
        import torch as library
        from torchvision.ops import nms

        nms(library.zeros(1, 4), library.zeros(1), 0.5)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        return Check(name, "broken", f"{found}: {reason}", _install())
    return Check(name, "ok", f"{found}: its operators load")


def _check_memory() -> Check:
    cores, free = len(os.sched_getaffinity(0)), read_available_bytes()
    found = f"{cores} cores, {free / 1e9:.1f} GB of memory free"
    if free < WORKER_BYTES * cores:
        return Check(
            "cores and memory", "warn", found, "close other programs; extract starts fewer workers till then"
        )
    return Check("cores and memory", "ok", found)


def _check_device() -> Check:
    import torch

    if choose_device("auto") == "cuda":
        return Check("accelerator", "ok", f"{torch.cuda.get_device_name()}, cuda {torch.version.cuda}")
    if Path("/proc/driver/nvidia").exists():
        return Check(
            "accelerator", "warn", "a driver, but this torch has no CUDA", "install a torch built for CUDA"
        )
    return Check("accelerator", "ok", "none; the CPU runs the trunk")


def examine_cache(root: Path, *, deep: bool = False) -> list[Check]:
    """Disk, file system and rights of a cache folder, and whether what it holds can be trusted.

    Parameters
    ----------
    root : Path
        Need not exist yet; nothing is written.
    deep : bool
        Read and hash every byte of features, too.
    """
    store = FeatureStore(root)
    there = next(folder for folder in (root.resolve(), *root.resolve().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    little = free < LITTLE_BYTES
    space = Check(
        "free disk",
        "warn" if little else "ok",
        f"{free / 1e9:.1f} GB",
        "free some, or name another --cache" * little,
    )
    return [space, _check_filesystem(root), _check_rights(store), _check_health(store, deep)]


def _check_rights(store: FeatureStore) -> Check:
    for found, cure in find_exposure(store):
        return Check("cache rights", "warn", found, cure)
    return Check("cache rights", "ok", "not everyone may write to it")


def _check_filesystem(root: Path) -> Check:
    mounts = Path("/proc/self/mountinfo")
    kind = find_filesystem(root, mounts.read_text(errors="replace")) if mounts.exists() else ""
    if kind in VOLATILE:
        return Check("file system", "warn", f"{kind}: gone after a restart", "name a --cache on a disk")
    if kind in NETWORK:
        advice = "run one extract at a time, or name a --cache on a local disk"
        return Check("file system", "warn", f"{kind}: locks between machines may not hold", advice)
    return Check("file system", "ok", kind or "unknown")


def _check_health(store: FeatureStore, deep: bool) -> Check:
    entries = store.entries()
    sealed = sum(entry.read_seal() is not None for entry in entries)
    if not store.folder.is_dir():
        return Check("cache", "ok", f"nothing in {store.root} yet", say_command("extract"))
    problems = verify_store(store, deep=deep)
    try:
        bad = count_bad_rows(store)
    except (CacheError, OSError) as error:
        problems.append(str(error))
        bad = 0
    found = f"{sealed} keys sealed, {len(entries) - sealed} incomplete, {bad} rows without features"
    if problems:
        return Check("cache", "broken", f"{found}; {len(problems)} damaged: {problems[0]}", "run its extract again")
    how = "every byte is as it was written" if deep else "features not hashed: --deep"
    return Check("cache", "ok", f"{found}; {how}", "run extract again" if sealed < len(entries) else "")


def examine_speed(trunk: str) -> list[Check]:
    """How fast a photograph of 500 x 375 px is decoded, cropped and run through a trunk here, and what that means.

    Parameters
    ----------
    trunk : str
        Timed only if its weights are on this machine.

    Raises
    ------
    FixgridError
        If the trunk cannot be loaded.
    """
    device = choose_device("auto")
    if not find_weights(trunk):
        decode, view = _time_pixels(View("center", 224, "bicubic", ("0", "0", "0"), ("1", "1", "1")))
        found = f"{decode:.1f} ms an image, {view:.1f} ms a crop; {trunk} is not here, so it was not timed"
        return [Check("speed", "ok", found)]
    timing, weights_bytes = _time_trunk(trunk, device)
    sizing = size_workers(weights_bytes, device)
    precision = choose_precision("auto", device)
    recommended = Check(
        "recommended",
        "ok",
        f"workers: {sizing.workers}, threads of the trunk in each: {sizing.threads}",
        f"{say_command('extract')} --workers {sizing.workers} --backend {timing.backend} --device {device} "
        f"--precision {precision}",
    )
    return [_describe_timing(timing, trunk), _find_bottleneck(timing, sizing.decoders), recommended]


def _describe_timing(timing: Timing, trunk: str) -> Check:
    found = (
        f"{timing.decode_ms:.1f} ms an image to decode, {timing.view_ms:.1f} ms a crop to cut, "
        f"{timing.trunk_ms:.1f} ms a crop for {trunk} on {timing.backend}, one worker"
    )
    return Check("speed", "ok", found)


def _find_bottleneck(timing: Timing, decoders: int) -> Check:
    """The larger share of an image's time, with the crops that extract takes of a training image by default."""
    crops = 1 + TRAIN_VIEWS
    pixels = timing.decode_ms / max(decoders, 1) + crops * timing.view_ms
    trunk = crops * timing.trunk_ms
    name = "the trunk" if trunk >= pixels else "decoding and cropping"
    found = f"{name}: {trunk:.1f} ms of trunk and {pixels:.1f} ms of pixels for an image of {crops} crops"
    return Check("bottleneck", "ok", found)


def _time_trunk(name: str, device: str) -> tuple[Timing, int]:
    from .backends.prepare import prepare_backend
    from .backends.spec import open_backend
    from .trunks.trunk import load_trunk

    trunk = load_trunk(name)
    look = trunk.preprocess
    view = View(
        "center",
        look.native_res,
        look.interpolation,
        look.mean,
        look.std,
        look.crop_ratio,
        crop_mode=look.crop_mode,
    )
    decode_ms, view_ms = _time_pixels(view)
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        precision = choose_precision("auto", device)
        spec = prepare_backend(trunk, [view.res], folder=Path(folder), device=device, precision=precision)
        backend = open_backend(spec, view.res)
        pixels = np.zeros((spec.batch, view.res, view.res, 3), np.uint8)
        trunk_ms = _time_ms(lambda: backend(pixels)) / spec.batch
    size = sum(tensor.nbytes for tensor in trunk.module.state_dict().values())
    return Timing(decode_ms, view_ms, trunk_ms, spec.kind), size


def _time_pixels(view: View) -> tuple[float, float]:
    """Ms to decode the generated photograph, and to cut one crop of it."""
    data = draw_jpeg()
    image = decode_rgb(data)
    return _time_ms(lambda: decode_rgb(data)), _time_ms(lambda: render_view(image, view, CONTENT))


def draw_jpeg() -> bytes:
    """A JPEG file of 500 x 375 px, smooth shapes with grain: 42 kB."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(PHOTO_PX, Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-12, 13, smooth.shape, dtype=np.int16)
    file = io.BytesIO()
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def _time_ms(work: Callable[[], object], seconds: float = 0.5) -> float:
    """Median ms of a call, over half a second after one call that is not counted."""
    work()
    times: list[float] = []
    while sum(times) < seconds:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))

"""What this machine affords an extraction: processes, threads, a device and a precision."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fixgrid.cache.errors import UsageError

from .engines.cluster import Hosts, count_slots, expect_ray

# A worker holds the trunk's weights, their packed copy, and the runtime with its largest feature maps.
WORKER_COPIES = 2.5
WORKER_BYTES = 400 << 20
MEMORY_SHARE = 0.7
WEIGHTS_SHARE = 0.25  # of an accelerator's memory, the rest of which is for feature maps
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Machine:
    """How this machine is to be used; nothing of it changes a number.

    Attributes
    ----------
    backend : str
        ``auto`` or one of `fixgrid.embed.backends`.
    device : str
        ``auto``, ``cpu``, ``cuda``, which is every accelerator that this process sees, or ``cuda:N``, one of them.
    workers : str
        ``auto`` or a number of processes.
    engine : str
        One of `fixgrid.embed.engines.engine.ENGINES`.
    ray_address : str
        See `fixgrid.embed.engines.cluster.Hosts`; ``local`` is as empty.
    gpus_per_worker : float, optional
        Of a Ray cluster; 1 on accelerators and 0 on CPUs if not given.
    """

    backend: str = "auto"
    device: str = "auto"
    workers: str = "auto"
    engine: str = "local"
    ray_address: str = ""
    gpus_per_worker: float | None = None

    def resolve(self) -> Machine:
        """The same with a device that is there.

        Raises
        ------
        UsageError
            If the one asked for is not, or what Ray is told does not fit.
        """
        if self.engine == "ray":
            expect_ray()
        found = replace(self, device=choose_device(self.device))
        found._expect_for_ray()
        return found

    def _expect_for_ray(self) -> None:
        gpus = self.gpus_per_worker
        given = {"--ray-address": self.ray_address, "--gpus-per-worker": gpus is not None}
        if self.engine != "ray":
            for option in (option for option, there in given.items() if there):
                raise UsageError(f"found {option} with --engine {self.engine}; expected --engine ray.")
        elif gpus is not None and not (0 <= gpus <= 1 or gpus == int(gpus) > 1):
            raise UsageError(f"found --gpus-per-worker {gpus:g}; expected a share of 1, as .5, or a whole number.")
        elif self.device.startswith("cuda:"):
            raise UsageError(f"found --device {self.device}, expected cuda: Ray chooses which one a worker has.")

    def size(self, weights_bytes: int) -> Sizing:
        """Workers, as `size_workers` and, on a Ray cluster, `size_actors` have it.

        Raises
        ------
        UsageError
            If their number is none, or there is no cluster.
        """
        sizing = size_workers(weights_bytes, self.device, self.workers)
        return size_actors(weights_bytes, self) if self.engine == "ray" else sizing

    def group(self, sizes: Sequence[int]) -> list[list[int]]:
        """Which trunks, of these sizes in bytes, every worker can hold together; each is in one group.

        A group leaves its largest trunk as many workers as it would have alone. A trunk that fits with no other is
        a group of its own.
        """
        groups: list[list[int]] = []
        for i in range(len(sizes)):
            fitting = (group for group in groups if self._fit([*(sizes[j] for j in group), sizes[i]]))
            if (group := next(fitting, None)) is not None:
                group.append(i)
            else:
                groups.append([i])
        return groups

    def _fit(self, sizes: Sequence[int]) -> bool:
        each = sum(sizes) * WORKER_COPIES + WORKER_BYTES
        fitting = self.size(max(sizes)).workers * each <= read_available_bytes() * MEMORY_SHARE
        return fitting and (self.device == "cpu" or sum(sizes) <= read_device_bytes(self.device) * WEIGHTS_SHARE)


@dataclass(frozen=True)
class Sizing:
    """Worker processes, trunk threads in each, and decoding threads in each (0: the worker decodes itself).

    Workers take turns on `environments`, of which each shows one of several accelerators. `hosts` is for engines
    that reach beyond this machine.
    """

    workers: int
    threads: int
    decoders: int
    environments: tuple[Mapping[str, str], ...] = ({},)
    hosts: Hosts = field(default_factory=Hosts)


def size_workers(weights_bytes: int, device: str, wanted: str = "auto") -> Sizing:
    """One single-thread worker per core, or fewer with more threads where memory is short.

    Parameters
    ----------
    weights_bytes : int
        Size of the trunk's parameters and buffers.
    device : str
        ``cpu``, or ``cuda``: one worker for each accelerator, whose share of the cores decodes. ``cuda:N`` has one
        worker, which sees all accelerators and takes that one.
    wanted : str
        ``auto`` or a number of workers.

    Raises
    ------
    UsageError
        If `wanted` is neither.
    """
    cores = len(os.sched_getaffinity(0))
    if wanted != "auto" and not (wanted.isdecimal() and int(wanted) > 0):
        raise UsageError(f"found --workers {wanted!r}; expected auto or a whole number of processes.")
    if device != "cpu":
        places = list_accelerators() if device == "cuda" else [device]
        workers = int(wanted) if wanted != "auto" else max(len(places), 1)
        shown = tuple({VISIBLE: place} for place in places) if len(places) > 1 else ({},)
        return Sizing(workers, 1, max(cores // workers - 1, 1), shown)
    each = weights_bytes * WORKER_COPIES + WORKER_BYTES
    fitting = max(1, int(read_available_bytes() * MEMORY_SHARE / each))
    workers = int(wanted) if wanted != "auto" else min(cores, fitting)
    return Sizing(workers, max(1, cores // workers), 0)


def size_actors(weights_bytes: int, machine: Machine) -> Sizing:
    """Workers of a Ray cluster: each has its threads' CPUs, an accelerator if it uses one, and its memory.

    A cluster of this machine alone has as many as `size_workers` has, or as many as share an accelerator. Elsewhere
    it is one a core, or an accelerator, where its memory allows it.

    Raises
    ------
    UsageError
        If there is no cluster.
    """
    elastic = machine.workers == "auto"
    gpus = machine.gpus_per_worker
    gpus = float(machine.device != "cpu") if gpus is None else gpus
    here = size_workers(weights_bytes, machine.device, "auto" if machine.ray_address else machine.workers)
    if gpus and elastic:
        here = size_workers(weights_bytes, machine.device, str(max(int(here.workers / gpus), 1)))
    if machine.ray_address in ("", "local"):
        hosts = Hosts("", here.threads + here.decoders, gpus)
        return replace(here, environments=({},), hosts=hosts)
    each = int(weights_bytes * WORKER_COPIES + WORKER_BYTES)
    hosts = Hosts(machine.ray_address, 1 + here.decoders, gpus, each, elastic)
    workers = max(count_slots(hosts), 1) if elastic else int(machine.workers)
    return Sizing(workers, 1, here.decoders, hosts=hosts)


def list_accelerators() -> list[str]:
    """What this process may use, as ``CUDA_VISIBLE_DEVICES`` names it."""
    import torch

    n = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return named if len(named) == n else [str(i) for i in range(n)]


def read_device_bytes(device: str) -> int:
    """Memory of an accelerator, of the smallest if `device` is all of them, bytes."""
    import torch

    numbers = range(torch.cuda.device_count()) if device == "cuda" else [int(device.partition(":")[2])]
    return min(torch.cuda.get_device_properties(i).total_memory for i in numbers)


def choose_device(wanted: str) -> str:
    """``cuda``, ``cuda:N`` or ``cpu``; ``auto`` takes all accelerators if there are any.

    Raises
    ------
    UsageError
        If `wanted` is not there.
    """
    known = ["cpu", *_list_cuda()]
    if wanted == "auto":
        return "cuda" if "cuda" in known else "cpu"
    if wanted not in known:
        alone = "" if len(known) > 1 else ": torch finds no accelerator"
        raise UsageError(f"found --device {wanted!r}; expected auto or {' or '.join(known)} here{alone}.")
    return wanted


def _list_cuda() -> list[str]:
    if not _has_cuda():
        return []
    import torch

    return ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]


def _has_cuda() -> bool:
    if not any(
        Path(driver).exists() for driver in ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
    ):
        return False  # without a driver, torch need not be asked: importing it takes seconds
    import torch

    return torch.cuda.is_available()


def choose_precision(wanted: str, device: str) -> str:
    """``fp32``, ``bf16`` or ``fp16``; ``auto`` is fp32 on a CPU and bf16 on an accelerator.

    Raises
    ------
    UsageError
        If `wanted` is none of these.
    """
    if wanted not in ("auto", "fp32", "bf16", "fp16"):
        raise UsageError(f"found the precision {wanted!r}; expected auto, fp32, bf16 or fp16.")
    if wanted != "auto":
        return wanted
    return "fp32" if device == "cpu" else "bf16"


def read_available_bytes() -> int:
    """Memory that can be had without swapping, bytes."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2

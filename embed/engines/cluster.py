"""A Ray cluster: found or started, and how many workers it has room for."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fixgrid.cache.errors import UsageError

OLDEST, TOO_NEW = (2, 50), (3, 0)
_OURS = "fixgrid"  # the namespace of a connection of ours, which is no notebook's
_STORE_BYTES = 128 << 20  # shared memory of a cluster of our own: jobs and receipts are small
_REACH_S = 5.0


@dataclass(frozen=True)
class Hosts:
    """Where workers may run beside this process, and what each takes there.

    Attributes
    ----------
    address : str
        ``auto`` or HOST:PORT of a Ray cluster; empty for one of this machine alone, started and ended by the run.
    cpus, gpus : float
        Of each worker.
    memory : int
        Of each worker, bytes.
    elastic : bool
        As many workers as there is room for, also on machines that come later.
    """

    address: str = ""
    cpus: float = 1
    gpus: float = 0
    memory: int = 0
    elastic: bool = False

    @property
    def needs(self) -> Mapping[str, float]:
        """What each worker takes, as Ray calls it."""
        return {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}

    def __str__(self) -> str:
        memory = f" and {self.memory / 1e9:.1f} GB" if self.memory else ""
        return f"{self.cpus:g} CPU{f', {self.gpus:g} GPU' if self.gpus else ''}{memory}"


def expect_ray() -> None:
    """Refuse a machine without a Ray that was tried.

    Raises
    ------
    UsageError
    """
    install = "pip install 'fixgrid[ray]'"
    try:
        found = version("ray")
    except PackageNotFoundError:
        raise UsageError(f"found no ray, which --engine ray needs: {install}.") from None
    release = tuple(int(part) for part in found.split(".")[:2] if part.isdecimal())
    if not OLDEST <= release < TOO_NEW:
        raise UsageError(f"found ray {found}, expected 2.50 or later and below 3 for --engine ray: {install}.")


@contextmanager
def join_cluster(hosts: Hosts, workers: int) -> Iterator[str]:
    """Be connected to a cluster, by a line that says which; one of this machine alone lasts no longer.

    Raises
    ------
    UsageError
        If there is no cluster at the address.
    """
    with tempfile.TemporaryDirectory(prefix="fixgrid-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        ray = connect(hosts, workers, folder)
        try:
            yield _describe(ray, hosts)
        finally:
            if ray.get_runtime_context().namespace == _OURS:
                with _keep_handlers():
                    ray.shutdown()
                ray._private.worker._worker_logs_enabled = True


def connect(hosts: Hosts, workers: int = 1, folder: str = "") -> Any:
    """Ray, connected: to the address, or to a cluster of `workers` started here, whose files go to `folder`.

    A connection that there is already is taken as it is.

    Raises
    ------
    UsageError
        If there is no cluster at the address.
    """
    expect_ray()
    with _keep_handlers():  # importing it and connecting take SIGTERM over
        import ray

        if not ray.is_initialized():
            quiet = {"namespace": _OURS, "log_to_driver": False, "logging_level": "ERROR"}
            if hosts.address:
                _expect_listening(hosts.address)
                _connect(ray, hosts.address, quiet)
            else:
                _start(ray, hosts, workers, folder, quiet)
            # Ray prints what its own processes say of a dead actor to stdout, whatever it is told about logs.
            ray._private.worker._worker_logs_enabled = False
    return ray


def count_slots(hosts: Hosts) -> int:
    """Workers that the machines of the cluster at an address have room for, whoever uses them now.

    Raises
    ------
    UsageError
        If there is no cluster at the address.
    """
    nodes = [node["Resources"] for node in connect(hosts).nodes() if node["Alive"]]
    needs = {name: need for name, need in hosts.needs.items() if need}
    return sum(min(int(node.get(name, 0) / need + 1e-6) for name, need in needs.items()) for node in nodes)


def _start(ray: Any, hosts: Hosts, workers: int, folder: str, quiet: Mapping[str, Any]) -> None:
    before = dict(os.environ)
    # Its processes import what this one does, and tell nobody of it.
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in sys.path),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    try:
        ray.init(
            address="local",
            num_cpus=int(workers * hosts.cpus),
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
            **quiet,
        )
    finally:
        os.environ.clear()
        os.environ.update(before)


def _connect(ray: Any, address: str, quiet: Mapping[str, Any]) -> None:
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"could not join the Ray cluster {address}: {reason}") from error


def _expect_listening(address: str) -> None:
    """Refuse what is no address, and one where nobody answers: Ray itself would try for minutes."""
    expected = "expected auto or HOST:PORT of a Ray cluster's head that this machine is part of"
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdecimal() or "/" in host:
        raise UsageError(f"found --ray-address {address!r}; {expected}, as 10.0.0.1:6379.")
    try:
        socket.create_connection((host, int(port)), timeout=_REACH_S).close()
    except OSError as error:
        reason = error.strerror or "no answer"
        raise UsageError(f"found nobody at --ray-address {address} ({reason}); {expected}.") from error


def _describe(ray: Any, hosts: Hosts) -> str:
    nodes, total = [node for node in ray.nodes() if node["Alive"]], ray.cluster_resources()
    whose = f"the Ray cluster at {ray.get_runtime_context().gcs_address}"
    if not hosts.address and ray.get_runtime_context().namespace == _OURS:
        whose = "a Ray cluster of this machine alone"
    gpus = f" and {total['GPU']:g} GPU" if total.get("GPU") else ""
    many = f", {len(nodes)} machines" if len(nodes) > 1 else ""
    return f"working on {whose}{many}: {total.get('CPU', 0):g} CPU{gpus}, {hosts} each worker"


@contextmanager
def _keep_handlers() -> Iterator[None]:
    """Signals are for whoever handled them before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(ValueError):  # not the main thread, where Ray takes none either
                signal.signal(number, handler)

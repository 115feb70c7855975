"""T4: disks without room: files that may not grow, and file systems too small for the features or their files."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from fixgrid.cache.disk import hash_file

from .kills import check, resume
from .result import Result
from .world import World, fork_extraction


def run_full_disk(size: int) -> Result:
    """T4: a file may not grow beyond a random size, as on a full disk; HDF5 alone would crash at exit."""
    result, rng = Result("T4 files that may not grow"), np.random.default_rng(4)
    with World() as world:
        for _ in range(size):
            limit, cache = int(rng.integers(100, 22_000)), world.fresh_cache()

            def prepare(limit: int = limit) -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

            child = fork_extraction(world, cache, prepare)
            judge_full_disk(world, cache, child.finish(), result, f"{limit} bytes a file")
            resume(world, cache, result, f"{limit} bytes a file")
    result.control = control_full_disk(20)
    return result


def judge_full_disk(
    world: World, cache: Path, end: tuple[int, list[tuple[int, int]], str], result: Result, what: str
) -> None:
    """One clear line, nothing half-written, and what was reported done is there."""
    code, acknowledged, said = end
    result.count("errors" if code == 5 else "checks")
    if (
        code == 5
        and not any(word in said for word in ("the disk is full", "for no more files", "GB free, expected"))
    ) or said.count("\n") > 1:
        result.fail(f"{what}: no clear line: {said}")
    if code not in (0, 5):
        result.fail(f"{what}: ended with {code}: {said[-300:]}", crashes=1)
    if list(cache.rglob(".tmp-*")):
        result.fail(f"{what}: a temporary file was left")
    check(world, cache, acknowledged, result, what)


def control_full_disk(size: int) -> str:
    """Plain h5py streaming rows into a file that may not grow."""
    rng, crashed, lost = np.random.default_rng(5), 0, 0
    with World(8) as world:
        for i in range(size):
            path, limit = world.folder / f"full{i}.h5", int(rng.integers(10_000, 200_000))
            pid = os.fork()
            if not pid:
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                with contextlib.suppress(OSError, RuntimeError):
                    file = h5py.File(path, "w")
                    rows = file.create_dataset("x", (4000, 64), "f4", chunks=(16, 64))
                    for n in range(0, 4000, 16):
                        rows[n : n + 16] = n
                        file.flush()
                h5py.h5.close()
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            crashed += os.WIFSIGNALED(status)
            try:
                with h5py.File(path) as file:
                    file["x"][0]
            except (OSError, RuntimeError, KeyError):
                lost += 1
    return f"{crashed}/{size} segfaults, {lost}/{size} files unreadable"


@contextlib.contextmanager
def mount_memory(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own on `folder`, gone afterwards.

    Raises
    ------
    PermissionError
        If this user may mount none.
    """
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def run_small_disks(size: int) -> Result:
    """T4: an extraction into a file system without room for its bytes or its files, then with room."""
    result, rng = Result("T4 file systems that fill up"), np.random.default_rng(16)
    with World() as world:
        whole = [hash_file(entry.sealed_file) for entry in world.entries(world.folder / "truth")]
        folder = world.folder / "disk"
        for i in range(size):
            room = f"nr_inodes={rng.integers(4, 48)}" if i % 3 == 2 else f"size={4 * rng.integers(1, 118)}k"
            try:
                with mount_memory(folder, room):
                    cache = folder / "cache"
                    judge_full_disk(world, cache, fork_extraction(world, cache).finish(), result, room)
                    subprocess.run(["mount", "-o", "remount,size=1g,nr_inodes=0", str(folder)], check=True)
                    resume(world, cache, result, room)
                    if [hash_file(entry.sealed_file) for entry in world.entries(cache)] != whole:
                        result.fail(f"{room}: resumed features differ from uninterrupted ones", wrong=1)
            except PermissionError as error:
                result.control = f"skipped: {error}"
                break
    return result

"""T1, T2, T5, T11, T14: processes that end, disks that refuse, writers that race."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import h5py
import numpy as np

from fixgrid.cache.disk import hash_file
from fixgrid.cache.errors import FixgridError
from fixgrid.embed import extraction

from .inject import ERRORS, OPERATIONS, Fault
from .result import Result
from .world import World, fork_extraction

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def check(world: World, cache: Path, acknowledged: list[tuple[int, int]], result: Result, what: str) -> None:
    """What was reported done is there."""
    try:
        lost = world.count_lost(cache, acknowledged)
    except FixgridError as error:
        result.fail(f"{what}: {error}", lost=len(acknowledged))
        return
    if lost:
        result.fail(f"{what}: {lost} rows lost", lost=lost)


def resume(world: World, cache: Path, result: Result, what: str) -> None:
    """The same command again ends with every row right."""
    code, _, said = fork_extraction(world, cache).finish()
    if code:
        result.fail(f"{what}: resuming ended with {code}: {said[-300:]}", crashes=1)
        return
    wrong = world.count_wrong(cache)
    if wrong:
        result.fail(f"{what}: {wrong} rows wrong", wrong=wrong)


def run_random_kills(size: int) -> Result:
    """T1 and T14: SIGKILL at random moments, run after run on one cache until it is complete."""
    result, rng = Result("T1 random kills, T14 resumed = whole"), np.random.default_rng(1)
    with World() as world:
        whole = [hash_file(entry.sealed_file) for entry in world.entries(world.folder / "truth")]
        began = time.monotonic()
        world.extract(world.fresh_cache())
        span = time.monotonic() - began
        while result.injected.get("kills", 0) < size:
            cache, code, acknowledged, patience = world.fresh_cache(), -9, [], span
            while code:
                child = fork_extraction(world, cache)
                time.sleep(rng.uniform(0, patience))
                patience *= 1.1  # the cores may be busier than when the span was measured
                os.kill(child.pid, signal.SIGKILL)
                code, done, said = child.finish()
                acknowledged += done
                if code not in (0, -9):
                    result.fail(f"ended with {code}: {said[-300:]}", crashes=1)
                    break
                if code:
                    result.count("kills")
                    check(world, cache, acknowledged, result, "after a kill")
            if [hash_file(entry.sealed_file) for entry in world.entries(cache)] != whole:
                result.fail("resumed features differ from uninterrupted ones", wrong=1)
    result.control = control_append(min(size, 40))
    return result


def control_append(size: int) -> str:
    """Plain h5py: one file, rows appended and flushed, a count beside them; killed at random moments."""
    rng, bad = np.random.default_rng(2), 0
    with World(8) as world:
        path = world.folder / "plain.h5"
        for _ in range(size):
            path.unlink(missing_ok=True)
            pid = os.fork()
            if not pid:
                with h5py.File(path, "w") as file:
                    rows = file.create_dataset("x", (0, 64), "f4", maxshape=(None, 64), chunks=(16, 64))
                    for n in range(1, 100_000):
                        rows.resize(n * 16, 0)
                        rows[-16:] = n
                        file.attrs["rows"] = n * 16
                        file.flush()
                os._exit(0)
            time.sleep(rng.uniform(0.02, 0.1))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            try:
                with h5py.File(path) as file:
                    n = int(file.attrs["rows"])
                    values = file["x"][:n, 0].reshape(-1, 16)
                    bad += not np.array_equal(values, np.arange(1, n // 16 + 1)[:, None].repeat(16, 1))
            except (OSError, KeyError, ValueError, RuntimeError):
                bad += 1
    return f"{bad}/{size} kills: file unreadable or rows wrong"


def run_kth_operation(size: int) -> Result:
    """T2: killed, or refused by the disk, at the k-th write, fsync, rename, unlink or mkdir."""
    result, rng = Result("T2 k-th write, fsync, rename, unlink"), np.random.default_rng(3)
    kinds: list[tuple[str, int | None]] = [("kill", None), *ERRORS.items()]
    with World() as world:
        for i in range(size):
            kind, error = kinds[i % len(kinds)]
            operation = OPERATIONS[i // len(kinds) % len(OPERATIONS)]
            k = int(rng.integers(1, {"write": 300, "fsync": 60, "mkdir": 7}.get(operation, 30)))
            what = f"{kind} at {operation} {k}"
            cache = world.fresh_cache()
            fault = Fault(operation, k, error, for_good=bool(i % 3))
            code, acknowledged, said = fork_extraction(world, cache, fault.install).finish()
            if code not in ((-9, 0) if error is None else (5, 0)):
                result.fail(f"{what}: ended with {code}: {said[-600:]}", crashes=1)
            if code:
                result.count("kills" if error is None else "errors")
                check(world, cache, acknowledged, result, what)
            resume(world, cache, result, what)
    return result


def run_racing_writers(size: int) -> Result:
    """T5: four writers of one key at once, with the lock and without."""
    result = Result("T5 four writers, lock on and off")
    with World() as world:
        whole = [hash_file(entry.sealed_file) for entry in world.entries(world.folder / "truth")]
        for i in range(size):
            cache, prepare = world.fresh_cache(), remove_lock if i % 2 else do_nothing
            children = [fork_extraction(world, cache, prepare) for _ in range(4)]
            for child in children:
                code, _, said = child.finish()
                result.count("checks")
                if code:
                    result.fail(f"a writer ended with {code}: {said[-600:]}", crashes=1)
            try:
                digests = [hash_file(entry.sealed_file) for entry in world.entries(cache)]
                wrong = world.count_wrong(cache)
            except (FixgridError, OSError) as error:
                result.fail(f"no features after four writers: {error}", lost=1)
                continue
            if wrong or digests != whole:
                result.fail("four writers left other features than one", wrong=max(wrong, 1))
    return result


def do_nothing() -> None:
    """The lock stays."""


def remove_lock() -> None:
    """As on a disk that has no locks."""
    extraction.hold_lock = lambda *args: contextlib.nullcontext()


def run_signals(size: int) -> Result:
    """T11: SIGINT, SIGTERM and SIGHUP at random moments, some twice."""
    result, rng = Result("T11 SIGINT, SIGTERM, SIGHUP"), np.random.default_rng(6)
    with World() as world:
        began = time.monotonic()
        world.extract(world.fresh_cache())
        span = time.monotonic() - began
        for i in range(size):
            cache, number = world.fresh_cache(), SIGNALS[i % 3]
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            child = fork_extraction(world, cache, take_signals)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            time.sleep(rng.uniform(0, span * 0.7))
            began = time.monotonic()
            for _ in range(1 + (i % 5 == 0)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, number)
            code, acknowledged, said = child.finish()
            result.count("kills" if code else "checks")
            if code not in (0, 130) or time.monotonic() - began > 5:
                result.fail(
                    f"{number.name}: ended with {code} after {time.monotonic() - began:.1f} s: {said[-300:]}",
                    crashes=1,
                )
            check(world, cache, acknowledged, result, number.name)
            resume(world, cache, result, number.name)
    return result


def take_signals() -> None:
    """Before the engine installs its handlers, a signal must not end the fork: that moment belongs to the shell.

    They are blocked until this one's handlers are there, or one that comes at once would end it by default.
    """
    for number in SIGNALS:
        signal.signal(number, lambda *args: os._exit(130))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

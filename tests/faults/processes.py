"""T10: real workers that segfault, exit, hang or run out of memory, and machines that have none to share."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from faulty import open_dying, open_faulty, spoil
from stub import run_stub
from zoo import list_manifest

from fixgrid.cache.errors import FixgridError
from fixgrid.embed.engines.engine import ENGINES
from fixgrid.embed.engines.local import LocalEngine

from .result import Result
from .world import VIEWS, World

# Real workers, whatever the suites have put in their place, that wait for no image long.
hasty = partial(LocalEngine, timeout_s=0.7)
ENGINES["hasty"] = f"{__name__}:hasty"

ENDS = (b"segv", b"exit", b"hang")


def run_broken_workers(size: int) -> Result:
    """Exactly the images that end their process are quarantined; a trunk that cannot live ends the run clearly."""
    result, rng = Result("T10 workers that crash, hang, are killed"), np.random.default_rng(14)
    for i in range(size):
        with World(40) as world:
            run_one(world, i, rng, result)
    return result


def run_one(world: World, i: int, rng: np.random.Generator, result: Result) -> None:
    """One extraction with up to three bad images, or a trunk that is killed."""
    opener: Callable[..., object] = open_dying if i % 5 == 4 else open_faulty
    bad = sorted(rng.choice(40, size=1 + i % 3, replace=False).tolist()) if opener is open_faulty else []
    for row in bad:
        spoil(world.data / "ab"[row % 2] / f"{row:04d}.png", ENDS[int(rng.integers(3))])
        result.count("kills")
    world.manifest = list_manifest(world.data)
    names = [f"{'ab'[row % 2]}/{row:04d}.png".encode() for row in bad]
    extraction = world.extraction(world.fresh_cache())
    try:
        outcome = run_stub(extraction, lambda views: opener, workers=2, engine="hasty", max_bad=0.5)
    except FixgridError as error:
        result.count("kills")
        if opener is not open_dying or "exit code -9" not in str(error):
            result.fail(f"run {i}: {error}", crashes=1)
        return
    found = [row.path for row in outcome.bad]
    if sorted(found) != sorted(names):
        result.fail(f"run {i}: quarantined {found}, expected {names}", wrong=1)
    for view in VIEWS:
        n = len(extraction.entries["train", view, "pooled"].open().load(world.rows).X)
        if n != 40 - len(bad):
            result.fail(f"run {i}: {n} rows, expected {40 - len(bad)}", lost=40 - len(bad) - n)


# What is done to /dev/shm in a mount namespace of its own, and how an extraction must end there.
SCARCITY = {
    "full": ("size=4k", "head -c 4096 /dev/zero > /dev/shm/full", 0),
    "without room for a file": ("size=1m,nr_inodes=1", "true", 1),
    "read-only": ("size=1m", "mount -o remount,ro /dev/shm", 1),
    "tiny": ("size=4k", "true", 0),
}


def run_scarce_memory(size: int) -> Result:
    """Shared memory that is full, or refuses: the run goes on elsewhere or ends in one line, and never hangs."""
    result = Result("T10 shared memory full or refused")
    with World(40, place=Path(tempfile.gettempdir())) as world:
        for i in range(size):
            name, (options, command, expected) = list(SCARCITY.items())[i % len(SCARCITY)]
            code, said = extract_in_scarcity(world, options, command)
            if code == NOT_ALLOWED:
                result.control = f"skipped: {said}"
                break
            result.count("errors")
            if code != expected or (code and "could not start a worker" not in said) or said.count("\n") > 1:
                result.fail(f"{name}: ended with {code}: {said[-300:]}", crashes=1)
            elif not code:
                wrong = world.count_wrong(world.folder / "cache")
                if wrong:
                    result.fail(f"{name}: {wrong} rows wrong", wrong=wrong)
    return result


NOT_ALLOWED = 77


def extract_in_scarcity(world: World, options: str, command: str) -> tuple[int, str]:
    """An extraction by real workers in a fork that sees another /dev/shm: exit code and what it said."""
    cache, pipe = world.fresh_cache(), os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            signal.alarm(60)
            mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", "/dev/shm"]
            new_mounts = 0x00020000  # CLONE_NEWNS of unshare(2)
            if ctypes.CDLL(None, use_errno=True).unshare(new_mounts):
                raise PermissionError(ctypes.get_errno(), "no mount namespace")
            for step in (["mount", "--make-rprivate", "/"], mount, ["sh", "-c", command]):
                subprocess.run(step, check=True, capture_output=True)
            run_stub(world.extraction(cache), workers=2, engine="hasty")
            code = 0
        except (PermissionError, subprocess.CalledProcessError) as error:
            os.write(pipe[1], f"{error}\n".encode())
            code = NOT_ALLOWED
        except FixgridError as error:
            os.write(pipe[1], f"{error}\n".encode())
        except BaseException as error:  # noqa: BLE001 - a fork must never return into the suite
            os.write(pipe[1], repr(error).encode())
        finally:
            os._exit(code)
    os.close(pipe[1])
    with open(pipe[0]) as stream:
        said = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said

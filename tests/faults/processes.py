"""T10: real worker processes that segfault, exit, hang or run out of memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from faulty import open_dying, open_faulty, spoil
from stub import SilentWatcher
from zoo import list_manifest

from cache.errors import FixgridError
from embed import engine, workers

from .result import Result
from .world import VIEWS, Inline, World

ENDS = (b"segv", b"exit", b"hang")


def run_broken_workers(size: int) -> Result:
    """Exactly the images that end their process are quarantined; a trunk that cannot live ends the run clearly."""
    result, rng = Result("T10 workers that crash, hang, are killed"), np.random.default_rng(14)
    try:
        for i in range(size):
            engine.Supervisor = Inline
            with World(40) as world:
                run_one(world, i, rng, result)
    finally:
        engine.Supervisor = Inline
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
    engine.Supervisor = workers.Supervisor
    try:
        outcome = extraction.run(lambda views: opener, SilentWatcher(), workers=2, timeout_s=0.7, max_bad=0.5)
    except FixgridError as error:
        result.count("kills")
        if opener is not open_dying or "exit code -9" not in str(error):
            result.fail(f"run {i}: {error}", crashes=1)
        return
    found = [row.path for row in outcome.bad]
    if sorted(found) != sorted(names):
        result.fail(f"run {i}: quarantined {found}, expected {names}", wrong=1)
    for view in VIEWS:
        n = len(extraction.entries["train", view].load(world.rows).X)
        if n != 40 - len(bad):
            result.fail(f"run {i}: {n} rows, expected {40 - len(bad)}", lost=40 - len(bad) - n)

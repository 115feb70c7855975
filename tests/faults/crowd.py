"""T17: extract, cache gc, cache verify, predict and readers at once, again and again, on one cache."""

from __future__ import annotations

import contextlib
import json
import os
import time
import traceback
from collections.abc import Callable
from typing import TextIO

import numpy as np
from stub import TRUNK, run_stub
from zoo import draw_photo, encode, list_manifest

from fixgrid.cache.errors import CacheError, DataError
from fixgrid.cache.garbage import collect_garbage
from fixgrid.cache.health import verify_store
from fixgrid.cache.holdings import find_holdings
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.replica import adopt_known

from .result import Result
from .world import VIEWS, World

EXTRA = 6
SPAN_S = 4.0


class Crowd:
    """What each process does in one round, on a data set that loses or gains an image in every round."""

    def __init__(self, world: World) -> None:
        self.world, self.cache = world, world.fresh_cache()
        self.extra = [world.data / "ab"[i % 2] / f"x{i}.png" for i in range(EXTRA)]
        for i, path in enumerate(self.extra):
            path.write_bytes(encode(draw_photo(24, 20, 5000 + i)))
        world.manifest = list_manifest(world.data)
        world.truth = world.learn_truth()
        world.extract(self.cache)
        self.rng = np.random.default_rng(17)

    def extract(self) -> None:
        path = self.extra[int(self.rng.integers(EXTRA))]
        if path.exists():
            path.unlink()
        else:
            path.write_bytes(encode(draw_photo(24, 20, 5000 + self.extra.index(path))))
        self.world.manifest = list_manifest(self.world.data)
        self.world.extract(self.cache)

    def collect_garbage(self) -> None:
        collect_garbage(FeatureStore(self.cache))

    def verify(self) -> None:
        problems = verify_store(FeatureStore(self.cache))
        if problems:
            raise AssertionError(f"called damaged: {problems[0]}")

    def read(self) -> None:
        """Whatever a reader is given is right; that it was removed meanwhile may be said."""
        with contextlib.suppress(CacheError):
            holdings = find_holdings(FeatureStore(self.cache))
            for split, kind, res in holdings.entries:
                found, view = holdings.load(split, kind, res), [v.kind for v in VIEWS].index(kind)
                truth = [self.world.truth[content.tobytes(), view] for content in found.sha256]
                np.testing.assert_array_equal(found.X, np.stack(truth))

    def predict(self) -> None:
        """Of images that may be gone meanwhile, which may be said."""
        manifest = self.world.manifest
        extraction = Extraction(FeatureStore(self.cache / "predictions"), manifest, TRUNK, {"train": VIEWS[:1]})
        with contextlib.suppress(DataError):
            adopt_known(extraction, FeatureStore(self.cache))
            run_stub(extraction, max_bad=1.0)


def run_crowd(size: int) -> Result:
    """`size` rounds of everything at once; at the end, every row is there and right."""
    result = Result("T17 extract, gc, verify, read at once")
    for _ in range(size):
        with World(24) as world:
            crowd = Crowd(world)
            jobs = (crowd.extract, crowd.collect_garbage, crowd.verify, crowd.read, crowd.predict)
            for pipe in [fork_loop(job) for job in jobs]:
                name, said = json.loads(pipe.read())
                pipe.close()
                os.wait()
                result.count("checks")
                if said:
                    result.fail(f"{name}: {said}", crashes=1)
            world.manifest = list_manifest(world.data)
            world.extract(crowd.cache)
            wrong = world.count_wrong(crowd.cache)
            damaged = verify_store(FeatureStore(crowd.cache))
            if wrong or damaged:
                result.fail(f"in the end {wrong} rows wrong, damaged {damaged}", wrong=max(wrong, 1))
    return result


def fork_loop(job: Callable[[], None]) -> TextIO:
    """A fork that does its job until time is up; on the pipe, its name and what went wrong."""
    ours, theirs = os.pipe()
    if os.fork():
        os.close(theirs)
        return os.fdopen(ours)
    said, end = "", time.monotonic() + SPAN_S
    try:
        while time.monotonic() < end and not said:
            job()
    except BaseException:  # noqa: BLE001 - a fork must never return into the suite
        said = traceback.format_exc()[-600:]
    finally:
        os.write(theirs, json.dumps([job.__name__, said]).encode())
        os._exit(0)

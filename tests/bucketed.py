"""A machine that extracts into a bucket."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from bucket import Bucket
from numpy.typing import NDArray
from stub import TRUNK, StubBackend, center, run_stub, train
from zoo import list_manifest

from fixgrid.cache.mirror import open_folder
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View
from fixgrid.embed import plan, portion
from fixgrid.embed.extraction import Extraction


class Slow(StubBackend):
    """The stub, which takes its time."""

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(float(os.environ["PAUSE_S"]))
        return super().__call__(pixels)


def open_slow(views: Sequence[View]) -> Callable[[View], StubBackend]:
    """What `run_pass` calls."""
    return Slow


def write(data: str, cache: str, part: str) -> int:
    """Extract all images, or a part of them; how many were decoded."""
    portion.MIN_ROWS = plan.MIN_SHARD_ROWS = 8
    index, _, count = part.partition("/")
    mine = portion.Portion(int(index), int(count)) if part else None
    manifest = list_manifest(Path(data), {split: split for split in ("train", "val", "test")})
    views = {"train": [train(8), center(8)], "val": [center(8)], "test": [center(8)]}
    extraction = Extraction(FeatureStore(open_folder(cache)), manifest, TRUNK, views)
    return run_stub(extraction, open_slow, portion=mine).decoded


def start_writer(
    bucket: Bucket, mirror: Path, data: Path, cache: str, part: str = "", pause: float = 0.0
) -> subprocess.Popen[str]:
    """An extraction on a machine of its own: nothing but the bucket and the images is shared."""
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent)])
    told = {"FIXGRID_MIRROR": str(mirror), "PYTHONPATH": paths, "PAUSE_S": str(pause)}
    script = "import sys, bucketed; print(bucketed.write(*sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", script, str(data), cache, part],
        env={**os.environ, **bucket.environment, **told},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )

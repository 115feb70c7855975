"""Seconds and memory of a data set's rows, from the listing to the jobs: ``python -m tests.bench.rows 1000000``.

Images are made up: paths of some 40 bytes in 1,000 classes, contents that are random numbers. ``--dealt`` leaves
the splits to be dealt. Each step's peak is of the process, in bytes a row above what it weighed before the first.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fixgrid.cache.adopt import Donors, adopt_rows
from fixgrid.cache.entry import Entry
from fixgrid.cache.key import Spec
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import list_manifests, write_manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View
from fixgrid.embed import hashes, manifest
from fixgrid.embed.plan import Goal, plan_jobs
from fixgrid.embed.sources.images import Image, Images
from fixgrid.embed.sources.source import Listing

CLASSES, SPLITS = 1000, ("train",) * 7 + ("val", "test", "test")


def list_images(n: int, dealt: bool) -> Iterator[Image]:
    """As a folder of class folders, in its order."""
    each = -(-n // CLASSES)
    for i in range(n):
        name = f"class_{i // each:04d}"
        split = "" if dealt else SPLITS[i % 10]
        yield Image(b"images/%s/photograph_%09d.jpg" % (name.encode(), i), name, split)


class Steps:
    """Prints what each step took."""

    def __init__(self, n: int) -> None:
        self.n, self.base = n, measure_peak()

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        """The step's own result."""
        began = time.perf_counter()
        result = step()
        seconds, peak = time.perf_counter() - began, measure_peak() - self.base
        print(f"{name:<28} {seconds:8.1f} s {peak / 2**20:9.0f} MB peak {peak / self.n:7.0f} bytes/row", flush=True)
        return result


def measure_peak() -> int:
    """Most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def make_hashes(n: int) -> hashes.Hashes:
    """Contents that are all different."""
    content = np.random.default_rng(0).integers(0, 256, (n, 32), np.uint8)
    return hashes.Hashes(np.full(n, 100_000, np.int64), content, ())


def make_goals(store: FeatureStore, rows: dict[str, Rows]) -> list[Goal]:
    """Four resolutions of every split."""
    goals = []
    for res in (128, 160, 192, 224):
        view = View("center", res, "bicubic", ("0.5",) * 3, ("0.5",) * 3)
        for split, part in rows.items():
            trunk = {"architecture": "none", "node": "pooled", "weights_sha256": "0" * 64}
            spec = Spec(trunk, view.to_spec(), {}, "fp32", "float32", 1, 1280, len(part), part.digest)
            goals.append(Goal(split, part, view, store.entry(spec), np.ones(len(part), np.bool_)))
    return goals


def begin(goals: list[Goal], store: FeatureStore) -> None:
    """Folders with rows, rows that others have, rows that are missing: as an extraction begins."""
    donors = Donors(store)
    for goal in goals:
        entry: Entry = goal.entry
        entry.create(goal.rows)
        adopt_rows(donors, entry, goal.rows)
        entry.find_missing()


def main() -> None:
    """All steps, one after another, in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int)
    parser.add_argument("--dealt", action="store_true")
    told = parser.parse_args()
    steps = Steps(told.rows)
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        made = [steps.run("list", lambda: Listing(b"/made/up", Images.gather(list_images(told.rows, told.dealt))))]
        manifest.list_source = lambda *_: made.pop()
        manifest.hashes.hash_files = lambda root, paths, **_: make_hashes(len(paths))
        read: Manifest = steps.run("split, labels, notes", lambda: manifest.read_manifest("x", cache_dir=cache)[0])
        store = FeatureStore(cache)
        steps.run("digest of rows", lambda: [rows.digest for rows in read.splits.values()])
        steps.run("write the record", lambda: write_manifest(store.folder / "data", read))
        steps.run("read the record", lambda: list_manifests(store.folder / "data"))
        goals = steps.run("keys", lambda: make_goals(store, read.splits))
        steps.run("begin 12 keys", lambda: begin(goals, store))
        jobs = steps.run("plan jobs", lambda: plan_jobs(goals, "/made/up"))
        print(f"{len(jobs)} jobs")


if __name__ == "__main__":
    main()

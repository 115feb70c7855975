"""``python -m tests.bench.large N D K [--memory 3GB] [--limit 4GB]``: heads of more features than memory.

Writes a cache of N training rows (float16) of K classes by the cache's own writers, fits by `fixgrid.fit_head` or
`fixgrid.grid` in a process that may not have more than ``--limit`` of its own, and prints seconds and peak. With
``--compare`` the same fit is done in memory too, and what differs is printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import fixgrid
from fixgrid.cache import schema
from fixgrid.cache.disk import commit_stream
from fixgrid.cache.key import Spec
from fixgrid.cache.rows import Manifest, Rows
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.sealed import write_seal
from fixgrid.cache.shard import Shard, arrays_of, row_checksums
from fixgrid.cache.store import FeatureStore
from fixgrid.embed.trunks.costs import COSTS_FILE, _remember
from fixgrid.embed.watcher import Quiet
from fixgrid.heads.artifact import load_head
from fixgrid.memory import read_memory

STEP = 4096


def make_cache(folder: Path, n: int, d: int, k: int, held: int, spread: float) -> None:
    """A data set in the order of its classes, as folders are: means, correlated noise, unequal scales."""
    store = FeatureStore(folder)
    rng = np.random.default_rng(0)
    means = rng.normal(size=(k, d)).astype(np.float32)
    turn = rng.normal(size=(d, d)).astype(np.float32) * (np.geomspace(1, 0.05, d) / np.sqrt(d))[:, None]
    turn = turn.astype(np.float32)
    sizes = {"train": n, "val": held, "test": held}
    splits = {name: _make_rows(size, k, name) for name, size in sizes.items()}
    write_manifest(store.folder / "data", Manifest("large", str(folder), tuple(map(str, range(k))), splits))
    _remember(folder / COSTS_FILE, {"drawn": 1, "drawn 224": 1})  # or all libraries of trunks are looked through
    for name, rows in splits.items():
        entry = store.entry(_make_spec(rows, d))
        entry.create(rows)
        commit_stream(
            entry.sealed_file,
            lambda file, rows=rows, spec=entry.spec: _write(file, rows, spec, means, turn, spread),
        )
        write_seal(entry.folder, entry.spec, {"trunk": "drawn"})
        print(f"{name}: {entry.sealed_file.stat().st_size / 1e9:.2f} GB", flush=True)


def _make_rows(n: int, k: int, split: str) -> Rows:
    labels = np.arange(n, dtype=np.int64) * k // n
    digests = np.random.default_rng(len(split)).integers(0, 256, (n, 32), dtype=np.uint8)
    paths = tuple(b"%s/%d/%d.jpg" % (split.encode(), label, i) for i, label in enumerate(labels))
    return Rows(paths, np.full(n, 100, np.int64), digests, labels)


def _make_spec(rows: Rows, d: int) -> Spec:
    view = {"kind": "center", "res": 224, "crop_ratio": "0.875", "mean": ("0.5",) * 3, "std": ("0.5",) * 3}
    return Spec(
        trunk={"architecture": "drawn", "node": "pooled", "weights_sha256": "0" * 64},
        view={**view, "resize": "short-side", "interpolation": "bicubic"},
        decode={"exif": "apply"},
        precision="fp32",
        dtype="float16",
        views=1,
        dim=d,
        rows=len(rows),
        rows_sha256=rows.digest,
    )


def _write(file: Any, rows: Rows, spec: Spec, means: np.ndarray, turn: np.ndarray, spread: float) -> None:
    rng = np.random.default_rng(int(rows.sha256[0, 0]))
    with h5py.File(file, "w") as out:
        for name, (dtype, shape) in arrays_of(spec, spec.rows).items():
            schema.write_array(out, name, shape, dtype)
        for start in range(0, len(rows), STEP):
            part = slice(start, min(start + STEP, len(rows)))
            noise = rng.standard_normal((part.stop - start, spec.dim), np.float32)
            X = (noise + spread * means[rows.labels[part]]) @ turn + 1
            block = Shard(start, X[:, None].astype(np.float16), np.zeros(len(X), np.uint8), np.zeros((len(X), 3)))
            out["features"][part], out["status"][part] = block.features, block.status
            out["row"][part], out["row_crc"][part] = np.arange(start, part.stop), row_checksums(spec.key, block)


class Printed(Quiet):
    """Prints what it is told."""

    def notice(self, text: str) -> None:
        """On standard error, behind what the program has written."""
        print(text, file=sys.stderr, flush=True)


def fit(
    cache: str, families: str, strengths: str | None, memory: str, grid: bool, limit: str | None
) -> dict[str, Any]:
    """What a fit gives: seconds, peak of its own memory, and what it says."""
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (read_memory(limit),) * 2)
    asked: dict[str, Any] = {"cache": cache, "heads": families, "strengths": strengths, "memory": memory}
    asked["watcher"] = Printed()
    begun = time.perf_counter()
    if grid:
        cells = fixgrid.grid(**asked).cells
        said = {cell.family: [cell.strength, cell.val.value, cell.test.value] for cell in cells}
    else:
        kept = fixgrid.fit_head(**asked)
        head = load_head(kept.files[0]).head
        said = {"test": kept.record["test"], "strength": head.strength, "files": str(kept.files[0])}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {"seconds": round(time.perf_counter() - begun, 1), "peak_gb": round(peak / 1e9, 2), "found": said}


def run(options: argparse.Namespace, cache: str, memory: str, limit: str | None) -> dict[str, Any]:
    """The same in a process of its own; cells that are remembered are forgotten before."""
    shutil.rmtree(Path(cache) / "cells", ignore_errors=True)
    words = [sys.executable, "-m", "tests.bench.large", "--fit", cache, "--memory", memory]
    words += ["--families", options.families, *(["--strengths", options.strengths] if options.strengths else [])]
    words += ["--grid"] * options.grid + (["--limit", limit] if limit else [])
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Print what is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large")
    parser.add_argument("shape", type=int, nargs="*", metavar="N D K")
    parser.add_argument("--memory", default="3GB")
    parser.add_argument("--families", default="ridge,lda,mean")
    parser.add_argument("--strengths")
    parser.add_argument("--held", type=int, default=20000, help="Images of val, and of test.")
    parser.add_argument("--spread", type=float, default=0.12, help="Of the class means.")
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--cache", help="Made before, or to be kept.")
    parser.add_argument("--limit", help="Memory of its own that the process may have at all, as in 4GB.")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        asked = options.fit, options.families, options.strengths, options.memory, options.grid, options.limit
        print(json.dumps(fit(*asked)))
        return
    with tempfile.TemporaryDirectory(prefix="fixgrid-large-") as scratch:
        cache = options.cache or scratch
        if not (Path(cache) / "v1").exists():
            begun = time.perf_counter()
            make_cache(Path(cache), *options.shape, options.held, options.spread)
            print(f"written in {time.perf_counter() - begun:.0f} s", flush=True)
        print("streamed ", run(options, cache, options.memory, options.limit), flush=True)
        if options.compare:
            print("in memory", run(options, cache, "1TB", None), flush=True)


if __name__ == "__main__":
    main()

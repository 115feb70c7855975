"""Heads from more rows than memory: ``python -m tests.bench.blocks FOLDER write|streamed|memory ROWS``."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from fixgrid.cache.key import Spec
from fixgrid.cache.rows import Rows
from fixgrid.cache.shard import Shard, commit_shard
from fixgrid.cache.store import FeatureStore
from fixgrid.heads.certify import certify_head
from fixgrid.heads.closed import RidgePath
from fixgrid.heads.design import rotate_features, stream_features
from fixgrid.heads.logistic import LogisticPath

D, K, STEP = 2048, 120, 8192
C, ALPHA = 1e-3, 10.0
CAP_BYTES = 2 * 10**9


def name_rows(n):
    """Rows of images that nobody has: their digests are their numbers."""
    sha256 = np.zeros((n, 32), np.uint8)
    sha256[:, :8] = np.arange(n, dtype=np.int64)[:, None].view(np.uint8)
    labels = np.random.default_rng(1).integers(0, K, n)
    return Rows(tuple(b"%d" % i for i in range(n)), np.ones(n, np.int64), sha256, labels)


def open_entry(folder, rows):
    spec = Spec(
        trunk={"architecture": "drawn", "node": "pooled", "weights_sha256": "0" * 64},
        view={"kind": "center", "res": 224},
        decode={"exif": "apply"},
        precision="fp32",
        dtype="float16",
        views=1,
        dim=D,
        rows=len(rows),
        rows_sha256=rows.digest,
    )
    return FeatureStore(Path(folder)).entry(spec)


def write(folder, rows):
    """Noise of spectrum 1 / sqrt(j) about class means."""
    entry = open_entry(folder, rows)
    entry.create(rows)
    world = np.random.default_rng(99)
    spread = np.sqrt(1 / np.arange(1, D + 1)).astype(np.float32)
    centres = world.standard_normal((K, D), np.float32) * spread * 0.6
    for start in range(0, len(rows), STEP):
        y = rows.labels[start : start + STEP]
        X = centres[y] + np.random.default_rng(start).standard_normal((len(y), D), np.float32) * spread
        part = X.astype(np.float16)[:, None]
        commit_shard(entry.shards_folder, entry.spec.key, Shard(start, part, np.zeros(len(y), np.uint8)))
    entry.seal({"trunk": "drawn"})
    entry.drop_shards()
    return {}


def fit(design):
    """Ridge, then logistic regression; seconds of each."""
    began = time.perf_counter()
    ridge = RidgePath(design).head(ALPHA)
    between = time.perf_counter()
    path = LogisticPath(design)
    head = path.head(C)
    end = time.perf_counter()
    solution = path.solve(C)
    figures = {"ridge_s": between - began, "logistic_s": end - between}
    return ridge, head, figures | {"steps": solution.steps, "gap": solution.gap, "objective": solution.objective}


def streamed(folder, rows):
    sealed = open_entry(folder, rows).open()
    sealed.check_digest()

    def blocks():
        return ((part.X[:, 0], part.y) for part in sealed.read_blocks(rows, checked=True))

    resource.setrlimit(resource.RLIMIT_DATA, (CAP_BYTES, CAP_BYTES))
    began = time.perf_counter()
    design = stream_features(blocks, K)
    measured = time.perf_counter() - began
    ridge, head, figures = fit(design)
    np.savez(Path(folder, "streamed.npz"), ridge=ridge.coef, logistic=head.coef, bias=head.intercept)
    return {"moments_s": measured, **figures}


def memory(folder, rows):
    """The same fits from an array, and how far the streamed ones are from them."""
    found = open_entry(folder, rows).open().load(rows)
    X, y = found.X[:, 0].astype(np.float32), found.y
    began = time.perf_counter()
    design = rotate_features(X, y, K)
    measured = time.perf_counter() - began
    ridge, head, figures = fit(design)
    other = np.load(Path(folder, "streamed.npz"))

    def apart(found, name):
        return float(np.linalg.norm(found.coef - other[name]) / np.linalg.norm(found.coef))

    guess = (X @ other["logistic"].T + other["bias"]).argmax(1)
    return {
        "moments_s": measured,
        **figures,
        "certified_gap": certify_head(head, design.axes, lambda: [(X, y)])[1],
        "ridge_relative_difference": apart(ridge, "ridge"),
        "logistic_relative_difference": apart(head, "logistic"),
        "logistic_equal_predictions": float((guess == head.predict(X)).mean()),
    }


if __name__ == "__main__":
    folder, task, count = sys.argv[1:]
    tasks = {"write": write, "streamed": streamed, "memory": memory}
    print(json.dumps(tasks[task](folder, name_rows(int(count)))))

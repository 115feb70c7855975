"""T15k: 21,843 classes, two images each, fitted, chosen on val and scored in a child of less than 1 GB."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixgrid.heads.families import FAMILIES
from fixgrid.heads.measuring import measure_head
from fixgrid.heads.select import Fold, choose_strength

from .result import Result

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"mean": (1.0,), "ridge": (1e2, 1e1), "lda": (0.5,)}
MAX_BYTES = 1_000_000_000
N_FEATURES, N_VAL = 64, 3000


def draw_classes(n_classes: int, rows: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """Features of images of the classes ``rows``, well apart: float32, shape (n, N_FEATURES)."""
    centres = np.random.default_rng(0).standard_normal((n_classes, N_FEATURES), dtype=np.float32)
    noise = np.random.default_rng(seed).standard_normal((len(rows), N_FEATURES), dtype=np.float32)
    return centres[rows] + 0.2 * noise


def fit_many_classes(n_classes: int) -> None:
    """One line per kind of head: name, accuracy on val, peak bytes of this process so far.

    The strength is chosen on val, of two by ridge.

    A head's scores of n images take 4 n K bytes, 262 MB for 3,000, where
    figures are measured; choosing looks at blocks of rows. Logistic regression is not run here: it keeps float32
    logits of the n training rows and their copies along a line, at least 8 n K bytes (7.6 GB for two rows of each
    of 21,843 classes).
    """
    y = np.repeat(np.arange(n_classes), 2)
    X = draw_classes(n_classes, y, 1)
    y_val = np.random.default_rng(3).integers(0, n_classes, N_VAL)
    X_val = draw_classes(n_classes, y_val, 2)
    classes = [str(i) for i in range(n_classes)]
    for name, strengths in KINDS.items():
        chosen = choose_strength([Fold(FAMILIES[name][0](X, y, n_classes), X_val, y_val)], strengths)
        found = measure_head(chosen.heads[0].scores(X_val), y_val, classes)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(name, found.top1.value, peak, flush=True)


def run_many_classes(size: int) -> Result:
    """Fits each closed-form head on ``size`` classes in a child and reads its peak."""
    result = Result(f"T15 {size:,} classes below 1 GB")
    command = [sys.executable, "-m", "tests.faults.classes", str(size)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    if done.returncode or [line[0] for line in lines] != list(KINDS):
        result.fail(f"ended with {done.returncode}: {done.stderr[-300:]}", crashes=1)
    for name, accuracy, peak in lines:
        result.count("checks")
        if float(accuracy) < 0.95:
            result.fail(f"{name} is right in {accuracy} of val", wrong=1)
        if int(peak) > MAX_BYTES:
            result.fail(f"{name} took {int(peak) / 1e6:.0f} MB", crashes=1)
    return result


if __name__ == "__main__":
    fit_many_classes(int(sys.argv[1]))

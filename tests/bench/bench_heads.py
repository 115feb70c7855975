"""How fast heads fit: the path of C against scikit-learn's at equal objective, the search, the grid.

Run from the project's root: python -m tests.bench.bench_heads [FOLDER]. Writes heads.json and heads.md there.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.linear_model import LogisticRegression

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.view import View
from fixgrid.heads.ask import SEED_PAIRS
from fixgrid.heads.design import rotate_features
from fixgrid.heads.grid import run_grid
from fixgrid.heads.logistic import DINOV2_C, LogisticPath
from fixgrid.heads.question import Ask
from fixgrid.heads.select import Fold, choose_strength
from fixgrid.heads.verdict import judge_cells

from ..certificate import certify_head

ROUNDS = 5
COMPARED_C = DINOV2_C[4::10]  # one in ten of the path, from 1e-5 to 1e5; scikit-learn takes minutes for all 45
PATIENCE_S = 200.0  # no tighter tolerance is tried after a run this long


def draw_features(n, d=2048, k=120, seed=0, noise=0.05, signal=0.3):
    """Like a trunk's: spectrum 1 / j, class means in 200 directions, mostly not negative; some labels wrong."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    spread = np.sqrt(1 / np.arange(1, d + 1)).astype(np.float32)
    turn = np.linalg.qr(world.standard_normal((d, d)).astype(np.float32))[0]
    centres = world.standard_normal((k, d)).astype(np.float32) * spread * (np.arange(d) < 200) * signal
    y = rng.permutation(n) % k
    X = (centres[y] + rng.standard_normal((n, d), np.float32) * spread) @ turn
    wrong = rng.random(n) < noise
    y[wrong] = rng.integers(0, k, wrong.sum())
    return np.maximum(X + 0.1 * X.std(), 0).astype(np.float32), y.astype(np.int64)


def timed(task):
    """Result and seconds."""
    start = time.perf_counter()
    result = task()
    return result, time.perf_counter() - start


def fit_values(X, y, values):
    path = LogisticPath(rotate_features(X, y, 120))
    for C in values:
        path.solve(C)
    return path


def fit_scikit_learn(S, y, C, objective):
    """Seconds of the first run, of ever tighter tolerances, within 1e-4 of ``objective``; its excess; the model.

    The model is that of the next tolerance: under a strong penalty the objective is reached long before the
    coefficients are.
    """
    found = None
    for tol in (1e-4, 1e-6, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12):
        model = LogisticRegression(C=C, tol=tol, max_iter=20_000)
        _, seconds = timed(lambda model=model: model.fit(S, y))
        if found:
            break
        Z = S @ model.coef_.T.astype(np.float64) + model.intercept_
        top = Z.max(1)
        loss = (np.log(np.exp(Z - top[:, None]).sum(1)) + top - Z[np.arange(len(y)), y]).sum()
        excess = ((model.coef_**2).sum() / 2 + C * loss) / objective - 1
        if excess <= 1e-4 or seconds > PATIENCE_S:
            found = seconds, excess
    return *(found or (seconds, excess)), model


def bench_path():
    """Seconds of 45 values, once more in every round; one value in ten by scikit-learn, between the rounds."""
    X, y = draw_features(12_000)
    X_val, y_val = draw_features(4_000, seed=1)
    ours, theirs = [], []
    for C in COMPARED_C:
        path, seconds = timed(lambda: fit_values(X, y, DINOV2_C))
        axes = path.design.axes
        S = ((X - axes.mean) / axes.scale).astype(np.float64)  # float32 stalls far above the optimum at large C
        S_val = (X_val - axes.mean) / axes.scale
        objective = certify_head(path.head(C), axes, X, y)[0]
        took, excess, model = fit_scikit_learn(S, y, C, objective)
        apart = (model.predict(S_val) == y_val).mean() - (path.head(C).scores(X_val).argmax(1) == y_val).mean()
        print(
            f"C {C:.1e}: 45 values {seconds:.1f} s; scikit-learn this one {took:.1f} s, {excess:+.1e}", flush=True
        )
        ours.append(seconds)
        theirs.append((took, float(excess), 100 * float(abs(apart))))
    whole = sum(took for took, _, _ in theirs) / len(theirs) * len(DINOV2_C)
    return {
        "path_45_s": median(ours),
        "path_steps": sum(s.steps for s in path.solutions.values()),
        "path_worst_gap": max(s.gap for s in path.solutions.values()),
        "scikit_learn_s_each": [took for took, _, _ in theirs],
        "scikit_learn_excess": [excess for _, excess, _ in theirs],
        "scikit_learn_val_points_apart": [apart for _, _, apart in theirs],
        "scikit_learn_45_s_from_one_in_ten": whole,
        "ratio": whole / median(ours),
        "ratio_is_at_equal_objective": all(excess <= 1e-4 for _, excess, _ in theirs),
    }, path


def search_path(X, y, X_val, y_val):
    path = LogisticPath(rotate_features(X, y, 120))
    return path, choose_strength([Fold(path, X_val, y_val)], DINOV2_C)


def bench_search(path):
    """The default search against the best of the whole path, on the same data."""
    X, y = draw_features(12_000)
    X_val, y_val = draw_features(4_000, seed=1)
    runs = [timed(lambda: search_path(X, y, X_val, y_val)) for _ in range(ROUNDS)]
    (searched, found), seconds = runs[0][0], median(seconds for _, seconds in runs)
    whole = choose_strength(path, X_val, y_val, DINOV2_C, coarse=1)
    return {
        "search_s": seconds,
        "search_values": len(found.curve),
        "search_steps": sum(s.steps for s in searched.solutions.values()),
        "search_note": found.note,
        "val_points_below_best": 100 * (whole.val.value - found.val.value),
    }


class _Drawn:
    """Features in memory as a source."""

    n_classes = 120

    def __init__(self, held):
        self.held = held

    def load(self, split, kind, res):
        return self.held[split, res]

    def identify(self, split, kind, res):
        return f"{split} {res}"

    def view(self, split, kind, res):
        return View(kind, res, "bilinear", ("0",) * 3, ("1",) * 3)


def bench_grid(d=1280):
    """The eight seed cells at Stanford Dogs' size, features in memory: fitted, then read again."""
    sizes = {"train": 12_240, "val": 4_200, "test": 4_140}

    def load(split, kind, res):
        X, y = draw_features(sizes[split], d, seed=len(split) + res, signal=0.3 + res / 2000)
        n = len(y)
        return FeatureSet(X[:, None], y, np.arange(n), np.zeros((n, 32), np.uint8))

    needed = {("train", r) for r, _ in SEED_PAIRS} | {(s, r) for s in ("val", "test") for _, r in SEED_PAIRS}
    held = {key: load(key[0], "", key[1]) for key in needed}
    with TemporaryDirectory() as folder:
        question = Ask(_Drawn(held), SEED_PAIRS, folder=Path(folder))

        def fill():
            return judge_cells(list(run_grid(question))).cells

        cells, seconds = timed(fill)
        _, again = timed(fill)
    return {"grid_8_cells_s": seconds, "grid_8_cells_again_s": again, "grid_notes": [cell.note for cell in cells]}


def main(folder):
    figures, path = bench_path()
    figures |= bench_search(path)
    del path
    figures |= bench_grid()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "heads.json").write_text(json.dumps(figures, indent=2) + "\n")
    lines = ["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in figures.items())]
    (folder / "heads.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "bench-results"))

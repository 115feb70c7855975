"""``python -m tests.tasks FLOWERS [--trunk NAME] [--weights FILE]``: every task against scikit-learn.

FLOWERS is a folder of {train,val,test}/<class> photographs. For each task a data set is made of them, extracted,
and a head fitted, kept and evaluated; scikit-learn's estimator at the same strength on the same features must give
the same figure to 1e-3, both at their optimum (see --tol). Exits with 1 if one does not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fixgrid
from fixgrid.heads import logistic
from tests.tasks.pictures import BLUR, blur_photos, make_montages, measure_brightness, take_bursts

RES = 128  # px
TOLERANCE = 1e-3

Theirs = Callable[[float], Any]
Score = Callable[[Any, Any, Any], float]


class Case(NamedTuple):
    """A task: its pictures, what extract is told, heads, and scikit-learn's estimator and figure."""

    make: Callable[[Path, Path], Path]
    options: dict[str, Any]
    heads: str
    theirs: Theirs
    score: Score


def _logistic(C: float) -> LogisticRegression:
    return LogisticRegression(C=C, tol=1e-8, max_iter=20_000)


CASES = {
    "multilabel": Case(
        make_montages,
        {},
        "logistic",
        lambda C: OneVsRestClassifier(_logistic(C)),
        lambda model, X, y: float(metrics.average_precision_score(y, model.decision_function(X))),
    ),
    "regression": Case(
        measure_brightness,
        {},
        "ridge",
        lambda alpha: Ridge(alpha),
        lambda model, X, y: float(metrics.r2_score(y, model.predict(X))),
    ),
    "ordinal": Case(
        blur_photos,
        {"task": "ordinal", "classes": ",".join(BLUR)},
        "logistic",
        _logistic,
        lambda model, X, y: float(metrics.cohen_kappa_score(y, model.predict(X), weights="quadratic")),
    ),
    "grouped": Case(
        take_bursts,
        {},
        "logistic",
        _logistic,
        lambda model, X, y: float(metrics.accuracy_score(y, model.predict(X))),
    ),
}


def run_case(name: str, case: Case, flowers: Path, folder: Path, trunk: dict[str, Any]) -> float:
    """Extract, fit and evaluate; the largest difference of a figure from scikit-learn's. Prints what was found."""
    began = time.perf_counter()
    table = case.make(flowers, folder / name)
    cache = folder / f"{name}-features"
    done = fixgrid.extract(table, res=RES, train_views=0, cache=cache, **case.options, **trunk)
    kept = fixgrid.fit_head(cache=cache, train_view="center", heads=case.heads)
    again = fixgrid.evaluate(kept.files[0], table, cache=cache, **case.options)
    manifest = done.extractions[0].manifest
    reader = fixgrid.open(cache)
    train, test = (reader.load(split, RES) for split in ("train", "test"))
    model = make_pipeline(StandardScaler(), case.theirs(kept.fitted.choice.strength)).fit(train.X, train.y)
    theirs, ours = case.score(model, test.X, test.y), kept.record["test"]["value"]
    off = max(abs(ours - theirs), abs(ours - again.figures.main.value.value))
    seconds = time.perf_counter() - began
    print(
        f"{name}: {manifest.task}, {', '.join(f'{len(rows)} {split}' for split, rows in manifest.splits.items())}"
    )
    print(f"  ours {ours:.6f}, scikit-learn's {theirs:.6f}, evaluate {again.figures.main.value.value:.6f}")
    print(f"  differ by {off:.1e} at strength {kept.fitted.choice.strength:.1e}; {seconds:.0f} s")
    print("  " + kept.format().replace("\n", "\n  ").rstrip())
    groups = [rows.groups for rows in manifest.splits.values() if rows.groups is not None]
    shared = [set(a.tolist()) & set(b.tolist()) for i, a in enumerate(groups) for b in groups[:i]]
    if groups:
        n = len(np.unique(np.concatenate(groups)))
        print(f"  {n} groups, {sum(map(len, shared))} of them in two splits")
        off = off if not any(shared) else np.inf
    return off


def main() -> None:
    """Run every case, or those named."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tasks", description="Compare every task with scikit-learn."
    )
    parser.add_argument("flowers", type=Path, metavar="FLOWERS", help="{train,val,test}/<class> photographs")
    parser.add_argument("--trunk", default="efficientnet_lite0")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--only", action="append", choices=[*CASES], default=[])
    parser.add_argument("--tol", type=float, default=1e-8, help="of our solver; 1e-4 is its own [default: 1e-8]")
    options = parser.parse_args()
    # Both at the optimum: with a gap of 1e-4 an image between two classes may be answered otherwise.
    logistic.TOL = options.tol
    trunk = {"trunk": options.trunk} | ({"weights": options.weights} if options.weights else {})
    with tempfile.TemporaryDirectory(prefix="fixgrid-tasks-") as folder:
        off = {
            name: run_case(name, case, options.flowers, Path(folder), trunk)
            for name, case in CASES.items()
            if name in (options.only or CASES)
        }
    print("; ".join(f"{name} {value:.1e}" for name, value in off.items()), f"(at most {TOLERANCE:.0e})")
    sys.exit(not all(value <= TOLERANCE for value in off.values()))


if __name__ == "__main__":
    main()

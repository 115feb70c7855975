"""``python -m tests.bench.flips CACHE DATA [--seeds N] [--res PX]``: how many flipped labels are found.

Flips at random go to any other class; those of look-alikes to a class drawn from what heads take the true one for;
those of one side from a third of the classes, each to the one that it is taken for most often.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

import fixgrid
from fixgrid.cache.holdings import Holdings
from fixgrid.heads.held_out import answer_held_out
from fixgrid.heads.label_errors import rank_labels
from fixgrid.heads.metrics import log_softmax

HOW = [("none", 0), ("random", 0.01), ("random", 0.05), ("random", 0.1), ("look-alikes", 0.05), ("one side", 0.05)]


def flip(y: np.ndarray, taken: np.ndarray, how: str, share: float, seed: int) -> np.ndarray:
    """Labels (n,) of which a share is wrong; ``taken`` (K, K): how often a class is taken for another."""
    rng, classes, flipped = np.random.default_rng(seed), len(taken), y.copy()
    may = np.arange(len(y))
    if how == "one side":
        may = np.flatnonzero(np.isin(y, rng.choice(classes, classes // 3, replace=False)))
    for i in rng.choice(may, round(share * len(y)), replace=False):
        own = taken[y[i]]
        if how == "random":
            flipped[i] = (y[i] + rng.integers(1, classes)) % classes
        else:
            flipped[i] = own.argmax() if how == "one side" else rng.choice(classes, p=own)
    return flipped


def measure(holdings: Holdings, res: int, seeds: int) -> Iterator[str]:
    """A line for each kind and share of flips."""
    splits = holdings.manifest.splits
    held = answer_held_out(holdings, res)
    chances = np.exp(log_softmax(held.scores))
    taken = np.stack([chances[held.y == k].mean(0) for k in range(chances.shape[1])])
    np.fill_diagonal(taken, 0)
    taken /= taken.sum(1, keepdims=True)
    y = np.concatenate([rows.labels for rows in splits.values()])
    ends = np.cumsum([len(rows) for rows in splits.values()])[:-1]
    for how, share in HOW:
        found = []
        for seed in range(seeds if how != "none" else 1):
            wrong = flip(y, taken, how, share, seed)
            parts = dict(zip(splits, np.split(wrong, ends), strict=True))
            relabelled = {split: replace(rows, labels=parts[split]) for split, rows in splits.items()}
            manifest = replace(holdings.manifest, splits=relabelled)
            one = rank_labels(replace(holdings, manifest=manifest), res)
            hit = np.array(
                [splits[s].labels[r] != parts[s][r] for s, r in zip(one.split.tolist(), one.row, strict=True)]
            )
            k = int(hit.sum())
            test = hit[one.split == "test"]
            at = [hit[:k].mean() if k else 0, hit[:20].mean(), test[: test.sum()].mean() if test.any() else 0]
            low, high = one.share.low * len(y), one.share.high * len(y)
            suspects = one.suspect.sum(), hit[one.suspect].sum()
            found.append([k, *at, one.p_random.sum(), low, high, *suspects])
        mean = np.mean(found, 0)
        yield (
            "{:12s} {:3.0f} flips: precision at that many {:.2f}, at 20 {:.2f}, of test alone {:.2f}; estimate "
            "{:.0f} ({:.0f} to {:.0f}); {:.0f} suspects, {:.0f} of them flipped".format(how, *mean)
        )


def main() -> None:
    """Print what is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flips")
    parser.add_argument("cache")
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--res", type=int, default=224)
    options = parser.parse_args()
    for line in measure(fixgrid.open(options.cache).holdings(options.data), options.res, options.seeds):
        print(line, flush=True)


if __name__ == "__main__":
    main()

"""A cache of generated features for grids that take milliseconds."""

from __future__ import annotations

from collections import Counter

import numpy as np

from fixgrid.cache.features import FeatureSet
from fixgrid.heads.grid import GridOptions

SIZES = {"train": 160, "val": 80, "test": 120}
K, D = 4, 12
FEW = GridOptions(strengths=(1e-4, 1e-3, 1e-2, 1e-1, 1.0))
PAIRS = [(128, 224), (224, 128), (224, 224), (320, 224)]


class Cache:
    """Generated features; larger resolutions are less noisy. Counts what is loaded."""

    def __init__(self, permute=None):
        self.permute = permute
        self.loads = Counter()

    def __call__(self, split, kind, res):
        self.loads[split, kind, res] += 1
        n, views = SIZES[split], 2 if kind == "train" else 1
        rng = np.random.default_rng([len(split), res])
        y = np.arange(n) % K
        centres = np.random.default_rng(7).standard_normal((K, D))
        X = centres[y][:, None] + rng.standard_normal((n, views, D)) * (300 / res) ** 1.5
        if self.permute == split:
            y = rng.permutation(y)
        digests = np.random.default_rng(len(split)).integers(0, 256, (n, 32), np.uint8)
        return FeatureSet(X.astype(np.float32), y, np.arange(n), digests)


class Source:
    """Generated features as a holding of a cache; tells in which order splits are loaded."""

    def __init__(self, permute=None):
        self.cache, self.order = Cache(permute), []

    def load(self, split, kind, res):
        self.order.append(split)
        return self.cache(split, kind, res)

    def identify(self, split, kind, res):
        return f"{split} {kind} {res}"

"""A cache of generated features for grids that take milliseconds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.rows import Rows
from fixgrid.cache.view import View
from fixgrid.heads.deck import Folds, make_deck
from fixgrid.heads.pool import Pool
from fixgrid.heads.question import Ask, GridOptions

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

    n_classes = K

    def __init__(self, permute=None):
        self.cache, self.order = Cache(permute), []

    def load(self, split, kind, res):
        self.order.append(split)
        return self.cache(split, kind, res)

    def identify(self, split, kind, res):
        return f"{split} {kind} {res}"

    def view(self, split, kind, res):
        return draw_view(kind, res)


class Loaded:
    """A source made of a function that loads, or of an object that has more of it."""

    def __init__(self, load, n_classes, identify):
        self.load, self.n_classes, self.identify = getattr(load, "load", load), n_classes, identify

    def view(self, split, kind, res):
        return draw_view(kind, res)


def draw_view(kind, res):
    return View(kind.split()[-1], res, "bilinear", ("0",) * 3, ("1",) * 3)


def ask(load, pairs, options=FEW, memo=None, n_classes=K):
    """A question to generated features."""
    identify = memo.identify if memo else getattr(load, "identify", None)
    return Ask(Loaded(load, n_classes, identify), tuple(pairs), options, memo and memo.folder)


def draw_deck(source, splits=("train", "val"), groups=None):
    """The images of some splits, with the labels and digests of the source's features."""
    sets = {split: source.load(split, "center", 224) for split in splits}
    return make_deck({s: Rows((b"",) * len(f.y), f.row, f.sha256, f.y) for s, f in sets.items()}, groups)


def pool(question, splits=("train", "val")):
    """A question to several splits as one."""
    return replace(question, source=Pool(question.source, {split: SIZES[split] for split in splits}))


def fold(question, n=4, splits=("train", "val"), deck=None, **deal):
    """A question that folds answer."""
    return replace(pool(question, splits), folds=Folds(deck or draw_deck(question.source, splits), n, **deal))

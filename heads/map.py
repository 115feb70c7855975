"""Where images lie by their features, on a plane: neighbours stay neighbours, and no label has a say."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.holdings import Holdings
from fixgrid.cache.rows import find_strata
from fixgrid.cache.shares import rank_images, take_first
from fixgrid.cache.text import show_label, show_text

from .knn import unit_rows
from .views import mean_view

MOST_PLACED = 2_000
"""Images: t-SNE of so many takes 10 s of a core, and a page holds a point for each."""
_FEWEST = 30  # of which a perplexity can be asked
_COMPONENTS = 50
_STEPS = 500


@dataclass(frozen=True, eq=False)
class ImageMap:
    """Images on a plane.

    Attributes
    ----------
    places : float32 array, shape (n, 2)
        In no unit; what is near has alike features, what is far apart need not differ the more.
    ends : list of (split, row id)
    paths, labels : list of str
        As people may be shown them; labels empty where there are none.
    total : int
        Images of which these are the first in the order that a search takes its shares.
    how : str
        By what they were placed.
    """

    places: NDArray[np.float32]
    ends: list[tuple[str, int]]
    paths: list[str]
    labels: list[str]
    total: int
    how: str


def map_images(holdings: Holdings, res: int) -> ImageMap:
    """The images of all splits by their center views; of many the first `MOST_PLACED`, of each class its share.

    Parameters
    ----------
    holdings : Holdings
    res : int
        px; center views of every split are cached there.
    """
    manifest = holdings.manifest
    rows = list(manifest.splits.values())
    order = rank_images(np.concatenate([part.sha256 for part in rows]), 0)
    chosen = take_first(find_strata(np.concatenate([part.labels for part in rows])), order, MOST_PLACED)
    X, ends, start = [], list[tuple[str, int]](), 0
    for split, part in manifest.splits.items():
        seen = holdings.load(split, "center", res)
        held = np.isin(seen.row, chosen - start)  # images without features are left out
        X.append(mean_view(seen)[held])
        ends += [(split, row) for row in seen.row[held].tolist()]
        start += len(part)
    places, how = place_images(np.concatenate(X))
    said = {split: manifest.name_labels(split) for split in manifest.splits}
    paths = [show_text(os.fsdecode(manifest.splits[split].paths[row])) for split, row in ends]
    labels = [show_label(said[split][row]) for split, row in ends]
    return ImageMap(places, ends, paths, labels, len(order), how)


def place_images(X: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Features (n, D), n >= 1, on a plane: float32 (n, 2), and by what.

    Directions count, not lengths. The first 50 principal components are laid out by t-SNE (van der Maaten & Hinton
    2008), seeded and begun at the first two (Kobak & Berens 2019); of few images these are all.
    """
    unit = unit_rows(X).astype(np.float64)
    centred = unit - unit.mean(0)
    U, s, _ = np.linalg.svd(centred, full_matrices=False)
    components = (U * s)[:, :_COMPONENTS]
    if len(X) < _FEWEST or np.allclose(components, 0):
        plane = np.zeros((len(X), 2))
        plane[:, : min(2, components.shape[1])] = components[:, :2]
        return plane.astype(np.float32), "the first two principal components"
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(X) - 1) / 3)
    layout = TSNE(init="pca", random_state=0, perplexity=perplexity, max_iter=_STEPS)
    return np.asarray(layout.fit_transform(components), np.float32), "t-SNE"


def choose_spread(places: NDArray[np.float32], most: int) -> list[int]:
    """Images that lie far apart, the most central first: at most so many, each the farthest from those before.

    Parameters
    ----------
    places : float32 array, shape (n, 2)
    most : int
    """
    spread = places.std(0)
    scaled = (places - places.mean(0)) / np.where(spread > 0, spread, 1)
    chosen = [int(np.argmin((scaled**2).sum(1)))]
    far = np.full(len(scaled), np.inf)
    while len(chosen) < min(most, len(scaled)):
        far = np.minimum(far, ((scaled - scaled[chosen[-1]]) ** 2).sum(1))
        if far.max() == 0:
            break
        chosen.append(int(far.argmax()))
    return chosen

"""The train x test grid: one path of heads per train_res, one cell per test_res, chosen on val."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cache.features import FeatureSet

from .design import rotate_features
from .logistic import DINOV2_C, LogisticPath
from .metrics import Estimate, compare_paired
from .select import Choice, Head, choose_strength, score_head
from .views import mean_view, view_rows

# Called with a split, a kind of view and a resolution in px. All that the grid knows about a cache.
Load = Callable[[str, str, int], FeatureSet]
Pair = tuple[int, int]

# The rows of the 2020 table this product starts from: train_res, test_res.
SEED_PAIRS: tuple[Pair, ...] = (
    (128, 224),
    (224, 128),
    (224, 224),
    (224, 320),
    (224, 400),
    (320, 224),
    (320, 320),
    (320, 380),
)

# Side of a crop over the photograph's short side. RandomResizedCrop at scale (.08, 1) on 4:3: mean root of the
# crop's area, from 400,000 draws. The others resize by 256/224 first.
_CROP_SIDE = {"train": 0.7322}
_TIE = 0.05


@dataclass(frozen=True)
class GridOptions:
    """All that changes a grid's numbers, but for the features.

    Attributes
    ----------
    train_kinds : tuple of str
        Views of the training images, all of them rows: ``train`` (seeded draws), ``center``, or both.
    test_kind : str
        View of val and test images.
    mean_of : {"features", "probabilities"}
        What to average where ``test_kind`` has several views.
    strengths : tuple of float
        Path of C.
    coarse : int
        As `choose_strength`: 1 tries all of ``strengths``.
    refit : bool
        Fit the chosen C once more on train and val together before test is scored.
    """

    train_kinds: tuple[str, ...] = ("train",)
    test_kind: str = "center"
    mean_of: str = "probabilities"
    strengths: tuple[float, ...] = DINOV2_C
    coarse: int = 2
    refit: bool = False


@dataclass(frozen=True, eq=False)
class Cell:
    """One train_res x test_res entry.

    Attributes
    ----------
    train_res, test_res : int
        px.
    apparent : float
        Size of an object in a test view over its size in a training view; FixRes wants 1.
    val, test : Estimate
        Top-1 with its Wilson interval.
    strength : float
        Chosen on val at ``test_res``: C of a logistic head.
    note : str
        How the search for C ended.
    row : int64 array, shape (n,)
        Row ids of the test images.
    correct : bool array, shape (n,)
        Whether each is right.
    chosen : bool
        Best cell on val.
    tie : bool
        Not distinguishable from the chosen cell on test.
    """

    train_res: int
    test_res: int
    apparent: float
    val: Estimate
    test: Estimate
    strength: float
    note: str
    row: NDArray[np.int64]
    correct: NDArray[np.bool_]
    chosen: bool = False
    tie: bool = False


def apparent_ratio(kinds: Sequence[str], train_res: int, test_res: int) -> float:
    """Apparent size of an object at test over that in training, for 4:3 photographs (Touvron et al. 2019).

    A training set of several kinds of view counts with its mean crop.
    """
    crops = [_CROP_SIDE.get(kind, train_res / int(256 / 224 * train_res)) for kind in kinds]
    return int(256 / 224 * test_res) * sum(crops) / len(crops) / train_res


def run_grid(
    load: Load, pairs: Sequence[Pair], n_classes: int, options: GridOptions | None = None
) -> Iterator[Cell]:
    """Cells as they finish: those of one train_res together, so that they share one path of heads.

    Parameters
    ----------
    load : callable
    pairs : sequence of (train_res, test_res), px
    n_classes : int
    options : GridOptions, optional
    """
    options = options or GridOptions()
    for train_res in dict.fromkeys(train for train, _ in pairs):
        X, y = view_rows([load("train", kind, train_res) for kind in options.train_kinds])
        path = LogisticPath(rotate_features(X, y, n_classes))
        for test_res in (test for train, test in pairs if train == train_res):
            val = load("val", options.test_kind, test_res)
            choice = choose_strength(path, _seen(val, options), val.y, options.strengths, coarse=options.coarse)
            head = _refit(choice, X, y, val, n_classes) if options.refit else choice.head
            yield _score_cell(load, options, train_res, test_res, choice, head)


def choose_cell(cells: Sequence[Cell]) -> list[Cell]:
    """The same cells, with the one best on val marked, and those that test cannot tell from it.

    The choice looks at val alone; of cells equal there, the first wins. The marks called tie are a statement
    for the reader, made after it: McNemar's test on the test images that both cells have, at 5 %.
    """
    if not cells:
        return []
    best = max(cells, key=lambda cell: cell.val.value)
    return [replace(cell, chosen=cell is best, tie=cell is not best and _is_tie(cell, best)) for cell in cells]


def _is_tie(cell: Cell, best: Cell) -> bool:
    _, mine, its = np.intersect1d(cell.row, best.row, assume_unique=True, return_indices=True)
    return compare_paired(cell.correct[mine], best.correct[its]) >= _TIE


def _seen(features: FeatureSet, options: GridOptions) -> NDArray[np.float32]:
    """The views of ``features`` as scoring takes them: (n, D), or (n, V, D) to average probabilities."""
    single = features.X.shape[1] == 1 or options.mean_of == "features"
    return mean_view(features) if single else features.X


def _refit(choice: Choice, X: NDArray[np.float32], y: NDArray[np.int64], val: FeatureSet, k: int) -> Head:
    more, labels = view_rows([val])
    path = LogisticPath(rotate_features(np.concatenate([X, more]), np.concatenate([y, labels]), k))
    return path.head(choice.strength)


def _score_cell(
    load: Load, options: GridOptions, train_res: int, test_res: int, choice: Choice, head: Head
) -> Cell:
    test = load("test", options.test_kind, test_res)
    score = score_head(head, _seen(test, options), test.y)
    apparent = apparent_ratio(options.train_kinds, train_res, test_res)
    return Cell(
        train_res,
        test_res,
        apparent,
        choice.val,
        score.accuracy,
        choice.strength,
        choice.note,
        test.row,
        score.correct,
    )

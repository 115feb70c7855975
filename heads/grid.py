"""The train x test grid: one path of heads per train_res, one cell per test_res, chosen on val."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cache.features import FeatureSet

from .families import FAMILIES
from .gap import Correction, fit_correction
from .logistic import DINOV2_C
from .metrics import Estimate, compare_paired
from .select import Choice, Head, HeadPath, choose_strength, score_head
from .views import mean_view, view_rows

# Called with a split, a kind of view and a resolution in px. All that the grid knows about a cache.
Load = Callable[[str, str, int], FeatureSet]
Pair = tuple[int, int]
Rows = tuple[NDArray[np.float32], NDArray[np.int64]]  # training features (n, D) and labels (n,)

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
    families : tuple of str
        Kinds of head, of `FAMILIES`.
    corrections : tuple of str
        Of `heads.gap.CORRECTIONS`, or ``refit``: the head fitted on the training images as they are seen at
        test_res, FixRes' fine-tuning of the classifier alone. All but ``none`` need ``test_kind`` of the
        training images at test_res.
    strengths : tuple of float
        Path of C of logistic heads; the others walk their own.
    coarse : int
        As `choose_strength`: 1 tries all of ``strengths``.
    refit : bool
        Fit the chosen C once more on train and val together before test is scored.
    """

    train_kinds: tuple[str, ...] = ("train",)
    test_kind: str = "center"
    mean_of: str = "probabilities"
    families: tuple[str, ...] = ("logistic",)
    corrections: tuple[str, ...] = ("none",)
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
    family, correction : str
        Kind of head, and how the resolution gap was corrected.
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
    family: str = "logistic"
    correction: str = "none"
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
        rows = view_rows([load("train", kind, train_res) for kind in options.train_kinds])
        for family in options.families:
            path = FAMILIES[family][0](*rows, n_classes)
            for test_res in (test for train, test in pairs if train == train_res):
                for correction in options.corrections:
                    blank = _Recipe(load, options, n_classes, train_res, test_res, family, correction)
                    yield blank.fill(rows, path)


@dataclass(frozen=True, eq=False)
class _Recipe:
    """How one cell is to be made."""

    load: Load
    options: GridOptions
    n_classes: int
    train_res: int
    test_res: int
    family: str
    correction: str

    def fill(self, rows: Rows, path: HeadPath) -> Cell:
        """Choose on val, then score on test, which is loaded only then."""
        correct: Correction | None = None
        if self.correction == "refit":
            rows = view_rows([self._load("train")])
            path = FAMILIES[self.family][0](*rows, self.n_classes)
        elif self.correction != "none":
            correct = fit_correction(self.correction, rows[0], mean_view(self._load("train")))
        val = self._load("val")
        strengths = self.options.strengths if self.family == "logistic" else FAMILIES[self.family][1]
        seen = self._seen(val, correct)
        choice = choose_strength(path, seen, val.y, strengths, coarse=self.options.coarse)
        head = self._refit(choice, rows, seen, val.y) if self.options.refit else choice.head
        return self._score(choice, head, correct)

    def _load(self, split: str) -> FeatureSet:
        return self.load(split, self.options.test_kind, self.test_res)

    def _seen(self, features: FeatureSet, correct: Correction | None) -> NDArray[np.float32]:
        """The views as scoring takes them: (n, D), or (n, V, D) to average probabilities."""
        single = features.X.shape[1] == 1 or self.options.mean_of == "features"
        X = mean_view(features) if single else features.X
        return X if correct is None else correct(X)

    def _refit(self, choice: Choice, rows: Rows, X: NDArray[np.float32], y: NDArray[np.int64]) -> Head:
        more = X.reshape(-1, X.shape[-1])
        labels = np.repeat(y, len(more) // len(y))
        both = np.concatenate([rows[0], more]), np.concatenate([rows[1], labels])
        return FAMILIES[self.family][0](*both, self.n_classes).head(choice.strength)

    def _score(self, choice: Choice, head: Head, correct: Correction | None) -> Cell:
        test = self._load("test")
        score = score_head(head, self._seen(test, correct), test.y)
        refit = self.correction == "refit"
        kinds = (self.options.test_kind,) if refit else self.options.train_kinds
        return Cell(
            train_res=self.train_res,
            test_res=self.test_res,
            apparent=apparent_ratio(kinds, self.test_res if refit else self.train_res, self.test_res),
            val=choice.val,
            test=score.accuracy,
            strength=choice.strength,
            note=choice.note,
            row=test.row,
            correct=score.correct,
            family=self.family,
            correction=self.correction,
        )


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

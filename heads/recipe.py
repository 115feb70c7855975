"""How one cell's head is made: its training features, its correction, its choice on val."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.features import FeatureSet
from fixgrid.cache.holdings import RECALIBRATED
from fixgrid.cache.view import apparent_ratio

from .calibration import Calibration
from .cell import Axes
from .conformal import rate_answers
from .families import fit_path
from .gap import Correction
from .knn import unit_rows
from .linear import LinearHead
from .metrics import fit_temperature, fit_thresholds, read_link
from .novelty import count_alone, find_means, rate_novelty
from .question import Ask, GridOptions, Pair
from .select import Choice, Fold, Head, HeadPath, choose_strength, score_views
from .source import Place
from .training import Part, Training
from .views import TestRes, join_views, list_resolutions, see_views

FITTING = "fitting heads"
"""What is under way while cells are made."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a cell's fit gives.

    Attributes
    ----------
    choice : Choice
    head : Head
        To keep: the chosen one, or fitted once more on train and val, or on all images of the folds.
    """

    choice: Choice
    head: Head


@dataclass(frozen=True, eq=False)
class Recipe:
    """How one cell is to be made.

    Attributes
    ----------
    training : Training
        At train_res.
    options : GridOptions
    train_res : int
        px.
    test_res : int or str
        px; see `TestRes`.
    family, correction : str
        One of each that ``options`` names.
    """

    training: Training
    options: GridOptions
    train_res: int
    test_res: TestRes
    family: str
    correction: str

    @property
    def is_refit(self) -> bool:
        """Whether the training images are seen at test_res as test images are, whatever train_res is."""
        return self.correction == "refit"

    @property
    def apparent(self) -> float:
        """See `fixgrid.cache.view.apparent_ratio`; of several test resolutions the mean."""
        source, seen = self.training.source, list_resolutions(self.test_res)
        tests = [source.view("val", self._test_kind, res) for res in seen]  # as test images are
        if self.is_refit:  # the training images are seen at each resolution as test images are
            return sum(apparent_ratio([test], test) for test in tests) / len(tests)
        training = [source.view("train", *view) for view in self.training.views]
        return sum(apparent_ratio(training, test) for test in tests) / len(tests)

    @property
    def strengths(self) -> tuple[float, ...]:
        """The strengths that the family walks."""
        return self.options.walk(self.family)

    @property
    def n_walked(self) -> int:
        """Strengths that are tried at most before those near the best."""
        return len(self.strengths[:: self.options.coarse])

    @property
    def places(self) -> list[Place]:
        """Split, kind of view and resolution of all features that the cell depends on."""
        seen = list_resolutions(self.test_res)
        again = [("train", self.options.test_kind, res) for res in seen] if self._maps else []
        train = [("train", *view) for view in self._source.views]
        return [*train, *again, *((split, self._test_kind, res) for split in ("val", "test") for res in seen)]

    @property
    def facts(self) -> dict[str, Any]:
        """All else that it depends on, as JSON values."""
        options = {**asdict(self.options), "strengths": self.strengths}
        del options["families"], options["corrections"]
        for name, usual in (("metric", "accuracy"), ("class_weight", "none")):  # as cells of before have it
            options = options if options[name] != usual else {k: v for k, v in options.items() if k != name}
        own = {"family": self.family, "correction": self.correction, "n_classes": self.training.source.n_classes}
        own |= {"auroc": "softmax"} if self.options.metric == "auroc" else {}  # earlier ones ranked raw scores
        folds = {"folds": self.training.folds.facts} if self.training.folds else {}
        return {**options, **own, **folds, "train_res": self.train_res, "test_res": self.test_res}

    def load(self, split: str) -> FeatureSet:
        """A split as it is seen at test time, the views at every test resolution side by side.

        Raises
        ------
        CacheError
            If an image has no features at one of several resolutions.
        """
        kind = self._test_kind
        return join_views([self.training.source.load(split, kind, res) for res in list_resolutions(self.test_res)])

    def see(self, features: FeatureSet) -> NDArray[np.float32]:
        """What scoring takes: the mean or only view, (n, D), or (n, V, D) to average probabilities."""
        return see_views(features.X, self._corrections, self.options.mean_of)

    def choose(self, tell: Callable[[int], None] | None = None) -> Chosen:
        """What val or the folds chose, and the head to keep; ``tell`` is called as `choose_strength` has it."""
        choice = self.judge(self.training.parts, tell)
        return Chosen(choice, self.fit(choice))

    def judge(self, parts: Iterable[Part], tell: Callable[[int], None] | None = None) -> Choice:
        """What the images of all parts choose together."""
        taught = [(part, replace(self, training=part.training)) for part in parts]
        paths, val = [made._walk_path() for _, made in taught], self.load("val")
        judges = [part.take(val) for part, _ in taught]
        folds = [
            Fold(path, made.see(part), part.y, part.row, part.group)
            for path, (_, made), part in zip(paths, taught, judges, strict=True)
        ]
        options = self.options
        return choose_strength(folds, self.strengths, coarse=options.coarse, measure=options.measure, tell=tell)

    def learn(self, strength: float) -> Head:
        """The head of all training images."""
        return self._walk_path().head(strength)

    def fit(self, choice: Choice) -> Head:
        """The head to keep: the chosen one, or fitted once more on train and val, or on all that folds dealt."""
        if self.training.folds:
            return self.learn(choice.strength)
        return self._refit(choice.strength) if self.options.refit else choice.heads[0]

    def fit_temperature(self, choice: Choice) -> float:
        """The temperature of the chosen heads on the images that chose them."""
        return fit_temperature(*self._answer_val(choice))

    def fit_thresholds(self, choice: Choice) -> NDArray[np.float32]:
        """Probability from which each of several labels is given, by the images that chose: shape (K,)."""
        scores, labels = self._answer_val(choice)
        return fit_thresholds(scores / fit_temperature(scores, labels), labels)

    def calibrate(self, choice: Choice, temperature: float) -> Calibration:
        """What each of the images that chose says, judged by what did not learn from it; see `fit_temperature`."""
        once = self.training.folds.n if self.training.folds else 1  # the first repeat
        scores, labels = self._answer_val(choice, once)
        val, novelty = self.load("val"), []
        for part in self.training.parts[:once]:
            made = replace(self, training=part.training)
            novelty.append(rate_novelty(made._means, made.see_kept(part.take(val))))
        answers = np.sort(rate_answers(scores, labels, temperature))
        alone = None if val.group is None else count_alone(val.group)
        return Calibration(answers, np.sort(np.concatenate(novelty)), self._means, alone)

    def see_kept(self, features: FeatureSet) -> NDArray[np.float32]:
        """As `see`, for a head that `fold` gave."""
        return see_views(features.X, self._kept_corrections, self.options.mean_of)

    def _answer_val(self, choice: Choice, first: int | None = None) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Scores of the images that chose, each by a head that did not learn from it, and their labels.

        Of all parts, or of the ``first``.
        """
        val, scores, labels = self.load("val"), [], []
        for part, head in list(zip(self.training.parts, choice.heads, strict=True))[:first]:
            judges = part.take(val)
            seen = replace(self, training=part.training).see(judges)
            scores.append(score_views(head, seen, read_link(judges.y)))
            labels.append(judges.y)
        return np.concatenate(scores), np.concatenate(labels)

    def fold(self, head: LinearHead) -> tuple[LinearHead, tuple[Correction, ...]]:
        """What to keep: a head on uncorrected features, or ``head`` and the corrections, one for each resolution.

        A head takes one correction in; that of each of several resolutions is another.
        """
        if len(self._corrections) != 1:
            return head, self._corrections
        return self._corrections[0].fold(head), self._kept_corrections

    @property
    def _kept_corrections(self) -> tuple[Correction, ...]:
        return () if len(self._corrections) == 1 else self._corrections

    @property
    def _means(self) -> NDArray[np.float32]:
        """Mean features of the classes it learns from, as `see_kept` shows images; of unit length."""
        means = find_means(*self._source.rows, self.training.source.n_classes)
        return unit_rows(self._corrections[0].invert(means) if len(self._corrections) == 1 else means)

    @property
    def _maps(self) -> bool:
        """Whether features of val and test are mapped to the statistics of the training features."""
        return self.correction not in ("none", "refit", "batchnorm")

    @property
    def _test_kind(self) -> str:
        return RECALIBRATED * (self.correction == "batchnorm") + self.options.test_kind

    @property
    def _corrections(self) -> tuple[Correction, ...]:
        """One for each test resolution, fitted there; none for a head that needs none."""
        if not self._maps:
            return ()
        kind = self.options.test_kind
        return tuple(self.training.correct(self.correction, kind, res) for res in list_resolutions(self.test_res))

    @property
    def _source(self) -> Training:
        """Where the head is fitted."""
        if not self.is_refit:
            return self.training
        return self.training.see(tuple((self.options.test_kind, res) for res in list_resolutions(self.test_res)))

    def _refit(self, strength: float) -> Head:
        rows, val = self._source.rows, self.load("val")
        X = self.see(val)
        more = X.reshape(-1, X.shape[-1])
        labels = np.repeat(val.y, len(more) // len(val.y), axis=0)
        both = np.concatenate([rows[0], more]), np.concatenate([rows[1], labels])
        return fit_path(self.family, *both, self.training.source.n_classes, self._is_balanced).head(strength)

    def _walk_path(self) -> HeadPath:
        return self._source.path(self.family, self._is_balanced)

    @property
    def _is_balanced(self) -> bool:
        return self.options.class_weight == "balanced"


def list_recipes(ask: Ask) -> Iterator[Recipe]:
    """The cells to make, in an order that keeps one train_res and one family at hand at a time."""
    options = ask.options
    for train_res in dict.fromkeys(train for train, _ in ask.pairs):
        training = Training(ask.source, tuple((kind, train_res) for kind in options.train_kinds), ask.folds)
        for family in options.families:
            for test_res in (test for train, test in ask.pairs if train == train_res):
                for correction in options.corrections:
                    yield Recipe(training, options, train_res, test_res, family, correction)


def find_recipe(ask: Ask, pair: Pair, family: str, correction: str) -> Recipe:
    """The recipe of one of the cells that are asked for."""
    recipes = list_recipes(replace(ask, pairs=(pair,)))
    return next(recipe for recipe in recipes if (recipe.family, recipe.correction) == (family, correction))


def count_passes(asks: Iterable[Ask]) -> tuple[int, int]:
    """Passes of the trunks, one per split, view and resolution: those run, and those that cells alone would add.

    Kinds of features come of the same pass.
    """
    cells = [
        {(ask.axes._replace(features=""), place) for place in ask.list_passes(recipe.places)}
        for ask in asks
        for recipe in list_recipes(ask)
    ]
    run = len(set[tuple[Axes, Place]]().union(*cells))
    return run, sum(map(len, cells)) - run

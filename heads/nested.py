"""Nested cross-validation: how well what is chosen here does on images that had no say, each image one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.phase import Phase, keep_silent

from .contender import Contender, enter, find_best
from .deck import Folds
from .judging import estimate_figure
from .measures import MEASURES, Measure, Shares
from .metrics import Estimate
from .pool import Dealt
from .question import Ask
from .recipe import FITTING, Recipe, find_recipe, list_recipes
from .select import score_head
from .subset import TrainSubset
from .training import Part, Training


@dataclass(frozen=True, eq=False)
class Round:
    """One outer fold: what the others chose, and how that did on its images.

    Attributes
    ----------
    contender : Contender
    strength : float
    val : Estimate
        Its figure on the images of the others, each held out once; the best of many.
    test : Estimate
    row : int64 array, shape (n,)
        Row ids in the pool.
    correct : bool or float64 array, shape (n,)
        As `heads.measures.Judged` has it.
    """

    contender: Contender
    strength: float
    val: Estimate
    test: Estimate
    row: NDArray[np.int64]
    correct: Shares


@dataclass(frozen=True, eq=False)
class Nested:
    """All outer folds.

    Attributes
    ----------
    rounds : tuple of Round
    splits : tuple of str
        Where the images are from.
    contenders : tuple of Contender
        All that could be chosen.
    measure : Measure
        What chose, and what the figures are.
    grouped : bool
        Whether they count groups.
    """

    rounds: tuple[Round, ...]
    splits: tuple[str, ...]
    contenders: tuple[Contender, ...] = ()
    measure: Measure = MEASURES["accuracy"]
    grouped: bool = False

    @property
    def units(self) -> str:
        """What figures count, see `Ask.units`."""
        return "groups" if self.grouped else "images"

    @property
    def n(self) -> int:
        """Number of images, or of groups."""
        return sum(len(one.row) for one in self.rounds)

    @property
    def figure(self) -> Estimate:
        """The figure of all images, each tested once, with its interval; heads of different folds count as one."""
        shares = np.concatenate([one.correct for one in self.rounds])
        return estimate_figure(self.measure, shares, grouped=self.grouped)

    @property
    def deviation(self) -> float:
        """Standard deviation of the figure over outer folds."""
        return float(np.std([one.test.value for one in self.rounds], ddof=1))

    @property
    def chosen(self) -> Counter[Contender]:
        """How many outer folds chose each cell."""
        return Counter(one.contender for one in self.rounds)


def cross_validate(asks: Sequence[Ask], folds: Folds, phase: Phase = keep_silent) -> Nested:
    """The figure of the whole procedure, where all images choose and all are tested, never at once.

    For each outer fold the other K - 1 choose the cell and its strength, each of them held out in turn from what
    learns; the head of the best is fitted on all of them and tested on the outer fold (Stone 1974; Varma & Simon
    2006). Heads that lack two folds serve both, so a cell takes K (K - 1) / 2 paths, and K more heads are fitted in
    all. The paths of one family and train_res are in memory at once.

    Parameters
    ----------
    asks : sequence of Ask
        To a `heads.pool.Pool`, of the same images; they compete.
    folds : Folds
        Of its images, once.
    phase : callable
        Is told how many cells are fitted.

    Raises
    ------
    UsageError
        If there are fewer than 3 folds, they are dealt more than once, or there is no cell.
    """
    if folds.n < 3 or folds.repeats > 1:
        raise UsageError(
            f"found {folds.n} folds and {folds.repeats} repeats for --nested; expected --folds 3 or more, one of "
            "which tests while the others choose, and no --repeats."
        )
    if any(ask.options.refit for ask in asks):
        raise UsageError(
            "found --refit with --nested, whose heads learn from all that chose anyway: leave one out."
        )
    contenders: list[tuple[Contender, Ask]] = []
    choices: list[list[tuple[float, Estimate]]] = []
    total = sum(1 for ask in asks for _ in list_recipes(ask))
    for ask in asks:
        rounds: _Rounds | None = None
        for recipe in list_recipes(ask):
            phase(FITTING, len(contenders), total, "cells")
            if rounds is None or rounds.whole is not recipe.training:
                rounds = _Rounds(recipe.training, folds, ask)
            contenders.append((enter(recipe, ask), ask))
            choices.append(_recall_choices(recipe, rounds, ask))
    if not contenders:
        raise UsageError("found no pair of resolutions to choose from, expected at least one: give --pairs")
    tested = []
    for fold in range(folds.n):
        phase("testing what folds chose", fold, folds.n, "folds")
        best = find_best([choice[fold][1].value for choice in choices], [one for one, _ in contenders])
        tested.append(_recall_round(*contenders[best], folds, fold, *choices[best][fold]))
    named, first = tuple(one for one, _ in contenders), contenders[0][1]
    return Nested(tuple(tested), folds.deck.splits, named, first.options.measure, first.grouped)


class _Rounds:
    """The outer folds of one training set."""

    def __init__(self, whole: Training, folds: Folds, ask: Ask):
        self.whole, self.folds, self._ask = whole, folds, ask
        self._pairs: dict[tuple[int, ...], Training] = {}

    def choose(self, recipe: Recipe, fold: int) -> tuple[float, Estimate]:
        """The strength that the other folds choose, and its figure on their images."""
        others = [other for other in range(self.folds.n) if other != fold]
        parts = [Part(self._leave_out(fold, other), self.folds.held[other]) for other in others]
        choice = replace(recipe, training=_learn_without(self.whole, self.folds, fold)).judge(parts)
        return float(choice.strength), choice.val

    def _leave_out(self, *two: int) -> Training:
        key, folds = tuple(sorted(two)), self.folds
        if key not in self._pairs:
            rows = folds.deck.leave_out(np.concatenate([folds.held[fold] for fold in key]))
            source = TrainSubset(self.whole.source, rows)
            self._pairs[key] = Training(source, self.whole.views, walk=self._ask.options.walk)
        return self._pairs[key]


def _learn_without(whole: Training, folds: Folds, fold: int) -> Training:
    """The images of the other folds, as train and as val; those of this one as test."""
    held = folds.held[fold]
    others = folds.deck.leave_out(held)
    return Training(Dealt(whole.source, {"train": others, "val": others, "test": held}), whole.views)


def _recall_choices(recipe: Recipe, rounds: _Rounds, ask: Ask) -> list[tuple[float, Estimate]]:
    """Strength and figure for each outer fold."""
    memo, folds = ask.memo, rounds.folds
    name = memo.name({**recipe.facts, "nested": folds.facts}, recipe.places) if memo else ""
    record = memo.recall(name) if memo else None
    if record is None:
        chosen = [rounds.choose(recipe, fold) for fold in range(folds.n)]
        if memo:
            memo.keep(name, {"strength": [s for s, _ in chosen], "val": [list(val) for _, val in chosen]})
        return chosen
    return [(s, Estimate(*val)) for s, val in zip(record["strength"], record["val"], strict=True)]


def _recall_round(one: Contender, ask: Ask, folds: Folds, fold: int, strength: float, val: Estimate) -> Round:
    """The outer fold's answers by the head that the others chose."""
    recipe = find_recipe(ask, (one.train_res, one.test_res), one.family, one.correction)
    memo, told = ask.memo, {"nested": folds.facts, "fold": fold, "strength": strength}
    name = memo.name({**recipe.facts, **told}, recipe.places) if memo else ""
    record: dict[str, Any] | None = memo.recall(name) if memo else None
    if record is None:
        made = replace(recipe, training=_learn_without(recipe.training, folds, fold))
        test = made.load("test")
        score = score_head(made.learn(strength), made.see(test), test, ask.options.measure)
        record = {"row": score.unit.tolist(), "correct": score.share.tolist()}
        if memo:
            memo.keep(name, record)
    row, correct = np.array(record["row"], np.int64), np.array(record["correct"])
    test_figure = estimate_figure(ask.options.measure, correct, grouped=ask.grouped)
    return Round(one, strength, val, test_figure, row, correct)

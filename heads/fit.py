"""One head to keep: the pair of resolutions and the strength chosen on val, then scored on test once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.phase import Phase, keep_silent

from .answers import Answers, judge_answers
from .calibration import Calibration
from .cell import Trial
from .gap import Correction
from .grid import note_trial, recall_cell, weigh_trial
from .judging import Judged
from .linear import LinearHead
from .metrics import read_link
from .novelty import rate_novelty
from .question import Ask
from .recipe import FITTING, Chosen, Recipe, find_recipe, list_recipes
from .select import Choice, score_head, score_views
from .source import Place
from .verdict import Verdict, judge_trials
from .views import TestRes

_FEW = 9  # cells; of more, one takes too small a part of the time to say how far it is


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head that was chosen, and how it did.

    Attributes
    ----------
    train_res : int
        px.
    test_res : int or str
        px; see `heads.views.TestRes`.
    apparent : float
        See `fixgrid.cache.view.apparent_ratio`.
    choice : Choice
        What val chose.
    temperature : float
        Divides the logits before a softmax; fitted on val.
    score : Judged
        On test.
    head : LinearHead
        On raw features, or on those that ``corrections`` gives.
    n_val : int
        Images, or groups, it was chosen on.
    test_scores : float32 array, shape (n, K)
    test : FeatureSet
        The test images.
    metric : str
        What chose, of `heads.measures.MEASURES`.
    task : str
        Of `fixgrid.cache.rows.TASKS`.
    thresholds : float32 array, shape (K,), or None
        Probability from which each of several labels is given, fitted on val.
    family, correction : str
        Kind of head, and how the resolution gap was corrected.
    places : tuple of (split, kind, px)
        The features it was fitted, chosen and scored on.
    corrections : tuple of Correction
        One for each of several test resolutions; empty if there is nothing to correct that ``head`` does not.
    calibration : Calibration, optional
        What val says beyond its figure.
    test_novelty : float32 array, shape (n,)
        How strange the test images are; empty without ``calibration``.
    ask : Ask, optional
        The question that it answers, of several.
    verdict : Verdict, optional
        Over all that it was chosen from.
    """

    train_res: int
    test_res: TestRes
    apparent: float
    choice: Choice
    temperature: float
    score: Judged
    head: LinearHead
    n_val: int
    test_scores: NDArray[np.float32]
    test: FeatureSet
    metric: str = "accuracy"
    task: str = "multiclass"
    thresholds: NDArray[np.float32] | None = None
    family: str = "logistic"
    correction: str = "none"
    places: tuple[Place, ...] = ()
    corrections: tuple[Correction, ...] = ()
    calibration: Calibration | None = None
    test_novelty: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    ask: Ask | None = None
    verdict: Verdict[Trial] | None = None

    @property
    def units(self) -> str:
        """What its figures count, see `Ask.units`."""
        return "images" if self.test.group is None else "groups"

    def answer(self, classes: Sequence[str], n_confused: int = 10) -> Answers:
        """What it says of each test image, with all figures, and at most ``n_confused`` pairs of the classes."""
        y, group = self.test.y, self.test.group
        judged = self.test_scores, self.test_novelty, y, self.temperature, self.task, group
        return judge_answers(
            self.test_scores,
            y,
            self.test.row,
            classes,
            self.temperature,
            n_confused=n_confused,
            task=self.task,
            group=group,
            thresholds=self.thresholds,
            more=self.calibration.measure(*judged) if self.calibration else (),
        )


def fit_best(asks: Sequence[Ask], prefer: str = "accurate", phase: Phase = keep_silent) -> Fitted:
    """The head of the cell that val chooses, of one question or several; that head alone sees test images.

    Parameters
    ----------
    asks : sequence of Ask
    prefer : {"accurate", "cheap"}
        See `heads.verdict.Verdict.choose`.
    phase : callable
        Is told how many cells are fitted; of few, how many strengths are tried.

    Raises
    ------
    UsageError
        If there is no pair, or the best head is not linear.
    """
    best = choose_best(asks, prefer, phase)
    ask, recipe, choice, head = best.ask, best.recipe, best.chosen.choice, best.chosen.head
    if not isinstance(head, LinearHead):
        raise UsageError(
            f"found a {recipe.family} head, which cannot be kept, expected a linear one: ask for another"
        )
    temperature = recipe.fit_temperature(choice)
    calibration, test = recipe.calibrate(choice, temperature), recipe.load("test")
    seen = recipe.see(test)
    score = score_head(head, seen, test, recipe.options.measure)
    kept, corrections = recipe.fold(head)
    return Fitted(
        train_res=recipe.train_res,
        test_res=recipe.test_res,
        apparent=recipe.apparent,
        choice=choice,
        temperature=temperature,
        score=score,
        head=kept,
        n_val=len(choice.row),
        test_scores=score_views(head, seen, read_link(test.y)),
        test=test,
        metric=recipe.options.metric,
        task=ask.task,
        thresholds=recipe.fit_thresholds(choice) if ask.task == "multilabel" else None,
        family=recipe.family,
        correction=recipe.correction,
        places=tuple(ask.list_passes(recipe.places)),
        corrections=corrections,
        calibration=calibration,
        test_novelty=rate_novelty(calibration.means, recipe.see_kept(test)),
        ask=ask,
        verdict=best.verdict,
    )


@dataclass(frozen=True, eq=False)
class Best:
    """What val chose among many recipes.

    Attributes
    ----------
    ask : Ask
        The question that it answers.
    recipe : Recipe
    chosen : Chosen
    verdict : Verdict
        Over all that were tried.
    """

    ask: Ask
    recipe: Recipe
    chosen: Chosen
    verdict: Verdict[Trial]


def choose_best(asks: Sequence[Ask], prefer: str = "accurate", phase: Phase = keep_silent) -> Best:
    """The recipe that val chooses. No test image is loaded; what an earlier grid found on val is not fitted again.

    Parameters
    ----------
    asks, prefer, phase
        See `fit_best`.

    Raises
    ------
    UsageError
        If there is no pair.
    """
    asked: list[Ask] = []
    trials: list[Trial] = []
    kept: tuple[Recipe, Chosen] | None = None  # one alone: a recipe holds the features that it trains on
    place, walks = -1, [recipe.n_walked for ask in asks for recipe in list_recipes(ask)]
    for ask in asks:
        for recipe in list_recipes(ask):
            tell = partial(_tell_progress, phase, walks, len(trials))
            tell()
            trial: Trial | None = recall_cell(recipe, ask.memo)
            if trial is None:
                chosen = recipe.choose(tell)
                trial = note_trial(recipe, chosen)
                if kept is None or trial.val.value > trials[place].val.value:
                    kept, place = (recipe, chosen), len(trials)
            asked.append(ask)
            trials.append(weigh_trial(trial, ask))
    if not trials:
        raise UsageError("found no pair of resolutions to choose from, expected at least one: give --pairs")
    verdict = judge_trials(trials)
    best = verdict.choose(prefer)
    found = verdict.cells.index(best)
    if kept is None or place != found:
        recipe = find_recipe(asked[found], (best.train_res, best.test_res), best.family, best.correction)
        kept = recipe, recipe.choose(partial(_tell_progress, phase, [recipe.n_walked], 0))
    return Best(asked[found], *kept, verdict)


def _tell_progress(phase: Phase, walks: Sequence[int], cell: int, tried: int = 0) -> None:
    if len(walks) > _FEW:
        phase(FITTING, cell, len(walks), "cells")
    else:
        phase(FITTING, sum(walks[:cell]) + tried, sum(walks), "strengths")

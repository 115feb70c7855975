"""What the chosen head answers on test, image by image: figures, calibration, mistakes, examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cell import Cell
from .figures import HeadFigures
from .grid import Made
from .measuring import measure_head
from .metrics import BINS, Estimate, log_softmax, wilson_interval
from .question import Ask
from .recipe import find_recipe
from .select import score_views

_MISTAKES = 12  # in a list of them


@dataclass(frozen=True, eq=False)
class Answers:
    """The chosen head on test.

    Attributes
    ----------
    figures : HeadFigures
    row : int64 array, shape (n,)
        Row ids of the test images.
    y, guess : int64 arrays, shape (n,)
        What each image is, and what the head says.
    confidence : float64 array, shape (n,)
        Probability of what it says, at the temperature fitted on val.
    """

    figures: HeadFigures
    row: NDArray[np.int64]
    y: NDArray[np.int64]
    guess: NDArray[np.int64]
    confidence: NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Test images of like confidence: how sure the head was on average, and how often it was right."""

    n: int
    confidence: float
    accuracy: Estimate


def answer_test(ask: Ask, cell: Cell, classes: Sequence[str], made: Made | None = None) -> Answers:
    """Let the chosen cell's head answer test. The choice must have been made before.

    Parameters
    ----------
    ask : Ask
        Of the grid that ``cell`` is from.
    cell : Cell
        That `heads.verdict.judge_cells` marked.
    classes : sequence of str
    made : Made, optional
        Its heads; fitted here if not given.
    """
    recipe = find_recipe(ask, (cell.train_res, cell.test_res), cell.family, cell.correction)
    chosen, test = made.chosen if made else recipe.choose(), recipe.load("test")
    temperature = recipe.fit_temperature(chosen.choice)
    scores = score_views(chosen.head, recipe.see(test))
    confidence = np.exp(log_softmax(scores, temperature).max(1))
    figures = measure_head(scores, test.y, classes, temperature)
    return Answers(figures, test.row, test.y, scores.argmax(1), confidence)


def bin_answers(answers: Answers) -> list[Bin]:
    """Answers by equal widths of confidence, for a reliability diagram (Guo et al. 2017); no empty bin."""
    index = np.minimum((answers.confidence * BINS).astype(np.int64), BINS - 1)
    correct = answers.guess == answers.y
    members = [index == number for number in range(BINS)]
    return [
        Bin(int(m.sum()), float(answers.confidence[m].mean()), wilson_interval(int(correct[m].sum()), int(m.sum())))
        for m in members
        if m.any()
    ]


def list_mistakes(answers: Answers) -> list[int]:
    """Positions of the wrong answers that the head was surest of, the surest first."""
    wrong = np.flatnonzero(answers.guess != answers.y)
    order = np.argsort(-answers.confidence[wrong], kind="stable")
    return [int(place) for place in wrong[order][:_MISTAKES]]


def pick_example(answers: Answers, label: int, guess: int) -> int | None:
    """Position of a test image of ``label``: the surest taken for ``guess``, else the surest; None without one."""
    mine = answers.y == label
    taken = mine & (answers.guess == guess)
    places = np.flatnonzero(taken if taken.any() else mine)
    return int(places[answers.confidence[places].argmax()]) if len(places) else None

"""What the chosen head answers on test, image by image: figures, calibration, mistakes, examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cell import Cell
from .figures import HeadFigures
from .grid import Made
from .judging import estimate_rate
from .measuring import measure_head
from .metrics import BINS, Estimate, log_softmax, read_link
from .novelty import rate_novelty
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
    y, guess : arrays
        What each image is, and what the head says: classes, int64 (n,); of several bool (n, K), as the thresholds
        have it; numbers, float64 (n,).
    confidence : float64 array, shape (n,) or (n, K)
        Probability of what it says, or of each of several classes, at the temperature fitted on val; 1 of numbers.
    task : str
        Of `fixgrid.cache.rows.TASKS`.
    group : int64 array, shape (n,), optional
        Images of one number belong together.
    """

    figures: HeadFigures
    row: NDArray[np.int64]
    y: NDArray[Any]
    guess: NDArray[Any]
    confidence: NDArray[np.float64]
    task: str = "multiclass"
    group: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Bin:
    """Test answers of like probability: their number, the mean of that, and how often they were right."""

    n: int
    confidence: float
    rate: Estimate


class Mistake(NamedTuple):
    """A wrong answer: the image's position, and of several classes the one that is given wrongly or missed."""

    place: int
    label: int = -1


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
    temperature, link = recipe.fit_temperature(chosen.choice), read_link(test.y)
    thresholds = recipe.fit_thresholds(chosen.choice) if link == "sigmoid" else None
    scores = score_views(chosen.head, recipe.see(test), link)
    figures = measure_head(
        scores, test.y, classes, temperature, task=ask.task, group=test.group, thresholds=thresholds
    )
    calibration, group = recipe.calibrate(chosen.choice, temperature), test.group
    novelty = rate_novelty(calibration.means, recipe.see_kept(test))
    known = calibration.measure(scores, novelty, test.y, temperature, ask.task, group)
    figures = replace(figures, figures=(*figures.figures, *known))
    guess, confidence = _read_answers(scores, link, temperature, thresholds)
    return Answers(figures, test.row, test.y, guess, confidence, ask.task, group)


def _read_answers(
    scores: NDArray[np.float32], link: str, temperature: float, thresholds: NDArray[np.float32] | None
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    if link == "identity":
        return scores[:, 0].astype(np.float64), np.ones(len(scores))
    if link == "softmax":
        return scores.argmax(1), np.exp(log_softmax(scores, temperature).max(1))
    chances = 1 / (1 + np.exp(-scores.astype(np.float64) / temperature))
    return chances >= (0.5 if thresholds is None else thresholds), chances


def bin_answers(answers: Answers) -> list[Bin]:
    """Answers by equal widths of probability, for a reliability diagram (Guo et al. 2017); no empty bin.

    Of several classes all of their probabilities, and how often an image has the class; of numbers there is none.
    """
    if answers.task == "regression":
        return []
    several = answers.y.ndim == 2
    correct = answers.y.ravel() if several else answers.guess == answers.y
    group = answers.group
    if several:  # the classes of an image are one group
        group = np.repeat(np.arange(len(answers.y)) if group is None else group, answers.y.shape[1])
    confidence = answers.confidence.ravel()
    index = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    members = [np.flatnonzero(index == number) for number in range(BINS)]
    return [
        Bin(
            len(mine),
            float(confidence[mine].mean()),
            estimate_rate(correct[mine], None if group is None else group[mine]),
        )
        for mine in members
        if len(mine)
    ]


def list_mistakes(answers: Answers) -> list[Mistake]:
    """The worst wrong answers, the worst first: numbers and places of an order by how far they are off, all by how
    sure the head was; of several classes each image's worst.
    """
    y, guess, confidence = answers.y, answers.guess, answers.confidence
    if y.ndim == 2:
        wrong = np.where(guess == y, -1.0, np.where(y, 1 - confidence, confidence))
        label, worst = wrong.argmax(1), wrong.max(1)
        order = np.argsort(-worst, kind="stable")
        return [Mistake(int(i), int(label[i])) for i in order[: min(_MISTAKES, int((worst >= 0).sum()))]]
    off = np.zeros(len(y)) if answers.task == "multiclass" else abs(guess - y)
    order = np.lexsort((-confidence, -off))
    return [Mistake(int(place)) for place in order[guess[order] != y[order]][:_MISTAKES]]


def pick_example(answers: Answers, label: int, guess: int) -> int | None:
    """Position of a test image of ``label``: the surest taken for ``guess``, else the surest; None without one."""
    mine = answers.y == label
    taken = mine & (answers.guess == guess)
    places = np.flatnonzero(taken if taken.any() else mine)
    return int(places[answers.confidence[places].argmax()]) if len(places) else None


def spread_examples(answers: Answers, count: int) -> list[int]:
    """Positions of images whose numbers go from the least to the largest in equal ranks, each once."""
    order = np.argsort(answers.y, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order)))
    return [int(order[place]) for place in places.round().astype(np.int64)]

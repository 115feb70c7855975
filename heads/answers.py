"""What a head answers, image by image: figures, calibration, examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cell import Cell
from .figures import Figure, HeadFigures
from .grid import Made
from .judging import estimate_rate
from .measuring import measure_head, read_scores
from .metrics import BINS, Estimate, log_chances, read_link
from .novelty import rate_novelty
from .question import Ask
from .recipe import find_recipe
from .select import score_views


@dataclass(frozen=True, eq=False)
class Answers:
    """A head on images with labels.

    Attributes
    ----------
    figures : HeadFigures
    row : int64 array, shape (n,)
        Row ids of the images.
    y, guess : arrays
        What each image is, and what the head says: classes, int64 (n,); of several bool (n, K), as the thresholds
        have it; numbers, float64 (n,).
    confidence : float64 array, shape (n,) or (n, K)
        Probability of what it says, or of each of several classes, at the temperature fitted on val; 1 of numbers.
    task : str
        Of `fixgrid.cache.rows.TASKS`.
    group : int64 array, shape (n,), optional
        Images of one number belong together.
    truth : float64 array, shape (n,), optional
        Probability of what each image is, of one class each.
    """

    figures: HeadFigures
    row: NDArray[np.int64]
    y: NDArray[Any]
    guess: NDArray[Any]
    confidence: NDArray[np.float64]
    task: str = "multiclass"
    group: NDArray[np.int64] | None = None
    truth: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Bin:
    """Test answers of like probability: their number, the mean of that, and how often they were right."""

    n: int
    confidence: float
    rate: Estimate


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
    calibration = recipe.calibrate(chosen.choice, temperature)
    novelty = rate_novelty(calibration.means, recipe.see_kept(test))
    return judge_answers(
        scores,
        test.y,
        test.row,
        classes,
        temperature,
        task=ask.task,
        group=test.group,
        thresholds=thresholds,
        more=calibration.measure(scores, novelty, test.y, temperature, ask.task, test.group),
    )


def judge_answers(
    scores: NDArray[np.float32],
    y: NDArray[Any],
    row: NDArray[np.int64],
    classes: Sequence[str],
    temperature: float = 1.0,
    *,
    n_confused: int = 10,
    task: str = "multiclass",
    group: NDArray[np.int64] | None = None,
    thresholds: NDArray[np.float32] | None = None,
    more: Sequence[Figure] = (),
) -> Answers:
    """What a head's scores of images say, with the figures of them all.

    Parameters
    ----------
    row : int64 array, shape (n,)
        Row ids of the images.
    scores, y, classes, temperature, n_confused, task, group, thresholds
        As `measure_head` takes them.
    more : sequence of Figure
        Told behind its own.
    """
    figures = measure_head(
        scores, y, classes, temperature, n_confused=n_confused, task=task, group=group, thresholds=thresholds
    )
    figures = replace(figures, figures=(*figures.figures, *more))
    guess: NDArray[Any]
    link, truth = read_link(y), None
    if link == "identity":
        guess, confidence = scores[:, 0].astype(np.float64), np.ones(len(scores))
    elif link == "softmax":
        losses, confidence = read_scores(scores, y, temperature)
        guess, truth = scores.argmax(1), np.exp(-losses)
    else:
        confidence = np.exp(log_chances(scores, link, temperature))
        guess = np.asarray(confidence >= (0.5 if thresholds is None else thresholds))
    return Answers(figures, row, y, guess, confidence, task, group, truth)


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


def pick_example(answers: Answers, label: int, guess: int) -> int | None:
    """Position of an image of ``label``: the surest taken for ``guess``, else the surest that is recognised.

    Without either it is the surest of all; None if there is no image of the class.
    """
    mine = answers.y == label
    kinds = (mine & (answers.guess == guess), mine & (answers.guess == label), mine)
    places = next((np.flatnonzero(kind) for kind in kinds if kind.any()), None)
    return None if places is None else int(places[answers.confidence[places].argmax()])


def spread_examples(answers: Answers, count: int) -> list[int]:
    """Positions of images whose numbers go from the least to the largest in equal ranks, each once."""
    order = np.argsort(answers.y, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order)))
    return [int(order[place]) for place in places.round().astype(np.int64)]

"""What the chosen head answers, image by image: bins hold every image, examples are the surest."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import FEW, PAIRS, SIZES, Cache, K, ask

from fixgrid.heads.answers import Answers, answer_test, bin_answers, pick_example
from fixgrid.heads.grid import run_grid
from fixgrid.heads.measuring import measure_head
from fixgrid.heads.verdict import judge_cells


@pytest.fixture(scope="module")
def answers() -> Answers:
    cells = judge_cells(list(run_grid(ask(Cache(), PAIRS, FEW)))).cells
    best = next(cell for cell in cells if cell.chosen)
    return answer_test(ask(Cache(), PAIRS, FEW), best, "abcd")


def test_every_test_image_is_answered_as_the_cell_was_scored(answers):
    assert len(answers.row) == SIZES["test"] == answers.figures.n
    assert (answers.guess == answers.y).mean() == answers.figures.top1.value
    assert answers.confidence.min() >= 1 / K


def test_bins_hold_every_image_and_their_gap_is_the_calibration_error(answers):
    bins = bin_answers(answers)
    assert sum(b.n for b in bins) == SIZES["test"]
    gaps = sum(b.n * abs(b.confidence - b.rate.value) for b in bins) / SIZES["test"]
    assert gaps == pytest.approx(answers.figures.calibration.value)


def made(y, guess, confidence):
    y, guess = np.array(y), np.array(guess)
    figures = measure_head(np.eye(3, dtype=np.float32)[guess], y, "abc")
    return Answers(figures, np.arange(len(y)), y, guess, np.array(confidence))


def test_the_truth_has_no_more_probability_than_the_answer(answers):
    right = answers.guess == answers.y
    assert (answers.truth[right] == answers.confidence[right]).all()
    assert (answers.truth[~right] < answers.confidence[~right]).all()


def test_an_example_is_the_surest_of_its_confusion_else_one_that_is_recognised_else_of_its_class():
    answers = made([0, 0, 0, 1, 2], [1, 1, 0, 1, 0], [0.5, 0.96, 0.9, 1.0, 0.8])
    assert pick_example(answers, 0, 1) == 1
    assert pick_example(answers, 0, 2) == 2
    assert pick_example(answers, 2, 1) == 4
    answers = made([0, 0, 0, 1], [1, 1, 0, 1], [0.5, 0.6, 0.9, 1.0])
    assert pick_example(answers, 2, 0) is None


def test_a_certain_answer_falls_into_the_last_bin():
    (only,) = bin_answers(made([0], [0], [1.0]))
    assert (only.n, only.confidence, only.rate.value) == (1, 1.0, 1.0)

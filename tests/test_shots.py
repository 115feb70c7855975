"""Photographs say what the head says of them: no class is taken for itself, and each has its file."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_exhibits import Named

from fixgrid.heads.answers import Answers, judge_answers
from fixgrid.heads.figures import HeadFigures
from fixgrid.heads.per_class import list_confused
from fixgrid.heads.shots import show_confused, show_mistakes

CLASSES = ("daisy", "rose", "tulip")
LABELS = st.lists(st.integers(0, 2), min_size=8, max_size=8)


@settings(max_examples=25, deadline=None)
@given(LABELS, LABELS)
def test_no_photograph_is_called_taken_for_what_it_is(y: list[int], guess: list[int]) -> None:
    labels = np.array(y), np.array(guess)
    figures = HeadFigures(8, 0, (), 1.0, (), list_confused(*labels, CLASSES, 9))
    answers = Answers(figures, np.arange(8), *labels, np.full(8, 0.5))
    paths = [b"%d.jpg" % i for i in range(8)]
    shots = [*show_confused(answers, CLASSES, paths, Named()), *show_mistakes(answers, CLASSES, paths, Named())]
    for shot in shots:
        row = int(shot.path.removesuffix(".jpg"))
        assert shot.jpeg == f"test {row}".encode()
        assert shot.label == CLASSES[y[row]]
        said = "recognised" if y[row] == guess[row] else f"taken for {CLASSES[guess[row]]}"
        assert shot.said.startswith(f"{said}, ")
        assert f"taken for {shot.label}" not in shot.said


def test_the_other_class_of_a_pair_that_is_confused_one_way_is_shown_recognised() -> None:
    y, guess = [0, 0, 2, 2], [2, 0, 2, 1]
    answers = judge_answers(np.eye(3, dtype=np.float32)[guess], np.array(y), np.arange(4), CLASSES)
    shots = show_confused(answers, CLASSES, [b"%d.jpg" % i for i in range(4)], Named())
    assert [(shot.path, shot.said) for shot in shots[:2]] == [
        ("0.jpg", "taken for tulip, 58 % sure"),
        ("2.jpg", "recognised, 58 % sure"),
    ]

"""Wrong answers come worst first, each with its file and the probabilities of both answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgrid.cache.text import WIDTH, escape_markdown, shorten_path, show_text, tell_apart
from fixgrid.cache.width import measure_width
from fixgrid.heads.answers import Answers, judge_answers
from fixgrid.heads.drawings import clip_name
from fixgrid.heads.mistakes import WrongAnswer, format_mistakes, list_mistakes, name_mistakes, record_mistakes

ROWS = np.array([5, 1, 3])
PATHS = [b"%d.jpg" % i for i in range(6)]


def make(y: object, guess: object, confidence: object, task: str = "multiclass") -> Answers:
    y, guess, confidence = np.array(y), np.array(guess), np.array(confidence)
    return Answers(None, np.arange(len(y)), y, guess, confidence, task)  # type: ignore[arg-type]


def test_mistakes_come_surest_first_and_no_more_than_asked_for() -> None:
    answers = make([0, 1, 2, 0], [1, 1, 0, 2], [0.5, 0.99, 0.9, 0.7])
    assert [one.place for one in list_mistakes(answers)] == [2, 3, 0]
    assert [one.place for one in list_mistakes(answers, 1)] == [2]
    assert list_mistakes(make([0], [0], [1.0])) == []


def test_a_wrong_answer_is_named_by_its_own_row() -> None:
    scores = np.log(np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7]], np.float32))
    answers = judge_answers(scores, np.array([0, 0, 1]), ROWS, "abc")
    assert [(one.path, one.truth, one.answer) for one in name_mistakes(answers, "abc", PATHS)] == [
        (b"3.jpg", "b", "c"),
        (b"1.jpg", "a", "b"),
    ]
    first = name_mistakes(answers, "abc", PATHS)[0]
    assert (first.probability, first.of_truth) == pytest.approx((0.7, 0.2))


def test_a_label_is_given_wrongly_or_missed() -> None:
    scores = np.log(np.array([[4.0, 0.25, 0.5], [0.25, 4.0, 0.1]], np.float32))
    y = np.array([[False, False, True], [False, True, False]])
    answers = judge_answers(scores, y, np.arange(2), "abc", task="multilabel")
    (one,) = name_mistakes(answers, "abc", PATHS)
    assert one[1:3] == (("c",), ("a",))
    assert (one.label, one.probability, one.of_truth) == ("a", pytest.approx(0.8), pytest.approx(0.2))
    lines = format_mistakes([one], "abc", "table", 1, 9).splitlines()
    assert [line.split() for line in (lines[0], *lines[2:4])] == [
        ["#", "file", "truth,", "then", "answer", "wrong", "label"],
        ["1", "0.jpg", "c", "a", "too", "many"],
        ["a", "probability", "80.0", "%"],
    ]
    (row,) = record_mistakes([one], "abc", "json")
    assert (row["truth"], row["answer"], row["label"]) == (["c"], ["a"], "a")
    thresholds = np.array([0.9, 0.5, 0.2], np.float32)
    answers = judge_answers(scores, y, np.arange(2), "abc", task="multilabel", thresholds=thresholds)
    assert name_mistakes(answers, "abc", PATHS) == []
    y[1, 0] = True
    answers = judge_answers(scores, y, np.arange(2), "abc", task="multilabel", thresholds=thresholds)
    (one,) = name_mistakes(answers, "abc", PATHS)
    assert (one.probability, one.of_truth) == (pytest.approx(0.8), pytest.approx(0.2))  # that it is no a
    rows = [line.split("|")[1:-1] for line in format_mistakes([one], "abc", "md", 1, 9).splitlines()[:3]]
    assert [cell.strip() for cell in rows[0]] == ["#", "file", "truth", "answer", "wrong label", "its probability"]
    assert [cell.strip() for cell in rows[2]] == ["1", "1.jpg", "a, b", "b", "a missed", "20.0 %"]


def test_a_bar_within_a_label_parts_nothing_in_csv() -> None:
    wrong = [WrongAnswer(b"1.jpg", ("a|b",), ("a", "b"), 0.9, 0.1, "a|b")]
    (row,) = record_mistakes(wrong, ("a", "b", "a|b"), "csv")
    assert (row["truth"], row["answer"], row["label"]) == (r"a\|b", "a|b", "a|b")


def test_numbers_have_no_probability_but_say_how_far_they_are_off() -> None:
    wrong = name_mistakes(make([1.0, 5.0], [1.5, 3.0], [1, 1], "regression"), ["size"], PATHS)
    assert [one.off for one in wrong] == [-2.0, 0.5]
    assert format_mistakes(wrong, (), "table", 9, 9).splitlines()[2].split() == ["1", "1.jpg", "5", "3", "-2"]
    assert [*record_mistakes(wrong, (), "csv")[0]] == ["rank", "file", "truth", "answer", "off"]


def test_places_of_an_order_say_how_far_they_are_off() -> None:
    wrong = name_mistakes(make([0, 2], [2, 1], [0.4, 0.9], "ordinal"), ["low", "mid", "high"], PATHS)
    assert [(one.truth, one.answer, one.off) for one in wrong] == [("low", "high", 2.0), ("high", "mid", -1.0)]
    assert "high                +2" in format_mistakes(wrong, ("low", "mid", "high"), "table", 1, 9)


@given(
    st.lists(st.binary(min_size=1, max_size=200).filter(lambda p: b"\0" not in p), min_size=1, max_size=3),
    st.text(min_size=1, max_size=120),
    st.text(min_size=1, max_size=120),
)
def test_a_list_of_any_names_fits_a_terminal_and_programs_get_whole_paths(
    paths: list[bytes], truth: str, answer: str
) -> None:
    classes = list(dict.fromkeys([truth, answer]))
    wrong = [WrongAnswer(path, classes[0], classes[-1], 0.9, 0.05) for path in paths]
    sets = [WrongAnswer(path, (), tuple(classes), 0.9, 0.1, classes[0]) for path in paths]
    assert max(map(measure_width, format_mistakes(sets, classes, "table", 9, 9).splitlines())) <= WIDTH
    text = format_mistakes(wrong, classes, "table", 9, 9)
    assert max(map(measure_width, text.splitlines())) <= WIDTH
    assert all(line.isprintable() for line in text.split("\n"))
    found = [row["file"] for row in json.loads(json.dumps(record_mistakes(wrong, classes, "json")))]
    assert [name.encode("utf-8", "surrogateescape") for name in found] == paths


def test_a_long_path_loses_its_beginning_at_a_folder_where_it_can() -> None:
    assert shorten_path("photos/dogs/pug/1.jpg", 21) == "photos/dogs/pug/1.jpg"
    assert shorten_path("photos/dogs/pug/1.jpg", 20) == "…/dogs/pug/1.jpg"
    assert shorten_path("photos/dogs/pug/1.jpg", 9) == "…/1.jpg"
    assert shorten_path("photos/dogs/pug/1.jpg", 4) == "…jpg"


@given(
    st.lists(st.text(alphabet="a\x1b\\x1b ()12", max_size=40), unique=True, max_size=6),
    st.sampled_from([show_text, escape_markdown, clip_name]),
)
def test_names_that_would_be_shown_alike_are_told_apart(names: list[str], show: object) -> None:
    shown = tell_apart(names, show)  # type: ignore[arg-type]
    assert len(set(shown)) == len(names)


def test_names_that_differ_are_shown_as_they_are() -> None:
    assert tell_apart(["a", "b"]) == ["a", "b"]
    assert tell_apart(["a\x1b", "b", "a\\x1b"]) == ["a\\x1b (1)", "b", "a\\x1b (3)"]
    assert tell_apart(["a\x1b", "a\\x1b", "a\\x1b (1)"]) == ["a\\x1b (1) (1)", "a\\x1b (2)", "a\\x1b (1) (3)"]

"""Accuracy by class and confused pairs are printed in every format, beside the figures of the whole."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgrid.cache.text import FORMATS
from fixgrid.heads.answers import Answers, judge_answers
from fixgrid.heads.breakdown import format_breakdown
from fixgrid.heads.figures import HeadFigures
from fixgrid.heads.head_table import format_fit
from fixgrid.heads.mistakes import name_mistakes
from fixgrid.heads.per_class import list_confused, rate_classes

Y, GUESS = np.array([0, 0, 0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 2, 0, 1, 2, 2])
CLASSES = ("cat|dog", "b\x1b[31m", "c", "no image")
ANSWERS = judge_answers(np.eye(4, dtype=np.float32)[GUESS], Y, np.arange(8), CLASSES)
FIGURES = ANSWERS.figures
PATHS = [*(b"%d.jpg" % i for i in range(7)), b"deep/" * 20 + b"\x1b\xff=7.jpg"]
SHARE = {"value": 0.625, "low": 0.3, "high": 0.86}
RECORD = dict.fromkeys(("val", "test", "top5", "class_mean", "nll", "calibration"), SHARE) | {
    "train_res": 224, "test_res": 224, "family": "ridge", "correction": "none", "strength": 1.0,
    "temperature": 1.0, "n_test": 8,
}  # fmt: skip


def show(style, *, per_class=True, n_confused=10, n_mistakes=None):
    wrong = name_mistakes(ANSWERS, CLASSES, PATHS)
    return format_breakdown(RECORD, ANSWERS, style, per_class, n_confused, n_mistakes, wrong=wrong)


@pytest.mark.parametrize("style", FORMATS)
def test_without_a_table_asked_for_the_text_is_that_of_the_figures(style):
    text = show(style, per_class=False, n_confused=None)
    if style == "json":
        found = json.loads(text)
        assert sum(one["n"] for one in found.pop("reliability")) == len(Y)
        assert found == RECORD
    else:
        assert text == format_fit(RECORD, FIGURES, style)


def test_the_tables_follow_the_figures():
    text = show("table")
    assert text.startswith(format_fit(RECORD, FIGURES, "table"))
    lines = text.removeprefix(format_fit(RECORD, FIGURES, "table")).splitlines()
    assert lines[1].split() == ["class", "n", "accuracy,", "95", "%", "interval", "precision"]
    assert [line.rstrip() for line in lines[3:7]] == [
        r"cat|dog    4  25.00 % [4.56, 69.94]     50.00 %",
        r"b\x1b[31m  2  50.00 % [9.45, 90.55]     33.33 %",
        r"c          2  100.00 % [34.24, 100.00]  66.67 %",
        r"no image   0",
    ]
    assert [line.split() for line in lines[10:]] == [
        ["cat|dog", "b\\x1b[31m", "2", "1"],
        ["cat|dog", "c", "1", "0"],
    ]


def test_each_table_is_left_out_unless_asked_for():
    assert "first as second" not in show("table", n_confused=None)
    assert "precision" not in show("table", per_class=False)


def test_the_most_confused_pairs_come_first_and_no_more_than_asked_for():
    assert [pair["second"] for pair in json.loads(show("json", n_confused=1))["confused"]] == ["b\x1b[31m"]


def test_json_has_them_as_lists_with_names_as_they_are():
    found = json.loads(show("json"))
    assert found.items() >= RECORD.items()
    assert [row["class"] for row in found["per_class"]] == [row.name for row in FIGURES.per_class]
    assert found["per_class"][0] == {
        "class": "cat|dog", "n": 4, "accuracy": 0.25, "precision": 0.5,
        "accuracy_low": FIGURES.per_class[0].recall.low, "accuracy_high": FIGURES.per_class[0].recall.high,
    }  # fmt: skip
    assert found["per_class"][3] == dict.fromkeys(found["per_class"][3], None) | {"class": "no image", "n": 0}
    assert found["confused"][1] == {"first": "cat|dog", "second": "c", "first as second": 1, "second as first": 0}


def test_csv_has_the_tables_alone():
    classes, pairs = (list(csv.DictReader(io.StringIO(part))) for part in show("csv").split("\n\n"))
    assert [row["class"] for row in classes] == ["cat|dog", r"b\x1b[31m", "c", "no image"]
    assert (classes[0]["accuracy"], classes[3]["accuracy"]) == ("0.25", "")
    assert [row["first as second"] for row in pairs] == ["2", "1"]
    assert len(list(csv.DictReader(io.StringIO(show("csv", n_confused=None))))) == 4


def test_markdown_escapes_what_it_would_obey():
    assert r"| cat\|dog | 4 |" in show("md")


def test_wrong_answers_are_listed_as_many_as_asked_for_and_all_of_them_for_programs():
    text = show("table", per_class=False, n_confused=None, n_mistakes=2)
    assert [line.split() for line in text.removeprefix(format_fit(RECORD, FIGURES, "table")).splitlines()[3:7]] == [
        ["1", "1.jpg", "cat|dog", "17.5", "%"],
        [r"b\x1b[31m", "47.5", "%"],
        ["2", "2.jpg", "cat|dog", "17.5", "%"],
        [r"b\x1b[31m", "47.5", "%"],
    ]
    assert text.endswith("2 of 4 wrong answers, the worst first; --format csv or json lists all\n")
    cells = show("md", n_mistakes=1).splitlines()[-3].split("|")
    assert [cell.strip() for cell in cells[1:3]] == ["1", "1.jpg"]
    assert cells[-3].strip() == "17.5 %"
    found = json.loads(show("json", n_mistakes=1))["mistakes"]
    assert [(row["rank"], row["file"], row["answer"]) for row in found] == [
        (1, "1.jpg", "b\x1b[31m"),
        (2, "2.jpg", "b\x1b[31m"),
        (3, "3.jpg", "c"),
        (4, "4.jpg", "cat|dog"),
    ]
    lines = list(csv.DictReader(io.StringIO(show("csv", per_class=False, n_confused=None, n_mistakes=1))))
    assert [line["answer"] for line in lines] == [r"b\x1b[31m", r"b\x1b[31m", "c", "cat|dog"]
    assert float(lines[0]["probability"]) == pytest.approx(0.4753669)


@pytest.mark.parametrize("task", ["multiclass", "ordinal", "multilabel", "regression"])
def test_tables_of_nothing_are_their_headers_alone_and_empty_lists(task):
    y = {"regression": np.array([0.5, 1.5]), "multilabel": np.eye(2, dtype=np.bool_)}.get(task, np.arange(2))
    scores = y[:, None].astype(np.float32) if task == "regression" else 4 * np.eye(2, dtype=np.float32) - 2
    names = ("low", "high")[: scores.shape[1]]
    right = judge_answers(scores, y, np.arange(2), names, task=task)
    tables = format_breakdown(RECORD, right, "csv", True, 9, 9).split("\n\n")
    wrong = judge_answers(scores[::-1], y, np.arange(2), names, task=task)
    assert tables[1] == "first,second,first as second,second as first"
    full = format_breakdown(RECORD, wrong, "csv", n_mistakes=9, wrong=name_mistakes(wrong, names, PATHS))
    assert tables[2] == full.splitlines()[0] + "\n"
    assert tables[0].startswith("class,n,")
    assert tables[0].count("\n") == len(right.figures.per_class)
    found = json.loads(format_breakdown(RECORD, right, "json", True, 9, 9))
    assert (len(found["per_class"]), found["confused"], found["mistakes"]) == (len(right.figures.per_class), [], [])


@pytest.mark.parametrize("style", ["csv", "json"])
def test_a_wrong_answer_is_never_its_truth_where_names_are_escaped_alike(style):
    names, wrong = ("a\x1b", "a\\x1b"), []
    for task, y in (("multiclass", np.arange(2)), ("multilabel", np.eye(2, dtype=np.bool_))):
        answers = judge_answers(2 - 4 * np.eye(2, dtype=np.float32), y, np.arange(2), names, task=task)
        wrong = name_mistakes(answers, names, PATHS)
        said = format_breakdown(RECORD, answers, style, n_mistakes=9, wrong=wrong)
        rows = json.loads(said)["mistakes"] if style == "json" else list(csv.DictReader(io.StringIO(said)))
        assert [row["truth"] != row["answer"] for row in rows] == [True, True]


NAMES = st.text(alphabet="ab_\x1b1x\\()| ", min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_class_is_ever_shown_as_taken_for_itself(data):
    classes = data.draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    one = st.integers(0, len(classes) - 1)
    y, guess = (np.array(data.draw(st.lists(one, min_size=6, max_size=6))) for _ in range(2))
    rows, pairs = rate_classes(y, guess, classes, None), list_confused(y, guess, classes, 10)
    figures = HeadFigures(6, 0, (), 1.0, rows, pairs)  # no others: each takes 1,000 resamples
    answers = Answers(figures, np.arange(6), y, guess, np.full(6, 0.5))
    wrong = name_mistakes(answers, classes, [b"p"] * 6)
    assert all(pair.first != pair.second and pair.there + pair.back > 0 for pair in answers.figures.confused)
    assert sum(pair.there + pair.back for pair in answers.figures.confused) == len(wrong) == (y != guess).sum()
    for style in ("json", "csv"):
        text = format_breakdown(RECORD, answers, style, n_confused=10, n_mistakes=1, wrong=wrong)
        if style == "json":
            tables = [json.loads(text)["confused"], json.loads(text)["mistakes"]]
        else:
            tables = [list(csv.DictReader(io.StringIO(part))) for part in text.split("\n\n")]
        for row in (row for table in tables for row in table):
            ends = (row["first"], row["second"]) if "first" in row else (row["truth"], row["answer"])
            assert ends[0] != ends[1]
